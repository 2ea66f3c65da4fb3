"""The one writer of a run: results wait in line and go in together, one short transaction after the other.

A transaction per result would cost more than the result. So one task takes what has come within a few milliseconds and
has a thread write it in one transaction; only then do those who brought it go on. What a program has used is in the file.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from neuroexplain.catalogue.storage.engine import BusyError, Database, NoRoomError
from neuroexplain.errors import CatalogueError

log = logging.getLogger(__name__)

Payload = TypeVar("Payload")
Result = TypeVar("Result")
Write = Callable[[Connection, Sequence[Payload]], Sequence[Result]]
"""Writes things of one kind, and returns a result for each."""
_Entry = tuple[Write[Any, Any], Any, asyncio.Future[Any]]

LINGER = 0.005
"""Seconds in which results gather before they are written."""
BATCH = 64
"""Results in one transaction at most."""
RESERVE = 4 * 2**20
"""Bytes of the disk that are kept for what is under way when the disk fills."""
PATIENCE = 600.0
"""Seconds that results wait for another process that keeps the catalogue locked."""


class Writer:
    """Writes to one catalogue; belongs to one event loop, and must be closed in it.

    Args:
        database: the catalogue's.
        name: tells this writer's reserve from that of another process.
        on_trouble: called from the writing thread, once, when the disk is full. What is under way still finds room in the
            reserve; nothing new should begin.

    Raises:
        CatalogueError: the disk is full already.
    """

    def __init__(
        self, database: Database, name: str, on_trouble: Callable[[CatalogueError], None]
    ) -> None:
        self._database = database
        self._on_trouble = on_trouble
        self._reserve = Reserve(database.path if database.place.url is None else None, name)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue-writer")
        self._line: deque[_Entry] = deque()
        self._came = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def do(self, write: Write[Payload, Result], payload: Payload) -> Result:
        """Write something, and return what came of it once it is safe in the file.

        Args:
            write: gets a connection in a transaction, and the payloads of all that is written by it at this time. It may be
                called again, after the first call was undone.
            payload: what is to be written.

        Raises:
            CatalogueError: it cannot be written; whatever was written together with it is not affected.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._line.append((write, payload, future))
        self._came.set()
        if not self._tasks:
            # Two, so that the thread has its next transaction while the results of the last are handed out.
            self._tasks = [asyncio.create_task(self._work()) for _ in range(2)]
        return await future

    async def close(self) -> None:
        """Write what is in line, and end."""
        while self._line:
            await asyncio.sleep(LINGER)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._under_way)
        self._thread.shutdown()
        self._reserve.release()
        self._database.shorten_log()

    async def _work(self) -> None:
        while True:
            await self._came.wait()
            await asyncio.sleep(LINGER)
            entries = [self._line.popleft() for _ in range(min(BATCH, len(self._line)))]
            if not self._line:
                self._came.clear()
            if entries:
                # Shielded: a run that ends while a transaction is under way still learns how that came out.
                writing = asyncio.create_task(self._write(entries))
                self._under_way.add(writing)
                writing.add_done_callback(self._under_way.discard)
                await asyncio.shield(writing)

    async def _write(self, entries: Sequence[_Entry]) -> None:
        """All in one transaction; where that fails, each in its own, so that one does not spoil the others."""
        values = await self._in_thread(entries)
        # One after the other, each would wait as long again for whoever has the file.
        together = len(entries) == 1 or isinstance(values, BusyError)
        if isinstance(values, BaseException) and not together:
            for entry in entries:
                await self._write([entry])
            return
        for place, (_, _, future) in enumerate(entries):
            if future.done():  # whoever brought it no longer waits
                continue
            if isinstance(values, BaseException):
                future.set_exception(values)
            else:
                future.set_result(values[place])

    async def _in_thread(self, entries: Sequence[_Entry]) -> list[Any] | BaseException:
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, entries)
        outcomes = await asyncio.gather(work, return_exceptions=True)
        found: list[Any] | BaseException = outcomes[0]
        return found

    def _transaction(self, entries: Sequence[_Entry]) -> list[Any]:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                with self._database.writing() as connection:
                    return _written(connection, entries)
            except NoRoomError as error:
                if not self._reserve.release():
                    raise
                self._on_trouble(error)
            except BusyError as error:
                if time.monotonic() > give_up:
                    raise
                log.warning("waiting: %s", error)


def _written(connection: Connection, entries: Sequence[_Entry]) -> list[Any]:
    """The results of entries, those of one kind written together."""
    kinds: dict[Write[Any, Any], list[int]] = {}
    for place, (write, _, _) in enumerate(entries):
        kinds.setdefault(write, []).append(place)
    results: list[Any] = [None] * len(entries)
    for write, places in kinds.items():
        made = write(connection, [entries[place][1] for place in places])
        for place, result in zip(places, made, strict=True):
            results[place] = result
    return results


class Reserve:
    """A file that keeps some room on the catalogue's disk.

    When the disk is full there are replies under way that have been paid for; giving the file up makes room for them.

    Args:
        catalogue: the file; None where a server has the disk, and nothing is kept.
        name: tells this reserve from that of another process.
    """

    def __init__(self, catalogue: Path | None, name: str) -> None:
        self._path: Path | None = None
        if catalogue is None:
            return
        self._path = catalogue.with_name(f"{catalogue.name}.reserve-{name}")
        try:
            self._path.write_bytes(bytes(RESERVE))
        except OSError as error:
            self._path.unlink(missing_ok=True)
            why = f"has no {RESERVE >> 20} MB left ({error.strerror})"
            raise NoRoomError(catalogue, why) from error

    def release(self) -> bool:
        """Give the room up; False where that was done before, or there is none."""
        if self._path is None:
            return False
        there = self._path.exists()
        self._path.unlink(missing_ok=True)
        return there
