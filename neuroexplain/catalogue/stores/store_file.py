"""The file that a catalogue lives in: opened, and closed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.searching.recall import Recall
from neuroexplain.catalogue.storage.engine import TIMEOUT, Database
from neuroexplain.catalogue.storage.place import place_of


class StoreFile:
    """What the parts of `Catalogue` have in common; see there."""

    def __init__(
        self,
        location: str | Path | None = None,
        *,
        read_only: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        place = place_of(location)
        self.path = place.path
        """The file; of a server's database, a name beside which this machine keeps unfinished work."""
        self.location = place.location
        """What opens it again, in another process too; it may hold a password."""
        self._database = Database(place, read_only=read_only, timeout=timeout)
        self._spans = SpanReader()
        self._recall = Recall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
