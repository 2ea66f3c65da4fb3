"""Opening a catalogue file, transactions on it, and its errors as one line.

SQLite is set up for several processes that write at once: write-ahead log, and transactions that take the write
lock when they begin. Left at its defaults the driver loses updates without a word.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, insert
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from neuroexplain.catalogue import migrations
from neuroexplain.catalogue.codec import clean
from neuroexplain.errors import CatalogueError

DEFAULT = "neuroexplain.sqlite"
"""File of a catalogue that nobody named."""
_BATCH = 1000
"""Rows that are inserted together."""
_LOG_BYTES = 2**24
"""Of a write-ahead log that is let be."""
TIMEOUT = 30.0
"""Seconds that a transaction waits for another process."""

REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another process; wait until it is done, or end it",
    sqlite3.SQLITE_LOCKED: "is locked by another process; wait until it is done, or end it",
    sqlite3.SQLITE_NOTADB: "is no SQLite file; give the path of a catalogue by --catalogue",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_READONLY: "cannot be written: the file or its folder is read-only",
    sqlite3.SQLITE_PERM: "cannot be opened: no permission",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that the folder exists and may be written",
    sqlite3.SQLITE_TOOBIG: "refuses a text or array of more than a gigabyte",
}
_NO_TEXT = "Could not decode to UTF-8"
"""Said by the driver, without a code, of bytes that should be a text."""
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
NO_ROOM = {
    sqlite3.SQLITE_FULL: "is full",
    sqlite3.SQLITE_IOERR_SHMSIZE: "is full",
    # SQLite tells a quota and a limit of file sizes from a full disk, but not from a defect.
    sqlite3.SQLITE_IOERR_WRITE: "takes no more: a quota, a limit of file sizes, or a defect",
}


class NoRoomError(CatalogueError):
    """The disk takes no more."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"the disk of catalogue {path} {why}; make room and run the same command again"
        )
        self.why = why


class BusyError(CatalogueError):
    """Another process keeps the catalogue locked."""


