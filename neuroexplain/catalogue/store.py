"""The catalogue: one SQLite file with all that was recorded, explained and scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results import show, summary
from neuroexplain.catalogue.searching import search
from neuroexplain.catalogue.searching.found import SearchResult
from neuroexplain.catalogue.searching.search import SECONDS, Resolve, Wish
from neuroexplain.catalogue.storage.engine import locate as locate
from neuroexplain.catalogue.stores.store_appraisal import AppraisalStore
from neuroexplain.catalogue.stores.store_care import CareStore
from neuroexplain.catalogue.stores.store_collections import CollectionStore
from neuroexplain.catalogue.stores.store_evidence import EvidenceStore
from neuroexplain.catalogue.stores.store_exchange import ExchangeStore
from neuroexplain.catalogue.stores.store_frames import FrameStore
from neuroexplain.catalogue.stores.store_health import HealthStore
from neuroexplain.catalogue.stores.store_ngrams import NgramStore
from neuroexplain.catalogue.stores.store_provenance import ProvenanceStore
from neuroexplain.catalogue.stores.store_rankings import RankingStore
from neuroexplain.catalogue.stores.store_reports import ReportStore
from neuroexplain.catalogue.stores.store_rescoring import RescoringStore
from neuroexplain.catalogue.stores.store_results import ResultStore
from neuroexplain.catalogue.stores.store_reviews import ReviewStore
from neuroexplain.catalogue.stores.store_runs import RunStore
from neuroexplain.catalogue.stores.store_texts import TextStore
from neuroexplain.records import NeuronId


class Catalogue(
    CollectionStore,
    EvidenceStore,
    NgramStore,
    ResultStore,
    RunStore,
    RankingStore,
    ReportStore,
    TextStore,
    ExchangeStore,
    RescoringStore,
    ReviewStore,
    FrameStore,
    ProvenanceStore,
    AppraisalStore,
    HealthStore,
    CareStore,
):
    """One catalogue file. Safe to use from several threads and processes at once.

    Args:
        location: path of the file; None means `$NEUROEXPLAIN_CATALOGUE`, else `neuroexplain.sqlite`.
        read_only: refuse to write, and to make a file that is not there.
        timeout: seconds to wait while another process writes.

    Raises:
        CatalogueError: the file is missing, locked, damaged, of another program or of a newer version.
    """

    def search(
        self,
        query: str = "",
        *,
        limit: int | None = None,
        after: str | None = None,
        count: bool = False,
        facets: bool = False,
        seconds: float = SECONDS,
        resolve: Resolve | None = None,
    ) -> SearchResult:
        """Explanations that match a query; `grammar` has the language.

        Args:
            query: in that language; an empty one finds everything.
            limit: rows at most.
            after: `next` of the page before.
            count: say how many match, up to a limit.
            facets: say what the matches have in common.
            seconds: time limit; what was found until then is returned, and `cut` says so.
            resolve: answers `meaning:`, `similar:` and `activates:`, which may take models; `neuroexplain.search` has one.

        Raises:
            QueryError: an unknown field or a bad value; the message has the valid ones and the column.
            CatalogueError: the time was up before anything was found.
        """
        wish = Wish(limit, after, count, facets, resolve)
        with self._database.reading() as connection, self._database.limited(connection, seconds):
            return search.search(connection, self._recall, query, wish)

    def show(self, neuron: NeuronId) -> dict[str, Any]:
        """All about one neuron, as the JSON object of `neuroexplain show --json`.

        Raises:
            CatalogueError: the neuron was not recorded.
        """
        with self._database.reading() as connection, self._database.limited(connection, SECONDS):
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
