"""Which process works on a run."""

from __future__ import annotations

import os
import socket
from typing import Any


def held_by(holder: dict[str, Any] | None) -> str:
    """What to say to who wants to work on a run that another process has claimed, as the catalogue has that."""
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
