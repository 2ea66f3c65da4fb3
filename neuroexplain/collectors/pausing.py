"""When a long pass saves its state, and how it ends when it is interrupted."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHECKPOINT_SECONDS = 60.0
_CHECKPOINT_SHARE = 50
"""A checkpoint that took a second is followed by at least so many without one."""


class Clock:
    """When the next checkpoint is due."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Take the time of a checkpoint: one that takes long is made less often."""
        start = time.monotonic()
        yield
        took = time.monotonic() - start
        self._next = time.monotonic() + max(self._seconds, _CHECKPOINT_SHARE * took)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Let the first Ctrl-C or SIGTERM end a pass behind the current batch, and the second at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(_: int, __: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
