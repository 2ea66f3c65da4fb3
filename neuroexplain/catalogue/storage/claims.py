"""One process a run: claims that the operating system, or the server, gives up when their holder dies."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from neuroexplain.errors import RunError

_RUNS = 0x6E78
"""Tells the server's locks of runs from others."""


class Claim(Protocol):
    """Held while a process works on a run."""

    def release(self) -> None:
        """Let others work on the run."""


class FileClaim:
    """A locked file beside the catalogue; see `claim_file`."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self._path, self._lock = path, lock

    def release(self) -> None:
        """Let others work on the run."""
        # While it is still held: who opened it meanwhile finds out, and makes another.
        self._path.unlink(missing_ok=True)
        self._lock.release()


def claim_file(catalogue: Path, run_key: str) -> FileClaim | None:
    """The claim of a run; None where another process has it.

    Raises:
        RunError: there can be no lock beside the catalogue.
    """
    path = _beside(catalogue, run_key)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be locked: {error.strerror}") from None
    return FileClaim(path, lock)


def file_claimed(catalogue: Path, run_key: str) -> bool:
    """Whether some process works on a run."""
    path = _beside(catalogue, run_key)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written to: nobody works in it
        return False


def _beside(catalogue: Path, run_key: str) -> Path:
    return catalogue.with_name(f"{catalogue.name}.run-{run_key[:12]}.lock")


class ServerClaim:
    """A lock of the server's, which lasts as long as the connection; see `claim_on_server`."""

    def __init__(self, connection: Connection, place: dict[str, int]) -> None:
        self._connection, self._place = connection, place

    def release(self) -> None:
        """Let others, on whatever machine, work on the run."""
        with (
            self._connection,
            suppress(DBAPIError),
        ):  # a connection that is lost has given up its locks
            self._connection.execute(text("SELECT pg_advisory_unlock(:runs, :run)"), self._place)


def claim_on_server(single: Engine, run_key: str) -> ServerClaim | None:
    """The claim of a run; None where another process, on whatever machine, has it."""
    connection = single.connect()
    place = {"runs": _RUNS, "run": _number(run_key)}
    if connection.scalar(text("SELECT pg_try_advisory_lock(:runs, :run)"), place):
        return ServerClaim(connection, place)
    connection.close()
    return None


def claimed_on_server(connection: Connection, run_key: str) -> bool:
    """Whether some process works on a run."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND classid = :runs AND objid = CAST(:run AS BIGINT) & 4294967295 AND objsubid = 2)"
    )
    return bool(connection.scalar(query, {"runs": _RUNS, "run": _number(run_key)}))


def _number(run_key: str) -> int:
    return int.from_bytes(hashlib.sha256(run_key.encode()).digest()[:4], signed=True)
