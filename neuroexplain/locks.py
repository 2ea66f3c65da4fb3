"""One process a run: a lock that the operating system gives up when its holder dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from neuroexplain.errors import HeldError, RunError


class RunLock:
    """Held while a process works on a run.

    Args:
        catalogue: path of the catalogue; the lock lies beside it.
        run_key: hash of the run's settings.
        holder: tells who holds it, as the catalogue has it.

    Raises:
        HeldError: a living process does; the message names it.
        RunError: there can be no lock beside the catalogue.
    """

    def __init__(
        self, catalogue: Path, run_key: str, holder: Callable[[], dict[str, Any] | None]
    ) -> None:
        self._path = catalogue.with_name(f"{catalogue.name}.run-{run_key[:12]}.lock")
        self._lock = FileLock(self._path)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise HeldError(_held(holder())) from None
        except OSError as error:
            raise RunError(f"{self._path} cannot be locked: {error.strerror}") from None

    def release(self) -> None:
        """Let others work on the run."""
        # While it is still held: who opened it meanwhile finds out, and makes another.
        self._path.unlink(missing_ok=True)
        self._lock.release()


def alive(catalogue: Path, run_key: str) -> bool:
    """Whether some process works on a run."""
    path = catalogue.with_name(f"{catalogue.name}.run-{run_key[:12]}.lock")
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written to: nobody works in it
        return False


def _held(holder: dict[str, Any] | None) -> str:
    if holder is None or holder["pid"] is None:
        return "another process works on this very run; wait until it is done, or end it"
    here = " (this machine)" if holder["host"] == socket.gethostname() else ""
    return (
        f"process {holder['pid']} on {holder['host']}{here} works on this very run (run {holder['id']}, "
        f"{holder['command']}, since {holder['started_at'][:19].replace('T', ' ')} UTC); wait until it is done, or end it"
    )


def whoami() -> tuple[str, int]:
    """This machine and process."""
    return socket.gethostname(), os.getpid()
