"""What the review page takes on a catalogue of 300,000 neurons and a million explanations: the table of its targets.

    python tests/benchmarks/review.py                      # makes bench.sqlite (3 minutes) if it is not there
    python tests/benchmarks/review.py --file small.sqlite --neurons 30000 --explanations 100000

The server is `neuroexplain review` itself, in a process of its own, over a copy of the file. Times are wall milliseconds, by the server's
own `Server-Timing` for pages, and from request to answer at the client for verdicts, which are on disk by then. Percentiles are over the
requests of a pass; shown is the median over passes, and in brackets the slowest pass. Verdicts are saved once in quiet, and once while
`neuroexplain explain` writes explanations to the same catalogue; the line below says how many it wrote meanwhile.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import numpy as np

from neuroexplain.catalogue import Catalogue
from neuroexplain.testing.catalogues import make

QUERIES = (
    "",
    "layer:3 sort:-score",
    "score>=0.6",
    "score>=0.2 score<0.3 layer:5",
    "explainer:token-activation",
    "past tense",
    '"names of"',
    "state:failed",
    "layer:2 -score>=0.4 p<0.01",
)
NAMES = ("page of a neuron", "page of the catalogue", "page of the overview")
TARGETS = {NAMES[0]: 25.0, NAMES[1]: 40.0, "verdict saved": 20.0, "verdict saved while a sweep writes": 20.0}  # fmt: skip
PROGRAM = (sys.executable, "-m", "neuroexplain")
out = sys.stdout.write


@contextmanager
def server(path: Path) -> Iterator[httpx.Client]:
    """A client that the review page has let in."""
    command = [*PROGRAM, "review", "--catalogue", str(path), "--no-browser", "--port", "0", "--reviewer", "ann"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            found = re.search(r"(http://\S+)/enter\S*", line)
            if found:
                break
        else:
            raise SystemExit("the server ended before it printed its address")
        says = {"Origin": found[1], "Sec-Fetch-Site": "same-origin"}
        with httpx.Client(
            base_url=found[1], follow_redirects=True, headers=says, timeout=60
        ) as client:
            client.get(found[0]).raise_for_status()
            yield client
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def sweep(path: Path, log: Path) -> Iterator[None]:
    """A run that writes to the catalogue until the context is left."""
    command = [*PROGRAM, "explain", "--catalogue", str(path), "--explainer", "token-table", "--neurons", "*"]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield
            if process.poll() is not None:
                raise SystemExit(
                    f"the sweep had ended before the last verdict:\n{log.read_text()[-800:]}"
                )
        finally:
            process.terminate()
            process.wait()


def pages(client: httpx.Client, addresses: list[str]) -> list[float]:
    """Server milliseconds of each."""
    found = []
    for address in addresses:
        answer = client.get(address)
        answer.raise_for_status()
        (ms,) = re.findall(r"app;dur=([\d.]+)", answer.headers["Server-Timing"])
        found.append(float(ms))
    return found


def verdicts(client: httpx.Client, neurons: list[tuple[str, str]], pause: float) -> list[float]:
    """Client milliseconds until the answer says that each is saved."""
    found = []
    for neuron, text in neurons:
        body = {
            "uuid": uuid4().hex,
            "target": {"neuron": neuron, "text": text},
            "said": {"kind": "verdict", "verdict": "partly"},
        }
        began = time.perf_counter()
        answer = client.post("/api/v1/events", json=body)
        found.append(1000 * (time.perf_counter() - began))
        answer.raise_for_status()
        time.sleep(pause)
    return found


def line(name: str, passes: list[list[float]]) -> None:
    """Print a figure beside its target."""
    middle = statistics.median(statistics.median(times) for times in passes)
    tails = [float(np.percentile(times, 95)) for times in passes]
    tail, target = statistics.median(tails), TARGETS.get(name)
    met = "" if target is None else f"{target:8.0f}  {'met' if tail <= target else 'NOT MET'}"
    out(f"{name:<38}{middle:8.1f} ms{tail:8.1f} ms ({max(tails):.1f}){met}\n")


def neurons_of(path: Path, n: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Addresses with an explanation each, drawn evenly; a third of them among those with simulations."""
    with Catalogue(path, read_only=True) as catalogue, sqlite3.connect(path) as connection:
        last = connection.execute("SELECT max(id) FROM explanation").fetchone()[0]
        simulated = [r[0] for r in connection.execute("SELECT DISTINCT explanation_id FROM simulation")]  # fmt: skip
        ids = map(int, [*rng.choice(simulated, n // 3), *rng.integers(1, last, n)])
        said = "SELECT 1 FROM explanation WHERE id = ? AND status = 'ok'"
        known = [number for number in ids if connection.execute(said, (number,)).fetchone()]
        targets = catalogue.targets(known[:n])
    return [(str(target.neuron), target.text) for target in targets.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--file", type=Path, default=Path("bench.sqlite"))
    parser.add_argument("--neurons", type=int, default=300_000)
    parser.add_argument("--explanations", type=int, default=1_000_000)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200, help="of each kind and pass")
    given = parser.parse_args()
    if not given.file.exists():
        make(given.file, neurons=given.neurons, explanations=given.explanations)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(dir=given.file.resolve().parent) as folder:
        copy = Path(shutil.copy(given.file, Path(folder) / "bench.sqlite"))
        measure(copy, given.passes, given.requests)


def measure(path: Path, passes: int, n: int) -> None:
    """Print the table."""
    drawn = [neurons_of(path, n, np.random.default_rng([23, number])) for number in range(passes)]
    kinds: dict[str, Callable[[int], list[str]]] = {
        NAMES[0]: lambda number: [f"/neurons/{quote(name)}" for name, _ in drawn[number]],
        NAMES[1]: lambda _: [f"/catalogue?q={quote(q)}" for q in QUERIES] * (n // len(QUERIES)),
        NAMES[2]: lambda _: ["/"] * 20,
    }
    out(f"{'':<38}{'median':>11}{'p95 (slowest pass)':>24}  target\n")
    with server(path) as client:
        for name, addresses in kinds.items():
            pages(client, addresses(0)[:20])  # the first request of a kind loads code and templates
            line(name, [pages(client, addresses(number)) for number in range(passes)])
        line("verdict saved", [verdicts(client, each, 0.0) for each in drawn])
        before = count(path)
        with sweep(path, path.with_suffix(".log")):
            while count(path) == before:
                time.sleep(0.05)
            before, began = count(path), time.perf_counter()
            line("verdict saved while a sweep writes", [verdicts(client, each, 0.05) for each in drawn])  # fmt: skip
            wrote, seconds = count(path) - before, time.perf_counter() - began
        out(f"meanwhile the sweep wrote {wrote:,} explanations, {wrote / seconds:,.0f} a second\n")


def count(path: Path) -> int:
    """The largest row of an explanation."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
        found: int = connection.execute("SELECT max(id) FROM explanation").fetchone()[0]
    return found


if __name__ == "__main__":
    main()
