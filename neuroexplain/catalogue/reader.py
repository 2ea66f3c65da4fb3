"""Reading collections: their evidence, exemplars and spans, as the records that went in.

A sweep reads every neuron several times, so the statements about one neuron are built once. What they read never changes
once its collection is saved: they need no transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, bindparam, func, select
from sqlmodel import col

from neuroexplain.catalogue import codec, packing, runs, tables
from neuroexplain.catalogue.rows import Prepared
from neuroexplain.catalogue.spans import SpanReader
from neuroexplain.errors import CatalogueError, unknown
from neuroexplain.levels import side
from neuroexplain.recorded import QUANTILE_LEVELS, CorpusInfo, SubjectInfo
from neuroexplain.records import (
    KINDS,
    SPLITS,
    Evidence,
    Exemplar,
    Exemplars,
    NeuronId,
    Placed,
    Split,
    Statistics,
    TokenSpan,
)


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


def _build_neurons() -> Select[*tuple[Any, ...]]:
    table, subject = tables.Neuron, tables.Subject
    return (
        select(col(table.idx), col(table.id))
        .join(subject, col(subject.id) == col(table.subject_id))
        .where(
            col(subject.name) == bindparam("subject"),
            col(table.site) == bindparam("site"),
            col(table.layer) == bindparam("layer"),
        )
    )


def _build_statistics() -> Select[*tuple[Any, ...]]:
    """The columns in the order of the record's fields, the quantiles last."""
    table = tables.Statistics
    return select(*(col(getattr(table, f.name)) for f in fields(Statistics))).where(
        col(table.neuron_id) == bindparam("neuron"),
        col(table.collection_id) == bindparam("collection"),
    )


def _build_exemplars(*, places: bool = False) -> Select[*tuple[Any, ...]]:
    table = tables.Exemplar
    columns: tuple[Any, ...] = (
        *(table.kind, table.polarity, table.spans, table.peak_positions, table.exponents),
        *(table.activations, table.inclusion_probability),
    )
    if places:
        columns = (table.kind, table.spans)
    return (
        select(*(col(c) for c in columns))
        .where(
            col(table.neuron_id) == bindparam("neuron"),
            col(table.collection_id) == bindparam("collection"),
            col(table.split) == bindparam("split"),
            col(table.polarity).in_([bindparam("polarity"), 0]),
        )
        .order_by(col(table.kind))
    )


_NEURONS = Prepared(_build_neurons())
_STATISTICS, _EXEMPLARS = Prepared(_build_statistics()), Prepared(_build_exemplars())
_PLACES = Prepared(_build_exemplars(places=True))


def find_collection(connection: Connection, key: str) -> Collection | None:
    """The collection of a key."""
    row = connection.execute(_collections().where(col(tables.Collection.key) == key)).one_or_none()
    return None if row is None else _collection(connection, row)


