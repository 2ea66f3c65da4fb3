"""Collections as a catalogue has them, found by what they are called.

A collection never changes once it is saved, so each is made of its row once: counting the spans of its corpus takes far
longer than all else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, func, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.results import runs
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.errors import CatalogueError, unknown
from neuroexplain.recorded import CorpusInfo, SubjectInfo
from neuroexplain.records import SPLITS, Split


@dataclass(frozen=True)
class Collection:
    """One pass over a corpus, as the catalogue has it."""

    id: int
    key: str
    """Hash of everything that determines the result."""
    subject: SubjectInfo
    corpus: CorpusInfo
    config: Mapping[str, Any]
    layers: tuple[int, ...]
    """Layers that were recorded."""
    spans: Mapping[Split, int]
    """Spans of the corpus, by split."""
    created_at: str
    """ISO time, UTC."""
    corpus_id: int
    """Row of the corpus in this catalogue."""
    rows: dict[int, NDArray[np.int64]] = field(default_factory=dict, compare=False, repr=False)
    """[neuron] by layer; the neurons' rows as far as they have been looked up, 0 for the others."""


_C, _S = tables.Collection, tables.Subject
_MADE: WeakKeyDictionary[Any, dict[Any, Collection]] = WeakKeyDictionary()
"""By the pool of a catalogue's connections, and by row."""


def _collections() -> Select[*tuple[Any, ...]]:
    collection = (_C.id, _C.key, _C.corpus_id, _C.site, _C.widths, _C.layers, _C.config)
    subject = (_S.name, _S.spec, _S.weights_sha256, _S.architecture)
    # An import goes on where it was cut off, and adds spans.
    last = (
        select(func.max(col(tables.Span.number)))
        .where(col(tables.Span.corpus_id) == col(_C.corpus_id))
        .scalar_subquery()
        .label("last_span")
    )
    return select(*(col(c) for c in (*collection, _C.created_at, *subject)), last).join(
        _S, col(_S.id) == col(_C.subject_id)
    )


_CURRENT = Prepared(_collections().where(col(_C.current) == 1))
_BY_KEY = Prepared(_collections().where(col(_C.key) == bindparam("key")))
_OF_EXPLANATION = Prepared(
    _collections()
    .join(tables.Explanation, col(tables.Explanation.collection_id) == col(_C.id))
    .where(col(tables.Explanation.id) == bindparam("explanation"))
)


def find_collection(connection: Connection, key: str) -> Collection | None:
    """The collection of a key."""
    rows = _BY_KEY(connection, key=key)
    return _collection(connection, rows[0]) if rows else None


def collection_of(connection: Connection, explanation_id: int) -> Collection:
    """The collection that an explanation was made from."""
    rows = _OF_EXPLANATION(connection, explanation=explanation_id)
    if not rows:
        raise CatalogueError(f"no explanation {explanation_id} in this catalogue")
    return _collection(connection, rows[0])


def collection_of_run(connection: Connection, run_id: int) -> Collection:
    """The collection that a run explained, or scored explanations of; one that added nothing went on with another.

    Raises:
        CatalogueError: neither did.
    """
    explanation, simulation, text_set = tables.Explanation, tables.Simulation, tables.TextSet
    for same in ([run_id], runs.same_key(run_id)):
        for number, run in (
            (explanation.id, explanation.run_id),
            (simulation.explanation_id, simulation.run_id),
            (text_set.explanation_id, text_set.run_id),
            (tables.Score.explanation_id, tables.Score.run_id),
        ):
            query = select(col(number)).where(col(run).in_(same)).order_by(col(run).desc()).limit(1)
            found = connection.scalar(query)
            if found is not None:
                return collection_of(connection, found)
    raise CatalogueError(f"run {run_id} has explained and scored nothing")


def current(connection: Connection, subject: str | None) -> Collection:
    """The current collection of a subject; without a name, of the only one."""
    rows = {row.name: row for row in _CURRENT(connection)}
    if not rows:
        raise CatalogueError("the catalogue is empty; `neuroexplain collect` fills it")
    if subject is None:
        if len(rows) > 1:
            raise CatalogueError(
                f"the catalogue has several subjects, name one: {', '.join(sorted(rows))}"
            )
        subject = next(iter(rows))
    if subject not in rows:
        raise CatalogueError(unknown("subject", subject, rows))
    return _collection(connection, rows[subject])


def _collection(connection: Connection, row: Any) -> Collection:
    made = _MADE.setdefault(connection.engine.pool, {})
    if row not in made:
        made[row] = _make(connection, row)
    return made[row]


def _make(connection: Connection, row: Any) -> Collection:
    span, corpus = tables.Span, tables.Corpus
    info = connection.execute(select(corpus).where(col(corpus.id) == row.corpus_id)).one()
    sizes = connection.execute(
        select(col(span.split), func.count().label("n"))
        .where(col(span.corpus_id) == row.corpus_id)
        .group_by(col(span.split))
    )
    counts = {size.split: size.n for size in sizes}
    return Collection(
        id=row.id,
        key=row.key,
        subject=SubjectInfo(
            name=row.name,
            spec=row.spec,
            weights_sha256=row.weights_sha256,
            architecture=row.architecture,
            site=row.site,
            widths=tuple(json.loads(row.widths)),
        ),
        corpus=CorpusInfo(**{k: v for k, v in info._mapping.items() if k != "id"}),
        config=json.loads(row.config),
        layers=tuple(json.loads(row.layers)),
        spans={name: counts.get(number, 0) for number, name in enumerate(SPLITS)},
        created_at=row.created_at,
        corpus_id=row.corpus_id,
    )
