"""Reading collections: their evidence, exemplars and spans, as the records that went in.

A sweep reads every neuron several times, so the statements about one neuron are built once. What they read never changes
once its collection is saved: they need no transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import packing
from neuroexplain.catalogue.collections.collected import Collection as Collection
from neuroexplain.catalogue.collections.collected import collection_of as collection_of
from neuroexplain.catalogue.collections.collected import collection_of_run as collection_of_run
from neuroexplain.catalogue.collections.collected import current as current
from neuroexplain.catalogue.collections.collected import find_collection as find_collection
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.errors import AbsentError, unknown
from neuroexplain.levels import side
from neuroexplain.recorded import QUANTILE_LEVELS, SubjectInfo
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


def _build_neuron() -> Select[*tuple[Any, ...]]:
    return _build_neurons().where(col(tables.Neuron.idx) == bindparam("index"))


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
        *(table.kind, table.polarity, table.spans, table.peaks, table.peak_positions),
        *(table.exponents, table.activations, table.inclusion_probability, table.unit),
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


def _build_all_exemplars() -> Select[*tuple[Any, ...]]:
    table = tables.Exemplar
    columns = (
        *(table.split, table.kind, table.polarity, table.spans, table.peaks, table.peak_positions),
        *(table.exponents, table.activations, table.inclusion_probability, table.unit),
    )
    return (
        select(*(col(c) for c in columns))
        .where(
            col(table.neuron_id) == bindparam("neuron"),
            col(table.collection_id) == bindparam("collection"),
            col(table.polarity).in_([bindparam("polarity"), 0]),
        )
        .order_by(col(table.split), col(table.kind))
    )


_NEURONS, _NEURON = Prepared(_build_neurons()), Prepared(_build_neuron())
_STATISTICS, _EXEMPLARS = Prepared(_build_statistics()), Prepared(_build_exemplars())
_PLACES = Prepared(_build_exemplars(places=True))
_ALL_EXEMPLARS = Prepared(_build_all_exemplars())


def neuron_id(connection: Connection, collection: Collection, neuron: NeuronId) -> int:
    """Row of a neuron that a collection recorded, for who will ask for others of the layer too: they are looked up at once.

    Raises:
        AbsentError: it did not; the message has the valid layers and indices.
    """
    width = _width(collection, neuron)
    rows = collection.rows.get(neuron.layer)
    if rows is None:
        rows = _layer_rows(connection, collection.subject, neuron.layer)
        if rows.all():  # else somebody may still be writing them
            collection.rows[neuron.layer] = rows
    found = int(rows[neuron.index]) if 0 <= neuron.index < width else 0
    return _there(found, collection, neuron)


def only_neuron_id(connection: Connection, collection: Collection, neuron: NeuronId) -> int:
    """As `neuron_id`, for who asks for one neuron alone."""
    width, known = _width(collection, neuron), collection.rows.get(neuron.layer)
    if known is not None:
        return neuron_id(connection, collection, neuron)
    subject, place = collection.subject, {"layer": neuron.layer, "index": neuron.index}
    found = _NEURON(connection, subject=subject.name, site=subject.site, **place)
    return _there(found[0].id if found and neuron.index < width else 0, collection, neuron)


def _width(collection: Collection, neuron: NeuronId) -> int:
    """Neurons of a neuron's layer."""
    subject = collection.subject
    if neuron.subject != subject.name:
        raise AbsentError(unknown("subject", neuron.subject, [subject.name]))
    if neuron.layer not in collection.layers:
        layers = ", ".join(map(str, collection.layers))
        raise AbsentError(f"neuron {neuron}: no such layer; {subject.name} has layers {layers}")
    return subject.widths[neuron.layer]


def _there(row: int, collection: Collection, neuron: NeuronId) -> int:
    if not row:
        subject = collection.subject
        width = subject.widths[neuron.layer]
        valid = f"0 to {width - 1}" if width else "no neurons"
        raise AbsentError(
            f"neuron {neuron}: no such index; layer {neuron.layer} of {subject.name} has {valid}"
        )
    return row


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
    rows = _STATISTICS(connection, neuron=neuron, collection=collection.id)
    if not rows:  # an import need not have any
        return Statistics(None, None, None, None, None, None, None)
    (found,) = rows
    moments: list[Any] = list(found[:-1])
    values = [] if found[-1] is None else codec.unfloats(found[-1]).tolist()
    return Statistics(*[*moments, tuple(zip(QUANTILE_LEVELS, values, strict=False))])


def exemplar_rows(
    connection: Connection, collection: Collection, neuron: int, polarity: int
) -> list[Any]:
    """A polarity's exemplars and the random spans of all splits, as they are stored: rows by split and kind."""
    place = {"neuron": neuron, "collection": collection.id, "polarity": polarity}
    return _ALL_EXEMPLARS(connection, **place)


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
