"""The catalogue: one SQLite file with all that was recorded, explained and scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroexplain.catalogue import reader, search, show, summary
from neuroexplain.catalogue.engine import locate as locate
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.search import SearchResult
from neuroexplain.catalogue.store_collections import CollectionStore
from neuroexplain.catalogue.store_evidence import EvidenceStore
from neuroexplain.catalogue.store_ngrams import NgramStore
from neuroexplain.catalogue.store_reports import ReportStore
from neuroexplain.catalogue.store_results import ResultStore
from neuroexplain.catalogue.store_runs import RunStore
from neuroexplain.catalogue.store_texts import TextStore
from neuroexplain.records import NeuronId


class Catalogue(
    CollectionStore, EvidenceStore, NgramStore, ResultStore, RunStore, ReportStore, TextStore
):
    """One catalogue file. Safe to use from several threads and processes at once.

    Args:
        location: path of the file; None means `$NEUROEXPLAIN_CATALOGUE`, else `neuroexplain.sqlite`.
        read_only: refuse to write, and to make a file that is not there.
        timeout: seconds to wait while another process writes.

    Raises:
        CatalogueError: the file is missing, locked, damaged, of another program or of a newer version.
    """

    def search(self, query: str = "", *, limit: int | None = None) -> SearchResult:
        """Explanations that match a query; `grammar` has the language.

        Raises:
            QueryError: an unknown field or a bad value; the message has the valid ones and the column.
        """
        with self._database.reading() as connection:
            return search.search(connection, query, limit)

    def show(self, neuron: NeuronId) -> dict[str, Any]:
        """All about one neuron, as the JSON object of `neuroexplain show --json`.

        Raises:
            CatalogueError: the neuron was not recorded.
        """
        with self._database.reading() as connection:
            collection = reader.current(connection, neuron.subject)
            return show.show(connection, self._spans, collection, neuron)

    def summary(
        self,
        collection: Collection,
        *,
        run_id: int | None = None,
        explanations: Sequence[int] | None = None,
        simulator: str | None = None,
        scorer: str = "correlation",
        top: int = 10,
    ) -> dict[str, Any]:
        """How well a collection's neurons are explained: best, worst, means and undefined scores by reason.

        Restricted to what a run wrote or scored, to some explanations, and to scores of a simulator's simulations,
        where these are given; `top` is how many of the best and of the worst rows there are.
        """
        with self._database.reading() as connection:
            return summary.summary(
                connection,
                collection.id,
                run_id=run_id,
                explanations=None if explanations is None else sorted(explanations),
                simulator=simulator,
                scorer=scorer,
                top=top,
            )
