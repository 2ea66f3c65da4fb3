"""The sweep engine beside plain clients, on a real loopback server: 10,000 neurons with three calls each.

    python tests/benchmarks/sweep.py                             # collects MiniLM's neurons first
    python tests/benchmarks/sweep.py --collected minilm.sqlite   # neurons that have been collected, on a copy
    python tests/benchmarks/sweep.py --neurons 4000 --latency 0.06

In turns, with 64 requests in flight: a piece of the sweep with its calls, ledger and catalogue; another piece with the scores
too, which a process beside computes, so that with the server three share the cores; `chat.completions.create` in a loop;
the client's raw request path over aiohttp in a loop. The loops send requests of the sweep.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OPENAI_API_KEY", "none")

import httpx2
import openai

from neuroexplain import Catalogue, api, run, runner
from neuroexplain.run import Execution
from neuroexplain.workers import run_all

out = sys.stdout.write
IN_FLIGHT = 64
ROUNDS = 3
CALLS = 3  # a neuron: one to explain, two to simulate ten spans
SERVER = """
import json, sys, zlib
from neuroexplain.testing import serve
def answer(body):
    asked = body["messages"][-1]["content"]
    if '"fires"' in asked:
        return '{"fires":[[0,"the",7],[0,"a",4],[0,"of",9],[0,"in",2],[0,"is",10]]}'
    return f"words for a place of kind {zlib.crc32(asked.encode())}, most often at the end of a clause"
with serve(answer, latency=float(sys.argv[1]), log=sys.argv[2] == "log") as server:
    print(server.base_url, flush=True)
    for line in sys.stdin:
        print(json.dumps(server.chats[-1200:]), flush=True)
"""


class NoJudge:
    """Scores nothing."""

    async def scores(self, case: Any) -> tuple[Any, ...]:
        return ()

    async def close(self) -> None:
        return None


def without_scores() -> AbstractContextManager[Any]:
    """Sweeps that compute no statistics meanwhile."""
    return patch.object(runner, "_judge", lambda *_: NoJudge())


class Loopback:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        self.url = self._from.readline().strip()

    def bodies(self) -> list[dict[str, Any]]:
        """The last requests."""
        self._to.write("\n")
        self._to.flush()
        found: list[dict[str, Any]] = json.loads(self._from.readline())
        return found


@contextmanager
def loopback(latency: float = 0.0, *, log: bool = False) -> Iterator[Loopback]:
    """Run a server; it dies with this block."""
    command = [sys.executable, "-c", SERVER, str(latency), "log" if log else "no"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Loopback(process)
        finally:
            process.kill()


def collected(folder: Path, arguments: argparse.Namespace) -> Catalogue:
    """A catalogue with the neurons of a subject."""
    path = folder / "sweep.sqlite"
    if arguments.collected:
        shutil.copy(arguments.collected, path)
        return Catalogue(path)
    catalogue = Catalogue(path)
    api.collect(arguments.subject, corpus="docs", catalogue=catalogue, tokens=30_000)
    return catalogue


def sweep(catalogue: Catalogue, neurons: str, url: str) -> tuple[int, float, float]:
    """Explain, simulate and score some neurons; calls, seconds and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = api.sweep(
        catalogue,
        neurons=neurons,
        explainer="token-activation",
        simulator="sparse",
        llm="openai:test-model",
        base_url=url,
        top=5,
        random=5,
        quantile=0,
        simulator_settings={"spans_per_call": 5},
        execution=Execution(concurrency=IN_FLIGHT, probe=False),
    )
    assert not result.failed, result.counts
    (made,) = catalogue.runs(result.run_id)
    # A few spans are among the strongest and drawn at random too, and make one call less.
    assert 0.99 * CALLS < made["llm_calls"] / result.counts["explained"] <= 1.01 * CALLS, made
    scored = sum(result.counts.get(name, 0) for name in ("scored", "without a score"))
    assert scored == result.counts["simulated"] == result.counts["explained"]
    return made["llm_calls"], time.perf_counter() - wall, time.process_time() - cpu