def collection_of(connection: Connection, explanation_id: int) -> Collection:
    """The collection that an explanation was made from."""
    explanation = tables.Explanation
    query = _collections().where(
        col(tables.Collection.id)
        == select(col(explanation.collection_id))
        .where(col(explanation.id) == explanation_id)
        .scalar_subquery()
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise CatalogueError(f"no explanation {explanation_id} in this catalogue")
    return _collection(connection, row)


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
    query = _collections().where(col(tables.Collection.current) == 1)
    rows = {row.name: row for row in connection.execute(query)}
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


def _collections() -> Select[*tuple[Any, ...]]:
    collection, subject = tables.Collection, tables.Subject
    return select(
        collection,
        *(col(c) for c in (subject.name, subject.spec, subject.weights_sha256)),
        col(subject.architecture),
    ).join(subject, col(subject.id) == col(collection.subject_id))


def _collection(connection: Connection, row: Row[Any]) -> Collection:
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


def neuron_id(connection: Connection, collection: Collection, neuron: NeuronId) -> int:
    """Row of a neuron that a collection recorded.

    Raises:
        CatalogueError: it did not; the message has the valid layers and indices.
    """
    subject = collection.subject
    if neuron.subject != subject.name:
        raise CatalogueError(unknown("subject", neuron.subject, [subject.name]))
    if neuron.layer not in collection.layers:
        layers = ", ".join(map(str, collection.layers))
        raise CatalogueError(f"neuron {neuron}: no such layer; {subject.name} has layers {layers}")
    width = subject.widths[neuron.layer]
    rows = collection.rows.get(neuron.layer)
    if rows is None:
        rows = _layer_rows(connection, subject, neuron.layer)
        if rows.all():  # else somebody may still be writing them
            collection.rows[neuron.layer] = rows
    if not (0 <= neuron.index < width and rows[neuron.index]):
        valid = f"0 to {width - 1}" if width else "no neurons"
        raise CatalogueError(
            f"neuron {neuron}: no such index; layer {neuron.layer} of {subject.name} has {valid}"
        )
    return int(rows[neuron.index])


def neuron_ids(
    connection: Connection,
    collection: Collection,
    layer: int,
    indices: Sequence[int] | NDArray[np.int64],
) -> list[int]:
    """Rows of some neurons of a layer that a collection recorded, in the order given; see `neuron_id`."""
    name = collection.subject.name
    return [neuron_id(connection, collection, NeuronId(name, layer, int(i))) for i in indices]


def indices(table: type[Any], layer: int) -> Select[*tuple[Any, ...]]:
    """Indices of the neurons of a layer that have a row in a table, ascending; to be narrowed down."""
    neuron = tables.Neuron
    return (
        select(col(neuron.idx))
        .join(table, col(table.neuron_id) == col(neuron.id))
        .where(col(neuron.layer) == layer)
        .order_by(col(neuron.idx))
    )


def _layer_rows(connection: Connection, subject: SubjectInfo, layer: int) -> NDArray[np.int64]:
    """Rows of a layer's neurons, by index; 0 where there is none."""
    width = subject.widths[layer]
    found = _NEURONS(connection, subject=subject.name, site=subject.site, layer=layer)
    rows = np.zeros(width, np.int64)
    for row in found:
        if 0 <= row.idx < width:
            rows[row.idx] = row.id
    return rows


def statistics(connection: Connection, collection: Collection, neuron: int) -> Statistics:
    """Moments and quantiles of a neuron, by its row."""
    (found,) = _STATISTICS(connection, neuron=neuron, collection=collection.id)
    moments: list[Any] = list(found[:-1])
    values = [] if found[-1] is None else codec.unfloats(found[-1]).tolist()
    return Statistics(*[*moments, tuple(zip(QUANTILE_LEVELS, values, strict=False))])


def exemplars(
    connection: Connection,
    spans: SpanReader,
    collection: Collection,
    neuron: int,
    polarity: int,
    splits: Iterable[Split],
) -> tuple[Exemplar, ...]:
    """A polarity's exemplars and the random spans, by split, kind and rank; `neuron` is the row."""
    return tuple(
        exemplar
        for split in splits
        for exemplar in _kept(connection, spans, collection, neuron, polarity, split)
    )


def _kept(
    connection: Connection,
    spans: SpanReader,
    collection: Collection,
    neuron: int,
    polarity: int,
    split: Split,
) -> Exemplars:
    found = _rows(_EXEMPLARS, connection, spans, collection, neuron, polarity, split)
    return Exemplars(
        (KINDS[row.kind], partial(_block, row, shown, split, polarity)) for row, shown in found
    )


def _block(row: Any, spans: Sequence[TokenSpan], split: Split, polarity: int) -> list[Exemplar]:
    kind, probability = KINDS[row.kind], row.inclusion_probability
    return packing.unpacked(row, spans, split, kind, polarity, probability)


def places(
    connection: Connection,
    spans: SpanReader,
    collection: Collection,
    neuron: int,
    polarity: int,
    split: Split,
) -> tuple[Placed, ...]:
    """As `exemplars`, without the activations."""
    found = _rows(_PLACES, connection, spans, collection, neuron, polarity, split)
    return tuple(
        Placed(span, KINDS[row.kind], rank)
        for row, shown in found
        for rank, span in enumerate(shown)
    )


def _rows(
    select_: Prepared,
    connection: Connection,
    spans: SpanReader,
    collection: Collection,
    neuron: int,
    polarity: int,
    split: Split,
) -> list[tuple[Any, list[TokenSpan]]]:
    """Rows of one split, a kind each, with their spans."""
    place = {"neuron": neuron, "collection": collection.id, "polarity": polarity}
    rows = select_(connection, **place, split=SPLITS.index(split))
    numbers = [codec.unfixed(row.spans, 4).tolist() for row in rows]
    found = spans.read(connection, collection.corpus_id, [n for block in numbers for n in block])
    return [(row, [found[n] for n in block]) for row, block in zip(rows, numbers, strict=True)]


def evidence(
    connection: Connection, spans: SpanReader, collection: Collection, neuron: NeuronId
) -> Evidence:
    """What an explainer may see of a neuron."""
    row = neuron_id(connection, collection, neuron)
    kept = _kept(connection, spans, collection, row, neuron.polarity, "explain")
    # Nothing fires more strongly than the strongest span.
    peaks = [exemplar.peak for exemplar in kept.of_kind("top") or kept]
    return Evidence(
        neuron=neuron,
        exemplars=kept,
        scale=float(side(np.array([0.0, *peaks], np.float32), neuron.polarity).max()),
        statistics=statistics(connection, collection, row),
        n_spans=collection.spans["explain"],
    )