def locate(location: str | Path | None) -> Path:
    """The file that a `--catalogue` value means; None is `NEUROEXPLAIN_CATALOGUE`, or `neuroexplain.sqlite` here.

    Raises:
        CatalogueError: a URL of another database, or a database in memory.
    """
    text = str(location or os.environ.get("NEUROEXPLAIN_CATALOGUE") or DEFAULT)
    path = text.removeprefix("sqlite:///")
    if "://" in path or path in ("", ":memory:"):
        scheme = text.partition("://")[0]  # the rest of a URL may hold a password
        raise CatalogueError(
            f'catalogue "{scheme}": only SQLite files are supported; give a path such as {DEFAULT}'
        )
    return Path(path)


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
    """One catalogue file; may be used from several threads, each in a transaction of its own."""

    def __init__(self, path: Path, *, read_only: bool, timeout: float = TIMEOUT) -> None:
        self.path = path
        self.read_only = read_only
        self._engine = _open(path, read_only, timeout)
        self._writer = self._engine.execution_options(writes=True)
        self._single = self._engine.execution_options(single=True)
        self._held: dict[threading.Thread, _Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the file, whatever others write meanwhile."""
        with translated(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def lookup(self) -> Iterator[Connection]:
        """A connection outside any transaction: every statement sees the file as it is by then.

        For reads of a statement or two about what does not change any more. Every thread keeps its connection, so this
        costs a tenth of `reading`. Results have to be read to their end.
        """
        held = self._held.get(threading.current_thread()) or self._hold()
        with translated(self.path), held.lock:
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
            return self._held.setdefault(threading.current_thread(), _Held(self._single))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock; all of it is kept, or nothing.

        Raises:
            CatalogueError: the catalogue was opened read-only.
        """
        if self.read_only:
            raise CatalogueError(f"catalogue {self.path} is open for reading only")
        with translated(self.path), self._writer.connect() as connection, connection.begin():
            yield connection

    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.stat().st_size if log.exists() else 0

    def shorten_log(self) -> None:
        """Give back the room that the write-ahead log keeps after a large transaction; without waiting for readers."""
        if self.read_only or self.log_bytes() <= _LOG_BYTES:
            return
        # Where that fails, the log goes on holding what the file lacks: nothing is lost.
        with (
            suppress(CatalogueError),
            translated(self.path),
            closing(_connect(self.path, False, 0)) as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close every connection, those of other threads too once their lookup is done."""
        with self._lock:
            for held in self._held.values():
                held.close()
        self._engine.dispose()


def add_rows(
    connection: Connection,
    table: type[SQLModel],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Insert rows given as values in the order of `columns`: several times faster than `add`.

    Rows are read a batch at a time. Texts must be fit for UTF-8.
    """
    places = ", ".join("?" for _ in columns)
    statement = f"INSERT INTO {table.__tablename__} ({', '.join(columns)}) VALUES ({places})"
    remaining = iter(rows)
    while batch := [tuple(row) for row in islice(remaining, _BATCH)]:
        connection.exec_driver_sql(statement, batch)


def add(connection: Connection, table: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, with the texts made fit for UTF-8; a batch at a time."""
    remaining = iter(rows)
    while batch := [_cleaned(row) for row in islice(remaining, _BATCH)]:
        connection.execute(insert(table), batch)


def add_one(connection: Connection, table: type[SQLModel], row: Mapping[str, Any]) -> int:
    """Insert a row into a table with an `id`, and return that."""
    key = connection.execute(insert(table).values(**_cleaned(row))).inserted_primary_key
    if key is None:
        raise AssertionError(f"{table.__name__} has no primary key")
    return int(key[0])


def _cleaned(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: clean(value) for name, value in row.items()}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors that a user can mend, as CatalogueError; others are bugs and pass."""
    try:
        yield
    except sqlite3.Error as error:
        _explain(path, error, error)
    except DBAPIError as error:
        _explain(path, error.orig, error)


def _explain(path: Path, cause: BaseException | None, error: Exception) -> NoReturn:
    detailed = getattr(cause, "sqlite_errorcode", 0)
    if detailed in NO_ROOM:
        raise NoRoomError(path, NO_ROOM[detailed]) from error
    code = detailed & 0xFF  # the low byte; the rest are details
    if code in REASONS:
        kind = BusyError if code in BUSY else CatalogueError
        raise kind(f"catalogue {path} {REASONS[code]}") from error
    if str(cause).startswith(_NO_TEXT):
        raise CatalogueError(f"catalogue {path} {REASONS[sqlite3.SQLITE_CORRUPT]}") from error
    if code == sqlite3.SQLITE_CONSTRAINT:
        raise CatalogueError(f"catalogue {path} refuses a row: {cause}") from error
    raise error


def _open(path: Path, read_only: bool, timeout: float) -> Engine:
    if path.is_dir():
        raise CatalogueError(f"catalogue {path} is a folder; give a file in it")
    if read_only and not path.exists():
        raise CatalogueError(
            f"no catalogue {path}; `neuroexplain collect` makes one, --catalogue names another"
        )

    def connect() -> sqlite3.Connection:
        return _connect(path, read_only, timeout)

    with translated(path), closing(connect()) as connection:
        _prepare(connection, path, read_only, timeout)
    # Threads keep a connection for lookups, and there may be any number of threads.
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, max_overflow=-1)
    event.listen(engine, "begin", _begin)
    return engine


def _connect(path: Path, read_only: bool, timeout: float) -> sqlite3.Connection:
    mode = "rwc"
    if read_only:
        # Beside a file in WAL mode SQLite wants to make another; where nothing can be written, nobody else writes either.
        mode = "ro" if os.access(path.parent, os.W_OK) else "ro&immutable=1"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,  # transactions begin where we say, in _begin
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("single", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")


def _prepare(connection: sqlite3.Connection, path: Path, read_only: bool, timeout: float) -> None:
    ready = migrations.check(connection, path)
    if read_only:
        if not ready:
            raise CatalogueError(
                f"catalogue {path} is empty or has an older schema; any command that writes to it upgrades it"
            )
        return
    _use_wal(connection, timeout)
    if not ready:
        migrations.upgrade(connection)


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    # SQLite does not wait for the lock that this change needs, so two processes that make the same file would clash.
    give_up = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
