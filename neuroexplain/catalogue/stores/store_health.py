"""How a catalogue fares, and how much there is in it."""

from __future__ import annotations

from neuroexplain.catalogue.searching import facets, holdings
from neuroexplain.catalogue.searching.holdings import Holdings
from neuroexplain.catalogue.searching.search import SECONDS
from neuroexplain.catalogue.searching.vocabulary import Vocabulary
from neuroexplain.catalogue.storage.condition import Condition, condition
from neuroexplain.catalogue.stores.store_file import StoreFile


class HealthStore(StoreFile):
    """What a look at the whole catalogue takes."""

    def condition(self) -> Condition:
        """Sizes, schema and room."""
        return condition(self._database)

    def holdings(self, *, seconds: float = SECONDS) -> Holdings:
        """Explanations by subject, layer, method, state and score; counted anew only where the catalogue has changed.

        Raises:
            CatalogueError: the time was up before all was counted.
        """
        recall = self._recall
        with self._database.reading() as connection, self._database.limited(connection, seconds):
            recall.see(connection)
            names = recall.once("names", lambda: Vocabulary.read(connection))
            cells = recall.once("cells", lambda: facets.all_cells(connection))
            return recall.once(
                "holdings", lambda: holdings.read(connection, cells, names, recall.once)
            )
