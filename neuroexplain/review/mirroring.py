"""The catalogue follows the reviews: a thread writes there what reviewers think, and no decision waits for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.errors import NeuroexplainError
from neuroexplain.reviewed import Target

PATIENCE = 1.0
"""Seconds that the catalogue may be locked before the thread looks whether it is to end."""
PAUSE = 2.0
"""Seconds between two attempts."""


def still_there(location: str, **settings: Any) -> Catalogue:
    """A catalogue that was open before, opened for writing.

    Raises:
        CatalogueError: its file is gone, or it cannot be opened.
    """
    with closing(Catalogue(location, read_only=True, **settings)):  # makes no file
        return Catalogue(location, **settings)


@dataclass(frozen=True)
class MirrorState:
    """How far the catalogue is behind the reviews."""

    on: bool
    """Whether it follows at all: not where nothing may be written."""
    waiting: int
    """Explanations whose new verdicts are not in the catalogue yet; all of them count as one at the start."""
    lag: float
    """Seconds since the oldest of these; 0 where none wait."""
    trouble: str | None
    """Why the last attempt failed; None after a good one."""


class Mirror:
    """Writes verdicts into the catalogue, some time after they were given.

    Args:
        location: of the catalogue.
        reviews: the file that has the verdicts.
        on: whether it may write; where it may not, nothing here does anything.
    """

    def __init__(self, location: str, reviews: Reviews, *, on: bool = True) -> None:
        self._location, self._reviews = location, reviews
        self._on = on and (":" in location or os.access(location, os.W_OK))
        self._news = threading.Condition()
        self._waiting: set[Target] = set()
        self._writing = 0
        self._all = False
        self._since: float | None = None
        self._trouble: str | None = None
        self._ending = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with all that the file of reviews says."""
        if self._on and self._thread is None:
            self._all, self._since = True, time.monotonic()
            self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
            self._thread.start()

    def wake(self, targets: Iterable[Target]) -> None:
        """Say that verdicts on some explanations came, or were taken back; returns at once."""
        if self._thread is None:
            return
        with self._news:
            self._waiting.update(targets)
            self._since = self._since or time.monotonic()
            self._news.notify_all()

    @property
    def state(self) -> MirrorState:
        """How it fares now."""
        with self._news:
            lag = 0.0 if self._since is None else time.monotonic() - self._since
            waiting = len(self._waiting) + self._all + self._writing
            return MirrorState(self._on, waiting, lag, self._trouble)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing waits to be written; whether that came about in time."""
        with self._news:
            return self._news.wait_for(lambda: self._since is None, seconds)

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, unless that takes too long; the next start writes it then."""
        with self._news:
            self._ending = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)
            self._thread = None

    def _run(self) -> None:
        ended = False
        try:
            self._follow()
            ended = True
        finally:
            # A defect: this thread's traceback goes to the log, and another goes on after a while.
            if not ended:
                self._thread = threading.Thread(target=self._go_on, name="mirror", daemon=True)
                self._thread.start()

    def _go_on(self) -> None:
        if not self._pause():
            self._run()

    def _follow(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._all or self._ending)
                if not self._waiting and not self._all:
                    return
            if not self._write() and self._pause():
                return

    def _pause(self) -> bool:
        """Wait a while; whether it is to end."""
        with self._news:
            return self._news.wait_for(lambda: self._ending, PAUSE)

    def _write(self) -> bool:
        """Write what waits; whether that went well."""
        with self._news:
            every, targets = self._all, self._waiting
            self._all, self._waiting = False, set()
            self._writing = len(targets) + every
        trouble: str | None = "an unexpected error; see the log"
        try:
            with closing(still_there(self._location, timeout=PATIENCE)) as catalogue:
                catalogue.mirror(self._reviews, targets=None if every else targets)
            trouble = None
        except NeuroexplainError as error:
            trouble = " ".join(str(error).split())
        finally:
            self._note(every, targets, trouble)
        return trouble is None

    def _note(self, every: bool, targets: set[Target], trouble: str | None) -> None:
        """What became of an attempt; what it was about waits on where it failed."""
        with self._news:
            self._trouble, self._writing = trouble, 0
            if trouble is not None:
                self._waiting |= targets
                self._all = self._all or every
            else:
                self._since = time.monotonic() if self._waiting or self._all else None
            self._news.notify_all()
