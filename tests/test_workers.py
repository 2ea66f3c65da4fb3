from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from neuroexplain.errors import ConfigError
from neuroexplain.workers import CYCLES, Loop, run_all

# A job that waits tells when the first signal has been dealt with: the handler is then another.
CHILD = """
import asyncio, signal, sys, time
from neuroexplain.workers import run_all

signal.alarm(60)  # nothing here may hang

async def waits(job):
    print("begun", job, flush=True)
    before = signal.getsignal(signal.SIGINT)
    while signal.getsignal(signal.SIGINT) is before:
        await asyncio.sleep(0.01)
    print("draining", job, flush=True)
    await asyncio.sleep(float(sys.argv[2]))
    print("done", job, flush=True)

async def never_waits(job):
    print("begun", job, flush=True)
    time.sleep(0.002)
    print("done", job, flush=True)

try:
    print("returned", asyncio.run(run_all(range(int(sys.argv[3])), globals()[sys.argv[1]], concurrency=2)))
except KeyboardInterrupt:
    print("stopped")
"""


def test_all_jobs_are_done_within_the_bound() -> None:
    active, most, done = 0, 0, []

    async def work(job: int) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.001 * (job % 3))
        active -= 1
        done.append(job)

    assert asyncio.run(run_all(range(50), work, concurrency=7))
    assert sorted(done) == list(range(50))
    assert most == 7


def test_few_or_no_jobs() -> None:
    done: list[str] = []

    async def work(job: str) -> None:
        done.append(job)

    assert asyncio.run(run_all([], work, concurrency=4))
    assert asyncio.run(run_all(["only"], work, concurrency=4))
    assert done == ["only"]


def test_no_workers() -> None:
    async def work(job: int) -> None:
        raise AssertionError("no job may begin")

    with pytest.raises(ConfigError, match="concurrency must be at least 1, not 0"):
        asyncio.run(run_all([1], work, concurrency=0))


def test_many_jobs_are_taken_one_by_one() -> None:
    taken = done = ahead = tasks = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for job in range(1, 100_001):
            taken = job
            yield job

    async def work(job: int) -> None:
        nonlocal done, ahead, tasks
        ahead = max(ahead, taken - done)
        if job % 10_000 == 0:
            tasks = max(tasks, len(asyncio.all_tasks()))
        done += 1

    start = time.monotonic()
    assert asyncio.run(run_all(jobs(), work, concurrency=8))
    assert done == 100_000
    assert ahead <= 8
    assert tasks <= 9
    assert time.monotonic() - start < 10


def test_the_first_error_stops_and_comes_out_after_those_in_flight() -> None:
    begun, ended = [], []

    async def work(job: int) -> None:
        begun.append(job)
        if job == 2:
            raise ValueError("the first")
        await asyncio.sleep(0.02 * (job + 1))
        ended.append(job)
        if job == 0:
            raise ValueError("a later one")

    with pytest.raises(ValueError, match="the first"):
        asyncio.run(run_all(range(100), work, concurrency=3))
    assert begun == [0, 1, 2]
    assert ended == [0, 1]


def test_an_error_of_the_iterator_stops_too() -> None:
    done = []

    class Jobs:
        """Two jobs, an error, and then more jobs, which a generator could not have."""

        def __init__(self) -> None:
            self.n = 0

        def __iter__(self) -> Jobs:
            return self

        def __next__(self) -> int:
            self.n += 1
            if self.n == 3:
                raise LookupError("no third job")
            return self.n

    async def work(job: int) -> None:
        await asyncio.sleep(0.01)
        done.append(job)

    with pytest.raises(LookupError, match="no third job"):
        asyncio.run(run_all(Jobs(), work, concurrency=3))
    assert done == [1, 2]


