"""Sweeps that are killed at any moment: what is there at the end, and what was paid for twice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.testing import Server, serve
from tests.lives import answer, content, life, sweep
from tests.program import SMALL, neuroexplain

LATENCY = 0.03
KILLS = 110
"""Of the long sweep, besides those that come before its first request."""
UNWRITTEN = 64
"""Replies on their way into the file at most, which a kill makes to be asked for again beside those in flight."""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of collected neurons, not to be written to."""
    path = tmp_path_factory.mktemp("collected") / "catalogue.sqlite"
    result = neuroexplain("collect", *SMALL, "--catalogue", str(path))
    assert result.code == 0, result.err
    return path


@pytest.fixture
def catalogue(collected: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(collected, tmp_path / "catalogue.sqlite"))


@pytest.fixture(scope="module")
def port() -> int:
    """Where the server listens in all tests: its address decides which replies are the same."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number: int = listening.getsockname()[1]
        return number


@pytest.fixture(scope="module")
def undisturbed(collected: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of a sweep that nobody kills."""
    path = tmp_path_factory.mktemp("undisturbed") / "catalogue.sqlite"
    shutil.copy(collected, path)
    with serve(answer, port=port) as server:
        lived(server, path)
    return path


def lived(server: Server, catalogue: Path, concurrency: int = 8) -> None:
    """A sweep that is left in peace."""
    process = life(catalogue, server.base_url, concurrency)
    process.join(120)
    assert process.exitcode == 0


def until(process: BaseProcess, condition: Callable[[], bool]) -> None:
    """Wait for a moment in a sweep's life, or its end."""
    end = time.monotonic() + 60
    while process.is_alive() and not condition():
        assert time.monotonic() < end
        time.sleep(0.0005)


def reached(server: Server, arrived: int, answered: int) -> bool:
    return server.arrived >= arrived and server.answered >= answered


def disturbed(
    server: Server,
    catalogue: Path,
    number: signal.Signals,
    *,
    concurrency: int,
    most: int,
    seed: int,
) -> Iterator[tuple[int, int]]:
    """Lives of one sweep, until one ends by itself.

    Each gets a signal once the server has given it so many answers, drawn anew each time up to `most`, and a moment
    later; one in six does so while it starts.

    Yields:
        How each signalled life ended, as its exit code, and how many requests had arrived by then.
    """
    rng = np.random.default_rng(seed)
    while True:
        early = rng.random() < 1 / 6
        answers, moment = int(rng.integers(0, most)), rng.uniform(0, LATENCY)
        arrived, answered = server.arrived, server.answered + answers
        process = life(catalogue, server.base_url, concurrency)
        if early:
            moment *= 5
        else:
            until(process, partial(reached, server, arrived + 1, answered))
        process.join(moment)
        if process.is_alive():
            assert process.pid is not None
            os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode is not None
        if process.exitcode == 0:
            return
        yield process.exitcode, server.arrived


def sent_again(server: Server, ends: list[int]) -> Counter[int]:
    """Requests that came once more, by the life in which they had been sent before."""
    seen: dict[str, int] = {}
    again: Counter[int] = Counter()
    which = 0
    for place, body in enumerate(server.chats):
        while which < len(ends) and place >= ends[which]:
            which += 1
        key = str(body)
        if key in seen:
            again[seen[key]] += 1
        seen[key] = which
    return again


def test_a_sweep_that_is_killed_a_hundred_times_ends_like_one_that_is_not(
    catalogue: Path, undisturbed: Path, port: int
) -> None:
    ends: list[int] = []
    with serve(answer, latency=LATENCY, port=port) as server:
        lives = disturbed(server, catalogue, signal.SIGKILL, concurrency=8, most=14, seed=1)
        for code, arrived in lives:
            assert code == -signal.SIGKILL
            ends.append(arrived)
            if len(ends) == KILLS:
                break
        assert len(ends) == KILLS, "the sweep was over too soon"
        lived(server, catalogue)
        again = sent_again(server, ends)
    assert content(catalogue) == content(undisturbed)
    assert max(again.values()) <= 8 + UNWRITTEN
    # On the average a kill loses less than what was in flight at most, and as much again on its way into the file.
    assert sum(again.values()) <= 2 * 8 * KILLS


def test_a_kill_buys_again_no_more_than_what_was_in_flight_and_unwritten(
    catalogue: Path, undisturbed: Path, port: int
) -> None:
    ends: list[int] = []
    with serve(answer, latency=LATENCY, port=port) as server:
        lives = disturbed(server, catalogue, signal.SIGKILL, concurrency=64, most=80, seed=2)
        ends.extend(arrived for _, arrived in lives)
        again = sent_again(server, ends)
    assert len(ends) >= 10
    assert content(catalogue) == content(undisturbed)
    assert 0 < max(again.values()) <= 64 + UNWRITTEN


@pytest.mark.parametrize(("number", "seed"), [(signal.SIGINT, 3), (signal.SIGTERM, 4)])
def test_an_interrupted_sweep_pays_for_nothing_twice(
    catalogue: Path, undisturbed: Path, port: int, number: signal.Signals, seed: int
) -> None:
    ends: list[int] = []
    with serve(answer, latency=LATENCY, port=port) as server:
        lives = disturbed(server, catalogue, number, concurrency=8, most=100, seed=seed)
        for code, arrived in lives:
            # Before the sweep listens for signals, Python and the system end it their way.
            assert code in {130, 1, -number}
            ends.append(arrived)
        sent = list(map(str, server.chats))
    assert len(ends) >= 5
    assert len(sent) == len(set(sent))
    assert content(catalogue) == content(undisturbed)


def test_a_finished_sweep_sends_nothing(undisturbed: Path, port: int, tmp_path: Path) -> None:
    path = Path(shutil.copy(undisturbed, tmp_path / "catalogue.sqlite"))
    with serve(answer, port=port) as server:
        result = sweep(path, server.base_url, 8)
    assert (result.finished, server.arrived) == (True, 0)
    assert content(path) == content(undisturbed)
