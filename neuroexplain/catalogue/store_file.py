"""The file that a catalogue lives in: opened, and closed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from neuroexplain.catalogue.engine import TIMEOUT, Database, locate
from neuroexplain.catalogue.spans import SpanReader


class StoreFile:
    """What the parts of `Catalogue` have in common; see there."""

    def __init__(
        self,
        location: str | Path | None = None,
        *,
        read_only: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self.path = locate(location)
        self._database = Database(self.path, read_only=read_only, timeout=timeout)
        self._spans = SpanReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
