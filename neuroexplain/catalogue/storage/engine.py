"""A catalogue, opened: transactions on it, whatever keeps it, and its errors as one line.

`sqlite` and `postgresql` know how to open the two and what their drivers say; from here on nothing else tells them apart
but the few statements of `rows` and `fulltext`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from neuroexplain.catalogue.storage.claims import Claim
from neuroexplain.catalogue.storage.migrations import CATALOGUE, Schema
from neuroexplain.catalogue.storage.place import Place, locate, place_of
from neuroexplain.catalogue.storage.rows import add, add_one
from neuroexplain.catalogue.storage.rows import add_values as add_rows
from neuroexplain.catalogue.storage.sqlite import SqliteFile
from neuroexplain.catalogue.storage.troubles import BusyError, CutError, NoRoomError
from neuroexplain.errors import CatalogueError

__all__ = [
    "TIMEOUT",
    "BusyError",
    "CutError",
    "Database",
    "NoRoomError",
    "add",
    "add_one",
    "add_rows",
    "locate",
]
TIMEOUT = 30.0
"""Seconds that a transaction waits for another process."""


class Backend(Protocol):
    """What keeps a catalogue."""

    reading: Engine
    """Its transactions see one state."""
    writing: Engine
    """Its transactions hold the write lock."""
    single: Engine
    """Has no transactions: every statement sees the newest state."""

    def translated(self) -> AbstractContextManager[None]:
        """The driver's errors that a user can mend, as CatalogueError; others are bugs and pass."""

    def limited(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        """See `Database.limited`."""

    def claim(self, run_key: str) -> Claim | None:
        """See `Database.claim`."""

    def claimed(self, run_key: str) -> bool:
        """See `Database.claimed`."""

    def log_bytes(self) -> int:
        """Size of a log beside the catalogue that grows with a transaction."""

    def shorten_log(self) -> None:
        """Give back the room that this log takes."""


class _Held:
    """A thread's connection for lookups, open until it is closed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self.lock = threading.RLock()

    def open(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def close(self) -> None:
        with self.lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


class Database:
    """One catalogue; may be used from several threads, each in a transaction of its own.

    Args:
        location: where it is: a path, a URL, or a `Place`.
        read_only: whether writing is refused.
        timeout: seconds that a transaction waits for another process.
        schema: what it holds; a server has catalogues only.

    Raises:
        CatalogueError: it cannot be opened.
    """

    def __init__(
        self,
        location: str | Path | Place,
        *,
        read_only: bool,
        timeout: float = TIMEOUT,
        schema: Schema = CATALOGUE,
    ) -> None:
        self.place = place_of(location)
        self.path, self.name = self.place.path, self.place.name
        self.read_only, self._kind = read_only, schema.kind
        self._backend = _backend(self.place, read_only, timeout, schema)
        self._held: dict[threading.Thread, _Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the catalogue, whatever others write meanwhile."""
        backend = self._backend
        with (
            backend.translated(),
            backend.reading.connect() as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def lookup(self) -> Iterator[Connection]:
        """A connection outside any transaction: every statement sees the catalogue as it is by then.

        For reads of a statement or two about what does not change any more. Every thread keeps its connection, so this
        costs a tenth of `reading`. Results have to be read to their end.
        """
        held = self._held.get(threading.current_thread()) or self._hold()
        with self._backend.translated(), held.lock:
            try:
                yield held.open()
            except DBAPIError:
                held.close()  # whatever is wrong with it, the next lookup gets another
                raise

    def _hold(self) -> _Held:
        """A place for this thread's connection; those of threads that have ended are closed."""
        with self._lock:
            for thread in [t for t in self._held if not t.is_alive()]:
                self._held.pop(thread).close()
            held = _Held(self._backend.single)
            return self._held.setdefault(threading.current_thread(), held)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock; all of it is kept, or nothing.

        Raises:
            CatalogueError: the catalogue was opened read-only.
        """
        if self.read_only:
            raise CatalogueError(f"{self._kind} {self.name} is open for reading only")
        backend = self._backend
        with (
            backend.translated(),
            backend.writing.connect() as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """A time limit for what runs on a connection within; the connection is fit for use afterwards.

        On SQLite all statements together have the time, on PostgreSQL each of them.

        Raises:
            CutError: it took longer.
        """
        with self._backend.limited(connection, seconds):
            yield

    def claim(self, run_key: str) -> Claim | None:
        """Hold a run's key while working on it; None where another living process does."""
        with self._backend.translated():
            return self._backend.claim(run_key)

    def claimed(self, run_key: str) -> bool:
        """Whether some living process works on a run."""
        with self._backend.translated():
            return self._backend.claimed(run_key)

    def log_bytes(self) -> int:
        """Size of the write-ahead log beside the file; 0 where a server keeps it."""
        return self._backend.log_bytes()

    def shorten_log(self) -> None:
        """Give back the room that the write-ahead log keeps after a large transaction; without waiting for readers."""
        self._backend.shorten_log()

    def close(self) -> None:
        """Close every connection, those of other threads too once their lookup is done."""
        with self._lock:
            for held in self._held.values():
                held.close()
        self._backend.reading.dispose()


def _backend(place: Place, read_only: bool, timeout: float, schema: Schema) -> Backend:
    if place.url is None:
        return SqliteFile(place, read_only, timeout, schema)
    from neuroexplain.catalogue.storage.postgresql import Server  # its driver is an extra

    return Server(place, read_only, timeout)
