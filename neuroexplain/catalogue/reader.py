"""Reading collections: their evidence, exemplars and spans, as the records that went in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, func, select
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.spans import SpanReader
from neuroexplain.errors import CatalogueError, unknown
from neuroexplain.levels import side
from neuroexplain.recorded import QUANTILE_LEVELS, CorpusInfo, SubjectInfo
from neuroexplain.records import (
    KINDS,
    SPLITS,
    Evidence,
    Exemplar,
    Floats,
    NeuronId,
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
    table, place = tables.Neuron, tables.Subject
    found = connection.scalar(
        select(col(table.id))
        .join(place, col(place.id) == col(table.subject_id))
        .where(
            col(place.name) == subject.name,
            col(table.site) == subject.site,
            col(table.layer) == neuron.layer,
            col(table.idx) == neuron.index,
        )
    )
    if found is None:
        width = subject.widths[neuron.layer]
        valid = f"0 to {width - 1}" if width else "no neurons"
        raise CatalogueError(
            f"neuron {neuron}: no such index; layer {neuron.layer} of {subject.name} has {valid}"
        )
    return found


def statistics(connection: Connection, collection: Collection, neuron: int) -> Statistics:
    """Moments and quantiles of a neuron, by its row."""
    table = tables.Statistics
    query = select(table).filter_by(neuron_id=neuron, collection_id=collection.id)
    found = dict(connection.execute(query).one()._mapping)
    packed = found.pop("quantiles")
    values = [] if packed is None else codec.unfloats(packed).tolist()
    moments = {k: v for k, v in found.items() if k not in ("neuron_id", "collection_id")}
    return Statistics(**moments, quantiles=tuple(zip(QUANTILE_LEVELS, values, strict=False)))


def exemplars(
    connection: Connection,
    spans: SpanReader,
    collection: Collection,
    neuron: int,
    polarity: int,
    splits: Iterable[Split],
) -> tuple[Exemplar, ...]:
    """A polarity's exemplars and the random spans, in order of split, kind and rank; `neuron` is the row."""
    table = tables.Exemplar
    rows = connection.execute(
        select(table)
        .where(
            col(table.neuron_id) == neuron,
            col(table.collection_id) == collection.id,
            col(table.split).in_([SPLITS.index(s) for s in splits]),
            col(table.polarity).in_([polarity, 0]),
        )
        .order_by(col(table.split), col(table.kind))
    ).all()
    numbers = {row.id: codec.unfixed(row.spans, 4).tolist() for row in rows}
    found = spans.read(
        connection, collection.corpus_id, [n for block in numbers.values() for n in block]
    )
    return tuple(
        exemplar
        for row in rows
        for exemplar in _block(row, [found[n] for n in numbers[row.id]], polarity)
    )


def _block(row: Row[Any], spans: Sequence[TokenSpan], polarity: int) -> list[Exemplar]:
    exponents = codec.unfixed(row.exponents, 1)
    pieces = codec.split(codec.unhalves(row.activations), [len(span) for span in spans])
    positions = codec.unfixed(row.peak_positions, 2).tolist()
    result = []
    for rank, (span, piece) in enumerate(zip(spans, pieces, strict=True)):
        activations = np.ldexp(piece, exponents[rank]).astype(np.float32)
        # Random spans serve both sides, so where they peak depends on the side that is asked for.
        position = positions[rank] if row.polarity else _peak(activations, span.first, polarity)
        result.append(
            Exemplar(
                span=span,
                activations=activations,
                split=SPLITS[row.split],
                kind=KINDS[row.kind],
                rank=rank,
                peak=float(activations[position]),
                peak_position=position,
                inclusion_probability=row.inclusion_probability,
            )
        )
    return result


def _peak(activations: Floats, first: int, polarity: int) -> int:
    return first + int(np.argmax(activations[first:] * polarity))


def evidence(
    connection: Connection, spans: SpanReader, collection: Collection, neuron: NeuronId
) -> Evidence:
    """What an explainer may see of a neuron."""
    row = neuron_id(connection, collection, neuron)
    kept = exemplars(connection, spans, collection, row, neuron.polarity, ["explain"])
    peaks = [side(e.activations[e.span.first :], neuron.polarity).max(initial=0) for e in kept]
    return Evidence(
        neuron=neuron,
        exemplars=kept,
        scale=float(max(peaks, default=0)),
        statistics=statistics(connection, collection, row),
        n_spans=collection.spans["explain"],
    )
