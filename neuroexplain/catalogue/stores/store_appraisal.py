"""What an appraisal of reviews needs of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from neuroexplain.catalogue.reviewing import rated
from neuroexplain.catalogue.reviewing.rated import Rated
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.reviewed import Target


class AppraisalStore(StoreFile):
    """Methods and scores of explanations that reviewers judged."""

    def rated(self, targets: Iterable[Target]) -> dict[Target, list[Rated]]:
        """Explanations with the texts of some targets, the oldest first, thousands at once; targets it lacks are left out."""
        with self._database.reading() as connection:
            return rated.read(connection, targets)
