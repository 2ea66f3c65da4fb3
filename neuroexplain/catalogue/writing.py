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

from neuroexplain.catalogue.engine import BusyError, Database, NoRoomError
from neuroexplain.errors import CatalogueError

log = logging.getLogger(__name__)

T = TypeVar("T")
Write = Callable[[Connection], Any]

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
        self._reserve = Reserve(database.path, name)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue-writer")
        self._line: deque[tuple[Write, asyncio.Future[Any]]] = deque()
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def do(self, write: Callable[[Connection], T]) -> T:
        """Write something, and return what it made once it is safe in the file.

        Args:
            write: gets a connection in a transaction. It may be called a second time, after the first was undone.

        Raises:
            CatalogueError: it cannot be written; whatever was written together with it is not affected.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._line.append((write, future))
        self._came.set()
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Write what is in line, and end."""
        if self._task is not None:
            while self._line:
                await asyncio.sleep(LINGER)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown()
        self._reserve.release()
        self._database.shorten_log()

    async def _work(self) -> None:
        while True:
            await self._came.wait()
            await asyncio.sleep(LINGER)
            entries = [self._line.popleft() for _ in range(min(BATCH, len(self._line)))]
            # Shielded: a run that ends while a transaction is under way still learns how that came out.
            await asyncio.shield(self._write(entries))
            if not self._line:
                self._came.clear()

    async def _write(self, entries: Sequence[tuple[Write, asyncio.Future[Any]]]) -> None:
        """All in one transaction; where that fails, each in its own, so that one does not spoil the others."""
        values = await self._in_thread([write for write, _ in entries])
        if isinstance(values, BaseException) and len(entries) > 1:
            for entry in entries:
                await self._write([entry])
            return
        for place, (_, future) in enumerate(entries):
            if future.done():  # whoever brought it no longer waits
                continue
            if isinstance(values, BaseException):
                future.set_exception(values)
            else:
                future.set_result(values[place])

    async def _in_thread(self, writes: Sequence[Write]) -> list[Any] | BaseException:
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, writes)
        outcomes = await asyncio.gather(work, return_exceptions=True)
        found: list[Any] | BaseException = outcomes[0]
        return found

    def _transaction(self, writes: Sequence[Write]) -> list[Any]:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                with self._database.writing() as connection:
                    return [write(connection) for write in writes]
            except NoRoomError as error:
                if not self._reserve.release():
                    raise
                self._on_trouble(error)
            except BusyError as error:
                if time.monotonic() > give_up:
                    raise
                log.warning("waiting: %s", error)


class Reserve:
    """A file that keeps some room on the catalogue's disk.

    When the disk is full there are replies under way that have been paid for; giving the file up makes room for them.
    """

    def __init__(self, catalogue: Path, name: str) -> None:
        self._path = catalogue.with_name(f"{catalogue.name}.reserve-{name}")
        try:
            self._path.write_bytes(bytes(RESERVE))
        except OSError as error:
            self._path.unlink(missing_ok=True)
            why = f"has no {RESERVE >> 20} MB left ({error.strerror})"
            raise NoRoomError(catalogue, why) from error

    def release(self) -> bool:
        """Give the room up; False where that was done before."""
        there = self._path.exists()
        self._path.unlink(missing_ok=True)
        return there
