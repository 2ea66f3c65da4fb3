"""Catalogues in SQLite files.

SQLite is set up for several processes that write at once: write-ahead log, and transactions that take the write
lock when they begin. Left at its defaults the driver loses updates without a word.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from neuroexplain.catalogue.storage import migrations
from neuroexplain.catalogue.storage.claims import Claim, claim_file, file_claimed
from neuroexplain.catalogue.storage.migrations import Schema
from neuroexplain.catalogue.storage.place import Place
from neuroexplain.catalogue.storage.troubles import BusyError, CutError, NoRoomError
from neuroexplain.errors import CatalogueError

_LOG_BYTES = 2**24
"""Of a write-ahead log that is let be."""
_PAGE_BYTES = 8192
"""Seven exemplar rows of a usual neuron fit; of 4,096 bytes a sixth would stay empty."""
_CACHE_KB = 65_536
"""Of pages that a connection keeps; the driver's 2 MB are read anew by every search of a large catalogue."""
_MAPPED_BYTES = 2**36
"""Of a file that searches only read, as far as SQLite allows: its pages need not be copied, which is most of the work of a
search past many rows. Other work has no use for it, and would only seem to take the memory."""
_STEPS = 10_000
"""Of SQLite's machine between two looks at the clock: a tenth of a millisecond or so."""
REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another process; wait until it is done, or end it",
    sqlite3.SQLITE_LOCKED: "is locked by another process; wait until it is done, or end it",
    sqlite3.SQLITE_NOTADB: "is no SQLite file; give the path of a {kind} by {option}",
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


class SqliteFile:
    """One SQLite file, opened; see `engine.Backend`."""

    def __init__(
        self, place: Place, read_only: bool, timeout: float, schema: Schema = migrations.CATALOGUE
    ) -> None:
        self._path, self._schema = place.path, schema
        self._read_only = read_only
        engine = _open(place.path, read_only, timeout, schema)
        self.reading: Engine = engine
        self.writing: Engine = engine.execution_options(writes=True)
        self.single: Engine = engine.execution_options(single=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """SQLite's errors that a user can mend, as CatalogueError; others are bugs and pass."""
        with translated(self._path, self._schema):
            yield

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Statements, and the reading of their rows, are interrupted when the time is up."""
        driver: Any = connection.connection.driver_connection
        end = time.monotonic() + seconds
        if self._read_only:
            driver.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            yield
        except (sqlite3.Error, DBAPIError) as error:
            if _code(error) != sqlite3.SQLITE_INTERRUPT:
                raise
            raise CutError(seconds) from None
        finally:
            driver.set_progress_handler(None, 0)

    def claim(self, run_key: str) -> Claim | None:
        """By a locked file beside the catalogue."""
        return claim_file(self._path, run_key)

    def claimed(self, run_key: str) -> bool:
        """Whether that file is locked."""
        return file_claimed(self._path, run_key)

    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        log = self._path.with_name(f"{self._path.name}-wal")
        return log.stat().st_size if log.exists() else 0

    def shorten_log(self) -> None:
        """Give back the room that the write-ahead log keeps after a large transaction; without waiting for readers."""
        if self._read_only or self.log_bytes() <= _LOG_BYTES:
            return
        # Where that fails, the log goes on holding what the file lacks: nothing is lost.
        with (
            suppress(CatalogueError),
            self.translated(),
            closing(open_connection(self._path, False, 0)) as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def translated(path: Path, schema: Schema = migrations.CATALOGUE) -> Iterator[None]:
    """SQLite's errors that a user can mend, as CatalogueError; others are bugs and pass."""
    try:
        yield
    except sqlite3.Error as error:
        _explain(path, schema, error, error)
    except DBAPIError as error:
        _explain(path, schema, error.orig, error)


def _explain(path: Path, schema: Schema, cause: BaseException | None, error: Exception) -> NoReturn:
    detailed = getattr(cause, "sqlite_errorcode", 0)
    if detailed in NO_ROOM:
        raise NoRoomError(path, NO_ROOM[detailed]) from error
    code = detailed & 0xFF  # the low byte; the rest are details
    if code in REASONS:
        kind = BusyError if code in BUSY else CatalogueError
        why = REASONS[code].format(kind=schema.kind, option=schema.option)
        raise kind(f"{schema.kind} {path} {why}") from error
    if str(cause).startswith(_NO_TEXT):
        raise CatalogueError(f"{schema.kind} {path} {REASONS[sqlite3.SQLITE_CORRUPT]}") from error
    if code == sqlite3.SQLITE_CONSTRAINT:
        raise CatalogueError(f"{schema.kind} {path} refuses a row: {cause}") from error
    raise error


def _code(error: BaseException) -> int:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


def _open(path: Path, read_only: bool, timeout: float, schema: Schema) -> Engine:
    if path.is_dir():
        raise CatalogueError(f"{schema.kind} {path} is a folder; give a file in it")
    if read_only and not path.exists():
        raise CatalogueError(
            f"no {schema.kind} {path}; `{schema.maker}` makes one, {schema.option} names another"
        )

    def connect() -> sqlite3.Connection:
        connection = open_connection(path, read_only, timeout)
        if schema.durable:
            connection.execute("PRAGMA synchronous = FULL")
        return connection

    with translated(path, schema), closing(connect()) as connection:
        _prepare(connection, path, read_only, timeout, schema)
    # Threads keep a connection for lookups, and there may be any number of threads.
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, max_overflow=-1)
    event.listen(engine, "begin", _begin)
    return engine


def open_connection(path: Path, read_only: bool, timeout: float) -> sqlite3.Connection:
    """A connection to a file, in autocommit mode; nothing is looked at yet."""
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
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a new file; others keep theirs
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    return connection


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("single", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")


def _prepare(
    connection: sqlite3.Connection, path: Path, read_only: bool, timeout: float, schema: Schema
) -> None:
    ready = migrations.check(connection, path, schema)
    if read_only:
        if not ready:
            raise CatalogueError(
                f"{schema.kind} {path} is empty or has an older schema; any command that writes to it upgrades it, "
                f"and `neuroexplain db upgrade {path}` keeps a copy first"
            )
        return
    _use_wal(connection, timeout)
    if not ready:
        migrations.upgrade(connection, schema)


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