def loop(bodies: list[dict[str, Any]], calls: int, url: str, *, raw: bool) -> tuple[float, float]:
    """Send requests in a loop, so many at a time; seconds and CPU seconds."""

    async def main() -> tuple[float, float]:
        http_client = openai.DefaultAioHttpClient() if raw else None
        client = openai.AsyncOpenAI(
            api_key="none", base_url=url, max_retries=0, http_client=http_client
        )
        jobs = itertools.islice(itertools.cycle(bodies), calls)

        async def plain(body: dict[str, Any]) -> str | None:
            made = await client.chat.completions.create(**body)
            content: str | None = made.choices[0].message.content
            return content

        async def bare(body: dict[str, Any]) -> str:
            got = await client.post("/chat/completions", body=body, cast_to=httpx2.Response)
            text: str = json.loads(got.text)["choices"][0]["message"]["content"]
            return text

        send: Callable[[dict[str, Any]], Awaitable[str | None]] = bare if raw else plain

        async def worker() -> None:
            for body in jobs:
                assert await send(body)

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        spent = time.perf_counter() - wall, time.process_time() - cpu
        await client.close()
        return spent

    return asyncio.run(main())


@contextmanager
def watched(lags: list[float]) -> Iterator[None]:
    """Note how late the event loop of a sweep is."""

    async def look() -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - start - 0.005)

    async def outer(*arguments: Any, **settings: Any) -> bool:
        looking = asyncio.create_task(look())
        try:
            return await run_all(*arguments, **settings)
        finally:
            looking.cancel()

    with patch.object(run, "run_all", outer):
        yield


def pieces(neurons: int, widths: tuple[int, ...]) -> list[str]:
    """Selectors of so many neurons in all, two for each round: both polarities of consecutive ones."""
    n = 2 * ROUNDS
    each = neurons // n // 2
    places = [
        (layer, start)
        for layer, width in enumerate(widths)
        for start in range(0, width - each + 1, each)
    ]
    assert len(places) >= n, "fewer neurons, or a larger subject"
    chosen = places[:n]
    return [f"{layer}:{s}-{s + each - 1},{layer}:{s}-{s + each - 1}-" for layer, s in chosen]


@dataclass
class Measured:
    """What one of the three took, round by round."""

    label: str
    rates: list[float] = field(default_factory=list)
    """Requests a second."""
    cpu: list[float] = field(default_factory=list)
    """Milliseconds a request, in the process that sends them."""

    def add(self, calls: int, seconds: float, cpu: float) -> None:
        """Note a round."""
        self.rates.append(calls / seconds)
        self.cpu.append(cpu / calls * 1000)


def throughput(arguments: argparse.Namespace) -> None:
    """All four in turns."""
    lags: list[float] = []
    own, whole = Measured("sweep"), Measured("sweep with its scores")
    create, raw = Measured("chat.completions.create"), Measured("raw path over aiohttp")
    with tempfile.TemporaryDirectory() as folder, collected(Path(folder), arguments) as catalogue:
        widths = catalogue.collection().subject.widths
        bodies = requests_of(catalogue)
        with loopback(arguments.latency) as server:
            selectors = iter(pieces(arguments.neurons, widths))
            for selector in selectors:
                with watched(lags), without_scores():
                    calls, *took = sweep(catalogue, selector, server.url)
                own.add(calls, *took)
                with watched(lags):
                    whole.add(*sweep(catalogue, next(selectors), server.url))
                for plain in (create, raw):
                    plain.add(calls, *loop(bodies, calls, server.url, raw=plain is raw))
                rates = ", ".join(f"{m.rates[-1]:.0f}/s" for m in (own, whole, create, raw))
                out(f"  {calls} calls each: {rates}\n")
    out(f"\n{'':24}{'requests/s':>12}{'CPU a call':>14}{'of create':>12}{'of raw':>9}\n")
    for made in (own, whole, create, raw):
        rate, cpu = statistics.median(made.rates), statistics.median(made.cpu)
        ratios = [
            statistics.median(a / b for a, b in zip(made.rates, plain.rates, strict=True))
            for plain in (create, raw)
        ]
        out(f"{made.label:24}{rate:12.0f}{cpu:11.2f} ms{ratios[0]:12.2f}{ratios[1]:9.2f}\n")
    out("wanted of a sweep: 1.50 of create, 0.65 of raw\n")
    lags.sort()
    middle, late = (lags[int(len(lags) * share)] * 1000 for share in (0.5, 0.99))
    out(f"event loop late by {middle:.1f} ms (median), {late:.1f} ms (99 %; wanted: below 50)\n")


def requests_of(catalogue: Catalogue) -> list[dict[str, Any]]:
    """The requests that a sweep of some other neurons sends."""
    width = catalogue.collection().subject.widths[-1]
    last = len(catalogue.collection().subject.widths) - 1
    with loopback(log=True) as server:
        sweep(catalogue, f"{last}:{width - 300}-{width - 1}", server.url)
        return server.bodies()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--subject", default="minilm")
    parser.add_argument("--collected", help="catalogue to copy; without it, one is made")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    throughput(arguments)


if __name__ == "__main__":
    main()
