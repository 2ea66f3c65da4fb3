"""Neurons flow through the stages without waiting for each other, and what comes out does not hang on who was first."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

import neuroexplain as nx
from neuroexplain.errors import RunError
from neuroexplain.run import Execution
from neuroexplain.testing import Server, serve
from tests.lives import answer, content
from tests.sweeps import CALLS, Sweeps, asked

Body = dict[str, Any]
NULL = 20
"""Other explanations with which one is compared."""
WAIT = 60.0


@pytest.fixture
def catalogue(sweeps: Sweeps, tmp_path: Path) -> Path:
    return sweeps.copy(tmp_path / "c.sqlite")


def sweep(
    catalogue: Path,
    server: Server,
    neurons: int,
    *,
    seed: int = 0,
    bootstrap: int = 1000,
    **execution: Any,
) -> nx.RunResult:
    """Explain and score so many neurons."""
    chosen = {"concurrency": 64, "probe": False, "processes": 0} | execution
    with nx.Catalogue(catalogue) as opened:
        return nx.sweep(
            opened,
            neurons=f"0:0-{neurons - 1}",
            explainer="token-activation",
            simulator="sparse",
            llm="openai:test-model",
            base_url=f"{server.base_url},name=here",
            quantile=0,
            simulator_settings={"spans_per_call": 5},
            null=NULL,
            seed=seed,
            bootstrap=bootstrap,
            execution=Execution(**chosen),
        )


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def explains(body: Body) -> bool:
    return "JSON list" not in body["messages"][-1]["content"]


def count(catalogue: Path, table: str) -> int:
    with closing(sqlite3.connect(catalogue)) as connection:
        (n,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(n)


async def reached(condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(0.02)
    return True


@pytest.mark.parametrize("fails", [False, True])
def test_a_slow_neuron_holds_up_nobody_but_those_that_are_compared_with_it(
    catalogue: Path, fails: bool
) -> None:
    neurons = 2 * NULL + 10
    others = neurons - 1
    held: list[tuple[int, int]] = []
    first = iter([True])

    async def one_slow(body: Body) -> str:
        if not (explains(body) and next(first, False)):
            return answer(body)
        # Answered when everything else is done: whoever waited for this one would wait for ever.
        await reached(lambda: count(catalogue, "simulation") == others)
        await reached(lambda: count(catalogue, "v_scores") >= 2 * (others - NULL))
        await asyncio.sleep(0.2)
        held.append((count(catalogue, "simulation"), count(catalogue, "v_scores")))
        return " \n" if fails else answer(body)

    with serve(one_slow) as server:
        result = sweep(catalogue, server, neurons)
    # Two scores of each; the twenty before it in the ring, and itself, wait.
    assert held == [(others, 2 * (others - NULL))]
    assert result.finished
    wanted = others if fails else neurons
    assert result.counts["scored"] == result.counts["simulated"] == wanted
    assert count(catalogue, "v_scores") == 2 * wanted
    assert result.counts.get("failed: empty_reply", 0) == fails


def test_neurons_that_fail_at_either_stage_cost_the_others_nothing(
    sweeps: Sweeps, catalogue: Path, tmp_path: Path
) -> None:
    """The others have the same explanations and simulations, and a null of as many; all but the failed are scored."""

    def partly(body: Body) -> str:
        kind = zlib.crc32(
            str(body["messages"][:2] if not explains(body) else body["messages"]).encode()
        )
        if kind % 6:
            return answer(body)
        return " \n" if explains(body) else "no numbers"

    sound = sweeps.copy(tmp_path / "sound.sqlite")
    with serve(partly) as server, serve(answer) as other:
        result = sweep(catalogue, server, 80)
        sweep(sound, other, 80)
    found, whole = content(catalogue), content(sound)
    failed = {row[0] for row in found["explanations"] if row[4] == "failed"}
    assert result.counts["failed: empty_reply"] == len(failed) > 0
    assert result.finished and result.counts["explained"] == 80 - len(failed)
    kept = [row for row in whole["explanations"] if row[0] not in failed]
    assert [row for row in found["explanations"] if row[4] == "ok"] == kept
    with closing(sqlite3.connect(catalogue)) as connection:
        nulls = connection.execute(
            "SELECT DISTINCT null_n, null_reason FROM v_scores WHERE value IS NOT NULL AND null_mean IS NOT NULL"
        ).fetchall()
    assert nulls == [(NULL, None)]


@pytest.mark.parametrize("concurrency", [1, 16])
def test_nulls_do_not_hang_on_who_was_first(
    sweeps: Sweeps, tmp_path: Path, concurrency: int
) -> None:
    """One after the other, sixteen at a time in whatever order, or in two goes: the catalogue is the same."""

    def mostly(body: Body) -> str:
        kind = zlib.crc32(str(body["messages"]).encode()) % 9
        return answer(body) if kind else " \n"

    paths = [sweeps.copy(tmp_path / f"{name}.sqlite") for name in ("plain", "shuffled", "pieces")]
    random = Random(concurrency)
    with serve(mostly) as server, serve(mostly, latency=lambda: random.random() / 50) as moody:
        sweep(paths[0], server, 60)
        sweep(paths[1], moody, 60, concurrency=concurrency)
        sweep(paths[2], server, 25, concurrency=concurrency)
        sweep(paths[2], server, 60, concurrency=concurrency)
    plain, shuffled, pieces = map(content, paths)
    assert shuffled == plain
    for table in ("explanations", "simulations", "calls"):
        assert pieces[table] == plain[table]
    # What the smaller sweep could not compare is compared anew; its scores are kept beside.
    assert set(plain["scores"]) <= set(pieces["scores"])


def test_another_seed_compares_with_others(sweeps: Sweeps, tmp_path: Path) -> None:
    paths = [sweeps.copy(tmp_path / f"{seed}.sqlite") for seed in (0, 1)]
    with serve(answer) as server:
        for seed, path in enumerate(paths):
            sweep(path, server, 60, seed=seed)
    first, second = (content(path) for path in paths)
    assert [row[:4] for row in first["scores"]] == [row[:4] for row in second["scores"]]
    assert first["scores"] != second["scores"]


def judges() -> list[int]:
    """Processes of this one that compute scores."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(") ")[2].split()[1]
        except (OSError, IndexError):
            continue
        if b"neuroexplain.judges" in words and int(parent) == os.getpid():
            found.append(int(folder.name))
    return found


