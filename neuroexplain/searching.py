"""Searches for what takes more than SQL: `meaning:` needs a sentence model, `activates:` the subject, `similar:` its sketches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING

from neuroexplain import collecting
from neuroexplain.catalogue import Catalogue, Collection, Ranking, SearchResult
from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.language.query import Query, Term
from neuroexplain.catalogue.searching.conditions import RANKED
from neuroexplain.catalogue.searching.search import SECONDS
from neuroexplain.errors import BusyError, CatalogueError
from neuroexplain.indexing import sentence_model
from neuroexplain.recent import Recent
from neuroexplain.records import Floats
from neuroexplain.run import Execution

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject
    from neuroexplain.subjects.sites import LayerActivations

_KEPT = 16
"""Rankings that are remembered; those of neurons take 6 MB for 300,000."""


class Resolver:
    """Makes rankings of what terms ask for, and remembers them; for `Catalogue.search(resolve=...)`.

    Models are loaded when they are first needed, once.

    Args:
        catalogue: where the index, the sketches and the quantiles are.
        subject: the model that `activates:` runs, where it is loaded already.
        execution: how it runs.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        subject: Subject | None = None,
        execution: Execution | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._execution = execution or Execution()
        self._subjects = {} if subject is None else {subject.name: subject}
        self._known: Recent[tuple[object, ...], Ranking] = Recent(_KEPT)
        self._lock = RLock()
        self._models: set[str] = set()

    def __call__(self, term: Term, subject: str | None = None) -> Ranking:
        """The ranking that a term asks for.

        Args:
            term: of a field that ranks.
            subject: name of the one that `activates:` is about, where the catalogue holds several.

        Raises:
            CatalogueError: there is no index, no such neuron, or no telling which subject.
            SubjectError: a model cannot be loaded, or is not the one that was recorded.
            QueryError: a text in which nothing counts.
        """
        with self._lock:
            key = (self._catalogue.ranking_state(), term, subject)
            return self._known.get(key, lambda: self._made(term, subject))

    @property
    def loaded(self) -> list[str]:
        """Names of the models that stay in memory: subjects, and sentence models with the hash of their weights."""
        return sorted(self._models | set(self._subjects))

    @contextmanager
    def running(self, collection: Collection, *, wait: float = -1) -> Iterator[Subject]:
        """The subject that a collection recorded, for nobody else meanwhile; it stays loaded.

        Args:
            collection: says which.
            wait: seconds until others have done with it; without it, as long as that takes.

        Raises:
            BusyError: others have not done with it by then.
            SubjectError: it cannot be loaded, or is not the one that was recorded.
        """
        if not self._lock.acquire(timeout=wait):
            raise BusyError(f"{collection.subject.name} is busy for others; try again")
        try:
            yield self._subject(collection)
        finally:
            self._lock.release()

    def _made(self, term: Term, subject: str | None) -> Ranking:
        match term.field:
            case "meaning":
                return self._meaning(term)
            case "activates":
                return self._activated(term, subject)
            case "similar":
                neuron = grammar.neuron(term)
                by_text = term.by == "text"
                return (self._catalogue.alike if by_text else self._catalogue.correlated)(neuron)
        raise AssertionError(f"no ranking: {term.field}")

    def _meaning(self, term: Term) -> Ranking:
        name = self._catalogue.meaning_model()
        model = sentence_model(name.rpartition(" ")[0])
        if model.name != name:
            raise CatalogueError(
                "the index of meanings was made by a sentence model of other weights; `neuroexplain db embed` makes it anew"
            )
        self._models = self._models | {name}
        vector = model.text(term.value)
        if vector is None:
            raise term.wrong("a text in which the sentence model sees a token")
        return self._catalogue.nearest(vector)

    def _activated(self, term: Term, subject: str | None) -> Ranking:
        collection = self._catalogue.collection(subject)
        extremes = _extremes(self._subject(collection), collection, term)
        highest, lowest = ({n: e[side] for n, e in extremes.items()} for side in (0, 1))
        return self._catalogue.activated(collection, highest, lowest)

    def _subject(self, collection: Collection) -> Subject:
        name = collection.subject.name
        known = self._subjects.get(name)
        checked = collecting.recorded_subject(self._execution, collection, known)
        self._subjects[name] = checked
        return checked


def _extremes(
    subject: Subject, collection: Collection, term: Term
) -> dict[int, tuple[Floats, Floats]]:
    """Largest and smallest activation [neuron] over the tokens of a text that count, by layer of the collection."""
    from neuroexplain.collectors.ngram_responses import respond
    from neuroexplain.collectors.text_pass import read

    texts = read(subject, [term.value])
    if not texts.counted[0]:
        most = subject.max_positions - len(subject.prefix) - len(subject.suffix)
        raise term.wrong(f"a text with {texts.first + 1} to {most} tokens of {subject.name}")
    found: dict[int, tuple[Floats, Floats]] = {}

    def take(seen: LayerActivations) -> None:
        responses = respond(seen, texts.first)
        highest, lowest = responses.highest[0], responses.lowest[0]
        found[seen.layer] = highest.float().cpu().numpy(), lowest.float().cpu().numpy()

    subject.run([texts.token_ids[0].tolist()], collection.layers, take)
    return found


def search(
    catalogue: Catalogue,
    query: str = "",
    *,
    limit: int | None = None,
    after: str | None = None,
    count: bool = False,
    facets: bool = False,
    seconds: float = SECONDS,
    resolver: Resolver | None = None,
) -> SearchResult:
    """Search a catalogue, by meaning, likeness and activation too; see `Catalogue.search`.

    Models are loaded before the time limit begins.

    Args:
        catalogue: where.
        query: in the language of `grammar`.
        limit: rows at most.
        after: `next` of the page before.
        count: say how many match, up to a limit.
        facets: say what the matches have in common.
        seconds: time limit.
        resolver: of earlier searches, so that models stay loaded.

    Raises:
        QueryError: an unknown field or a bad value; the message has the valid ones and the column.
        CatalogueError: the time was up before anything was found, or there is no index of meanings.
        SubjectError: a model cannot be loaded, or is not the one that was recorded.
    """
    parsed = grammar.parse(query)
    # Not kept in the resolver, which others use meanwhile.
    resolve = partial(resolver or Resolver(catalogue), subject=_subject_of(parsed))
    for part in parsed.where.parts:
        if isinstance(part, Term) and part.field in RANKED:
            resolve(part)
    return catalogue.search(
        query,
        limit=limit,
        after=after,
        count=count,
        facets=facets,
        seconds=seconds,
        resolve=resolve,
    )


def _subject_of(query: Query) -> str | None:
    """The one subject that a query is about, if it says so."""
    named = {term.value for term in query.terms() if term.field == "subject"}
    return named.pop() if len(named) == 1 else None
