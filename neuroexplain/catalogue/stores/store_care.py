"""The care of a catalogue: checked, mended, merged with others, copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from neuroexplain.catalogue.care import backup as backup_
from neuroexplain.catalogue.care import checking, merging
from neuroexplain.catalogue.care.checking import Fault, OnCheck
from neuroexplain.catalogue.care.merging import Merged, OnRows
from neuroexplain.catalogue.stores.store_file import StoreFile


class CareStore(StoreFile):
    """What keeps a catalogue sound."""

    def check(self, on_check: OnCheck | None = None) -> Iterator[Fault]:
        """Everything that is wrong with the catalogue, as it is found; see `checking.check`."""
        return checking.check(self._database, on_check)

    def repair(self) -> None:
        """Make anew what follows from other rows: what searches read, and nothing else.

        Raises:
            CatalogueError: the catalogue is open for reading only.
        """
        checking.repair(self._database)

    def merge(self, source: CareStore, on_rows: OnRows | None = None) -> Merged:
        """Add what this catalogue lacks of another one; see `merging.merge`.

        Raises:
            CatalogueError: both are the same, a subject's name stands for other weights, or this one cannot be written.
        """
        return merging.merge(self._database, source._database, on_rows)

    def mergeable_rows(self) -> int:
        """How many rows a merge of this catalogue into another goes through."""
        return merging.rows_of(self._database)

    def backup(self, out: str | Path, *, force: bool = False) -> int:
        """Copy the file, whole and of one moment; returns the copy's bytes. See `backup.backup`.

        Raises:
            CatalogueError: `out` is there already, or cannot be written.
        """
        return backup_.backup(self.location, Path(out), force=force)