def test_cancelling_cancels_the_jobs() -> None:
    ended = []

    async def work(job: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(job)

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await run_all(range(9), work, concurrency=2)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert ended == [0, 1]


def test_the_caller_gets_its_handlers_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)

    async def work(job: int) -> None:
        during.append([signal.getsignal(number) for number in numbers])

    async def main() -> None:
        before.extend(signal.getsignal(number) for number in numbers)
        assert await run_all([1], work, concurrency=1)
        after.extend(signal.getsignal(number) for number in numbers)

    before: list[object] = []
    during: list[list[object]] = []
    after: list[object] = []
    kept = [signal.signal(number, lambda number, frame: None) for number in numbers]
    try:
        asyncio.run(main())
    finally:
        for number, handler in zip(numbers, kept, strict=True):
            signal.signal(number, handler)
    assert after == before
    assert during[0] != before


@contextmanager
def child(
    kind: str, *, seconds: float = 0.0, jobs: int = 10_000
) -> Iterator[subprocess.Popen[str]]:
    """A process that runs jobs, and has begun the first of them."""
    command = [sys.executable, "-c", CHILD, kind, str(seconds), str(jobs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun 0\n"
        try:
            yield process
        finally:
            process.kill()


def rest_of(process: subprocess.Popen[str]) -> list[str]:
    """What the process still prints, once it has ended."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    process.wait(timeout=20)
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["waits", "never_waits"])
def test_the_first_signal_drains(kind: str, number: signal.Signals) -> None:
    with child(kind, seconds=0.1) as process:
        process.send_signal(number)
        lines = ["begun 0", *rest_of(process)]
    assert (lines[-1], process.returncode) == ("returned False", 0)
    begun = {line.split()[1] for line in lines if line.startswith("begun")}
    done = {line.split()[1] for line in lines if line.startswith("done")}
    assert begun == done
    assert len(done) < 10_000


def test_a_signal_among_the_last_jobs_is_not_lost() -> None:
    with child("waits", jobs=1) as process:
        process.send_signal(signal.SIGINT)
        lines = rest_of(process)
    assert lines == ["draining 0", "done 0", "returned False"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(number: signal.Signals) -> None:
    with child("waits", seconds=60) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        while not process.stdout.readline().startswith("draining"):
            continue
        start = time.monotonic()
        process.send_signal(number)
        rest = rest_of(process)
    assert time.monotonic() - start < 10
    assert not any("done" in line for line in rest)
    if number == signal.SIGINT:
        assert (rest[-1], process.returncode) == ("stopped", 0)
    else:
        assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("interrupts", [1, 2])
def test_interrupts_in_a_notebook_reach_the_work_in_its_thread(interrupts: int) -> None:
    """Where a loop runs already, work has a thread of its own, and the interrupts come to the other one."""
    reached: list[str] = []
    main = threading.main_thread().ident
    assert main is not None

    async def work() -> None:
        reached.append("begun")
        for number in range(interrupts):
            threading.Timer(0.1 + 0.2 * number, signal.pthread_kill, [main, signal.SIGINT]).start()
        try:
            while "halted" not in reached or interrupts == 2:
                await asyncio.sleep(0.01)
            reached.append("finished")
        except asyncio.CancelledError:
            reached.append("cancelled")
            raise

    async def cell() -> None:
        loop = Loop(lambda: reached.append("halted"))
        try:
            with pytest.raises(KeyboardInterrupt):
                loop.run(work())
        finally:
            loop.close()

    outer = asyncio.new_event_loop()  # `asyncio.run` would catch the signal
    try:
        outer.run_until_complete(cell())
    finally:
        outer.close()
    assert reached == ["begun", "halted", "finished" if interrupts == 1 else "cancelled"]


@pytest.mark.parametrize("threshold", [(700, 10, 10), (0, 10, 10), (50_000, 5, 5)])
def test_the_interpreter_is_set_for_the_work_and_set_back(threshold: tuple[int, int, int]) -> None:
    async def seen() -> tuple[float, tuple[int, int, int]]:
        return sys.getswitchinterval(), gc.get_threshold()

    before = sys.getswitchinterval(), gc.get_threshold()
    gc.set_threshold(*threshold)
    loop = Loop()
    try:
        interval, inside = loop.run(seen())
        assert (sys.getswitchinterval(), gc.get_threshold()) == (before[0], threshold)
    finally:
        loop.close()
        gc.set_threshold(*before[1])
    assert interval < before[0]
    assert inside == (CYCLES if threshold == (700, 10, 10) else threshold)
