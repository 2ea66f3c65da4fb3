"""What a catalogue's explanations are worth, for a report."""

from __future__ import annotations

from collections.abc import Sequence

from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results import scored
from neuroexplain.catalogue.results.scored import Scored
from neuroexplain.catalogue.storage.columns import Integers
from neuroexplain.catalogue.stores.store_file import StoreFile


class ReportStore(StoreFile):
    """The scores of a catalogue, read by the hundred thousand."""

    def scored(self, collection: Collection, run_ids: Sequence[int] | None = None) -> Scored:
        """A collection's explanations with their newest test scores: those of some runs, or all.

        Of runs that scored nothing, the explanations have the scores that others made.
        """
        with self._database.reading() as connection:
            return scored.scored(connection, collection.id, run_ids)

    def failed_spans(self, simulations: Integers) -> dict[str, int]:
        """Spans that some simulations have no levels for, by reason."""
        with self._database.reading() as connection:
            return scored.failed_spans(connection, simulations)

    def newest_scored_run(self) -> int | None:
        """The last run that scored something, else the last that explained; None where none did either."""
        with self._database.reading() as connection:
            return scored.newest_scored_run(connection)

    def same_runs(self, run_ids: Sequence[int]) -> list[int]:
        """Some runs, and all those that did the same work before or after them."""
        with self._database.reading() as connection:
            return scored.same_runs(connection, run_ids)
