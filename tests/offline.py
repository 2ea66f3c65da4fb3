"""Sweeps by offline batches made small: answers to their files, and lives that are to be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

import neuroexplain as nx
from neuroexplain.llm.addresses import addresses
from neuroexplain.llm.batch_api import BatchService
from neuroexplain.llm.batch_files import BatchFolder
from neuroexplain.run import Execution
from neuroexplain.testing import completion
from neuroexplain.testing.batch_input import Line, check
from tests.lives import answer
from tests.program import Result, neuroexplain
from tests.sweeps import ASKING, Sweeps

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["tests.offline", "aiohttp", "openai", "neuroexplain.api", "numpy.random"]
)

NEURONS = ("--neurons", "0:0-24", "--bootstrap", "20", "--processes", "0")
NOBODY = "http://127.0.0.1:9/v1"
"""A server that is never asked."""
EXPENSIVE = """
["test-model"]
date = 2026-01-01
input = 1000
output = 10000
batch = 0.5
"""
"""Prices at which a handful of calls costs dollars."""
WAITING = 4


class Offline:
    """A catalogue whose sweep is answered by the files of a folder.

    Args:
        sweeps: has the collection.
        folder: takes the catalogue and the folder of batches.
        url: of the server whose replies the batches give too; None for a model of no server.
        batches: the folder of batches, where it is another's.
    """

    def __init__(
        self, sweeps: Sweeps, folder: Path, url: str | None = NOBODY, batches: Path | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.catalogue = sweeps.copy(folder / "catalogue.sqlite")
        self.folder = batches or folder / "batches"
        self.arguments = (
            "sweep", *sweeps.collecting, *ASKING, *NEURONS,
            "--llm", f"batch:{self.folder}", "--model", "test-model", "--catalogue", str(self.catalogue),
            *(("--base-url", f"{url},name=here") if url else ()),
        )  # fmt: skip

    def sweep(self, *more: str) -> Result:
        """The command, in this process."""
        return neuroexplain(*self.arguments, *more)

    def runs(self) -> list[dict[str, Any]]:
        """The catalogue's runs, newest first."""
        found: list[dict[str, Any]] = neuroexplain(
            "runs", "--catalogue", str(self.catalogue), "--json"
        ).json
        return found

    @property
    def spent(self) -> float:
        """Dollars that the ledger knows of."""
        return sum(run["cost_usd"] or 0.0 for run in self.runs())

    def files(self, kind: str = "requests") -> list[Path]:
        """Request files, `results` or those `answered`."""
        return sorted((self.folder / kind).glob("*.jsonl"))

    def lines(self) -> list[Line]:
        """The requests that stand in files, which are found in order first."""
        return [line for file in self.files() for line in strictly(file)]

    def finish(self, *more: str, reply: Callable[[dict[str, Any]], str] = answer) -> Result:
        """Have everything answered until the sweep ends."""
        for seed in range(10):
            done = self.sweep(*more)
            if done.code != WAITING:
                return done
            respond(self, reply, seed=seed)
        raise AssertionError("the sweep never ends")


def strictly(file: Path) -> list[Line]:
    """The requests of a file that OpenAI's server would take."""
    lines, problems = check(
        file.read_bytes(), "/v1/chat/completions", max_lines=50_000, max_bytes=200_000_000
    )
    assert problems == []
    return lines


def outcome(name: str, reply: str, body: dict[str, Any]) -> dict[str, Any]:
    """A line of a result file with a good answer."""
    sent = {"status_code": 200, "request_id": "r", "body": completion(reply, body)}
    return {"id": "x", "custom_id": name, "response": sent, "error": None}


def respond(
    offline: Offline, reply: Callable[[dict[str, Any]], str] = answer, *, seed: int = 0
) -> int:
    """Answer every request file, in no order; returns how many requests."""
    lines = offline.lines()
    shuffled = Random(seed).sample(lines, len(lines))
    write(offline, *(outcome(line.custom_id, reply(line.body), line.body) for line in shuffled))
    return len(lines)


def write(offline: Offline, *lines: Mapping[str, Any] | str) -> Path:
    """Put lines into a result file of their own."""
    path = offline.folder / "results" / f"{len(offline.files('results')):04d}.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def direct(sweeps: Sweeps, catalogue: Path, url: str) -> Path:
    """The catalogue of the same sweep by calls of a server."""
    sweeps.copy(catalogue)
    done = sweeps.run(catalogue, url, *NEURONS)
    assert done.code == 0, done.err
    return catalogue


def life(offline: Offline, url: str, begin: int) -> BaseProcess:
    """Start all of it in a process of its own: sweep, submit and fetch in turn until the sweep is done.

    Args:
        offline: whose.
        url: of the batch service.
        begin: which of the three comes first.
    """
    arguments = (offline.catalogue, offline.folder, url, begin)
    process = _FORKS.Process(target=_live, args=arguments, daemon=True)
    process.start()
    return process


def _live(catalogue: Path, folder: Path, url: str, begin: int) -> None:
    os.environ["OPENAI_API_KEY"] = "none"
    (address,) = addresses(url)
    batches = BatchFolder(folder)
    with BatchService(address) as service:
        for number in range(begin, begin + 60):
            if number % 3 == 1:
                service.submit(batches)
            elif number % 3 == 2:
                service.fetch(batches)
            elif _sweep(catalogue, folder, url).waiting == 0:
                sys.exit(0)
    sys.exit(99)


def _sweep(catalogue: Path, folder: Path, url: str) -> nx.RunResult:
    """What `Offline.sweep` does, without a subject."""
    with nx.Catalogue(catalogue) as opened:
        return nx.sweep(
            opened,
            neurons="0:0-24",
            explainer="token-activation",
            simulator="sparse",
            llm=f"batch:{folder}",
            model="test-model",
            base_url=f"{url},name=here",
            quantile=0,
            simulator_settings={"spans_per_call": 5},
            bootstrap=20,
            execution=Execution(processes=0),
        )
