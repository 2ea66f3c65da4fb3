"""Judges in processes of their own: the one that talks to language models and writes has enough to do.

    this process ── cases ──▶ python -m neuroexplain.judges ── scores ──▶ this process

Cases and scores go through the other process's standard input and output, pickled, each with its length before it. When
this process dies, the input ends, and so does the other.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import pickle
import signal
import struct
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from neuroexplain.catalogue import Catalogue
from neuroexplain.config import ScoreConfig
from neuroexplain.errors import NeuroexplainError, RunError
from neuroexplain.judging import Case, OwnJudge
from neuroexplain.records import Score
from neuroexplain.workers import busy

LINGER = 0.02
"""Seconds in which cases gather before they are handed over."""
TOGETHER = 16
"""Cases that are handed over at once."""
_LENGTH = struct.Struct(">I")
_DIED = (
    "a process that computes scores has died, most often for lack of memory; run the same command again, with "
    "--processes 0 to compute them in one process"
)

Scores = tuple[Score, ...]


@dataclass(frozen=True)
class Brief:
    """What a judge has to know before its first case."""

    location: str
    """Of the catalogue."""
    collection_key: str
    config: ScoreConfig
    modules: tuple[str, ...] = ()
    """To be imported first: they register the plug-ins that are used."""


class Bench:
    """Some judges, each in a process of its own; belongs to one event loop.

    Args:
        brief: what they have to know.
        processes: how many.
    """

    def __init__(self, brief: Brief, processes: int) -> None:
        self._brief = brief
        self._free: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        for _ in range(processes):
            self._free.put_nowait(None)  # started when it is needed
        self._processes: list[asyncio.subprocess.Process] = []
        self._line: deque[tuple[Case, asyncio.Future[Scores]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def scores(self, case: Case) -> Scores:
        """The scores of one simulation.

        Raises:
            RunError: the process died.
        """
        future: asyncio.Future[Scores] = asyncio.get_running_loop().create_future()
        self._line.append((case, future))
        if len(self._line) == 1:
            task = asyncio.create_task(self._hand_over())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def close(self) -> None:
        """End the processes."""
        for task in self._tasks:
            task.cancel()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            await process.wait()

    async def _hand_over(self) -> None:
        await asyncio.sleep(LINGER)
        while self._line:
            process = await self._free.get()
            together = [self._line.popleft() for _ in range(min(TOGETHER, len(self._line)))]
            task = asyncio.create_task(self._ask(process, together))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(
        self,
        process: asyncio.subprocess.Process | None,
        together: Sequence[tuple[Case, asyncio.Future[Scores]]],
    ) -> None:
        try:
            process = process or await self._start()
            found = await _converse(process, [case for case, _ in together])
        except (OSError, EOFError):  # also an end of the stream in the middle of an answer
            found = RunError(_DIED)
        finally:
            self._free.put_nowait(process)
        for place, (_, future) in enumerate(together):
            if future.done():
                continue
            if isinstance(found, BaseException):
                future.set_exception(found)
            else:
                future.set_result(found[place])

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "neuroexplain.judges"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A terminal's Ctrl-C goes to a whole group of processes; when to stop is decided here.
            start_new_session=True,
            # Found wherever this package was found.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        self._processes.append(process)
        assert process.stdin is not None
        process.stdin.write(_framed(self._brief))
        return process


async def _converse(process: asyncio.subprocess.Process, cases: list[Case]) -> Any:
    """Hand cases over, and wait for their scores or the error that came instead."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(_framed(cases))
    await process.stdin.drain()
    (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
    return pickle.loads(await process.stdout.readexactly(length))


def _framed(value: Any) -> bytes:
    data = pickle.dumps(value)
    return _LENGTH.pack(len(data)) + data


def _next(source: BinaryIO) -> Any:
    """The next value of a stream; None at its end."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return pickle.loads(source.read(*_LENGTH.unpack(head)))


def main() -> None:
    """Judge what comes in, until nothing more does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # when to stop is the other process's to decide
    brief: Brief | None = _next(sys.stdin.buffer)
    if brief is not None:
        with suppress(BrokenPipeError):  # nobody waits for the scores any more
            _judge(brief, sys.stdin.buffer, sys.stdout.buffer)


def _judge(brief: Brief, source: BinaryIO, sink: BinaryIO) -> None:
    for module in brief.modules:
        importlib.import_module(module)
    with (
        busy(),
        Catalogue(brief.location, read_only=True) as catalogue,
        asyncio.Runner() as runner,
    ):
        collection = catalogue.find_collection(brief.collection_key)
        assert collection is not None
        judge = OwnJudge(catalogue, collection, brief.config)

        async def judged(cases: list[Case]) -> list[Scores]:
            return [await judge.scores(case) for case in cases]

        while (cases := _next(source)) is not None:
            found: list[Scores] | NeuroexplainError
            try:
                found = runner.run(judged(cases))
            except NeuroexplainError as error:
                found = error
            sink.write(_framed(found))
            sink.flush()


if __name__ == "__main__":
    main()
