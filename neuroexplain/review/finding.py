"""Searches that a browser asks for: limited in time, and no request waits for a model that another one loads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Semaphore, Thread
from typing import Any

from neuroexplain.catalogue import Catalogue, SearchResult
from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.language.query import Query, Term
from neuroexplain.catalogue.searching.conditions import RANKED
from neuroexplain.catalogue.searching.found import Facets
from neuroexplain.catalogue.storage.troubles import CutError
from neuroexplain.errors import CatalogueError, NeuroexplainError
from neuroexplain.searching import Resolver, search

MODEL_SECONDS = 60.0
"""For which a request waits for a ranking; the model goes on loading."""
WAITING = 8
"""Requests that may wait so; more are refused, so that some are left for everything else."""
SECONDS = 0.5
"""Time limit of a query, once its ranking is there."""


class Finder:
    """Searches one catalogue; may be used from several threads.

    Args:
        catalogue: where.
        resolver: answers `meaning:`, `similar:` and `activates:`; one search at a time has it.
    """

    def __init__(self, catalogue: Catalogue, resolver: Resolver) -> None:
        self._catalogue = catalogue
        self._resolver = resolver
        self._turn = Lock()
        self._places = Semaphore(WAITING)

    def find(
        self, query: str, *, seconds: float = SECONDS, wait: float = MODEL_SECONDS, **wanted: Any
    ) -> SearchResult:
        """What a query finds.

        Args:
            query: in the language of `grammar`.
            seconds: time limit of the query itself.
            wait: seconds for what takes a model.
            wanted: `limit`, `after`, `count` and `facets` of `searching.search`.

        Raises:
            QueryError: an unknown field or a bad value; the message has the valid ones and the column.
            CatalogueError: the time was up before anything was found, or a model is still being loaded.
            SubjectError: a model cannot be loaded, or is not the one that was recorded.
        """

        def ask() -> SearchResult:
            try:
                return search(
                    self._catalogue, query, seconds=seconds, resolver=self._resolver, **wanted
                )
            except CutError as error:
                raise CatalogueError(
                    f"{error}, before anything was found: narrow the query, by a layer, a score or a word"
                ) from error

        ranked = ranked_by(grammar.parse(query))
        return ask() if ranked is None else self._in_turn(ask, ranked, wait)

    def facets(self, query: str, *, seconds: float = SECONDS) -> Facets | None:
        """What all that a query finds has in common; None where the time was up, for rows are worth showing without.

        Raises:
            QueryError: as `find`.
            SubjectError: as `find`.
        """
        try:
            return self.find(query, limit=1, facets=True, seconds=seconds).facets
        except CatalogueError:
            return None

    def _in_turn(self, ask: Callable[[], SearchResult], ranked: str, wait: float) -> SearchResult:
        if not self._places.acquire(blocking=False):
            raise CatalogueError(f"{ranked}: {WAITING} searches wait for models already; ask again")
        answer: Future[SearchResult] = Future()

        def work() -> None:
            try:
                with self._turn:
                    answer.set_result(ask())
            except NeuroexplainError as error:
                answer.set_exception(error)
            finally:
                self._places.release()
                if not answer.done():  # a defect: its traceback goes to the log
                    answer.set_exception(RuntimeError("an unexpected error; see the log"))

        # A daemon: a model that hangs must not keep the server from ending.
        Thread(target=work, name=f"review-{ranked}", daemon=True).start()
        try:
            return answer.result(wait)
        except TimeoutError:
            raise CatalogueError(
                f"{ranked}: its model is still being loaded after {wait:g} s; ask again in a minute"
            ) from None


def ranked_by(query: Query) -> str | None:
    """The field of a query that takes more than the catalogue, perhaps a model; None where none does."""
    parts = (part for part in query.where.parts if isinstance(part, Term))
    return next((part.field for part in parts if part.field in RANKED), None)