@contextmanager
def killer(ready: Callable[[], bool]) -> Iterator[list[int]]:
    """Kills the process that computes scores, at some moment."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not killed and not over.wait(0.01):
            if ready():
                for number in judges():
                    os.kill(number, signal.SIGKILL)
                    killed.append(number)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the process in /proc")
@pytest.mark.parametrize("when", ["at its start", "in the middle"])
def test_a_process_that_computes_scores_dies(
    sweeps: Sweeps, catalogue: Path, tmp_path: Path, when: str
) -> None:
    neurons, long = 120, 5000  # scores take longer than it takes to see them
    middle = 2 * neurons // 8 if when == "in the middle" else 0
    sound = sweeps.copy(tmp_path / "sound.sqlite")
    with serve(answer) as server:
        sweep(sound, server, neurons, bootstrap=long)
    with serve(answer, latency=0.2) as server:
        with (
            killer(lambda: not middle or count(catalogue, "v_scores") >= middle) as killed,
            pytest.raises(
                RunError, match=r"has died, most often for lack of memory; .*--processes 0"
            ),
        ):
            sweep(catalogue, server, neurons, bootstrap=long, processes=1, concurrency=32)
        assert len(killed) == 1 and judges() == []
        assert middle <= count(catalogue, "v_scores") < 2 * neurons
        with nx.Catalogue(catalogue, read_only=True) as opened:
            (newest, *_) = opened.runs()
        assert newest["state"] == "failed" and "has died" in newest["message"]
        result = sweep(catalogue, server, neurons, bootstrap=long, processes=1)
        assert result.finished and judges() == []
        assert set(asked(server).values()) == {1} and len(server.chats) == neurons * CALLS
    assert content(catalogue) == content(sound)


OWN_SCORER = """
from dataclasses import dataclass
from typing import ClassVar
from neuroexplain import register
from neuroexplain.scorers.correlation import Correlation

@register("scorer", "own")
@dataclass(frozen=True)
class Own(Correlation):
    name: ClassVar[str] = "own"
"""
SWEEP_WITH_IT = """
import sys
import own_scorer
import neuroexplain as nx
from neuroexplain.run import Execution
with nx.Catalogue(sys.argv[1]) as catalogue:
    result = nx.sweep(catalogue, neurons="0:0-29", scorers=["own"], execution=Execution(processes=1))
print(result.counts["scored"])
"""


def test_a_process_that_computes_scores_finds_the_users_own_plug_ins(
    catalogue: Path, tmp_path: Path
) -> None:
    """Those of a module that was imported; what stands in the script itself is scored in its own process."""
    (tmp_path / "own_scorer.py").write_text(OWN_SCORER, encoding="utf-8")
    inside = SWEEP_WITH_IT.replace("import own_scorer", OWN_SCORER)
    for number, script in enumerate((SWEEP_WITH_IT, inside)):
        copy = Path(shutil.copy(catalogue, tmp_path / f"{number}.sqlite"))
        done = subprocess.run(
            [sys.executable, "-c", script, str(copy)],
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "30\n"), done.stderr
