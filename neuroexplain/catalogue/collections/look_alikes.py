"""Look-alikes of neurons, written and read; packed as exemplars are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, delete, literal, null, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import packing, reader
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import add_rows
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.config import EvidenceConfig
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import LookAlikes
from neuroexplain.records import Exemplar

_TABLE = tables.LookAlike
_COLUMNS = (
    *("neuron_id", "collection_id", "polarity", "wanted", "quiet", "reason", "likeness"),
    *packing.COLUMNS,
)


@dataclass(frozen=True)
class LookAlike:
    """A look-alike as it is stored."""

    exemplar: Exemplar
    likeness: float
    """Cosine of the span's look with what the neuron's strongest spans have in common."""


@dataclass(frozen=True)
class Sought:
    """What came of seeking a neuron's look-alikes."""

    found: tuple[LookAlike, ...]
    """The most alike first."""
    reason: str | None
    """Why there are none."""


def save(
    connection: Connection,
    collection: reader.Collection,
    found: LookAlikes,
    config: EvidenceConfig,
) -> None:
    """Write what was found for some neurons, in place of what there was.

    Args:
        connection: in a transaction.
        collection: of the neurons.
        found: of one layer and side.
        config: by which they were sought.

    Raises:
        CatalogueError: a neuron was not recorded, or a number is not finite.
    """
    if not np.isfinite(found.block.activations).all():
        raise CatalogueError(f"layer {found.layer}: an activation is NaN or infinite")
    polarity = found.block.polarity
    ids = reader.neuron_ids(connection, collection, found.layer, found.indices)
    own = [col(_TABLE.neuron_id) == bindparam("row"), *_place(collection.id, polarity)]
    connection.execute(delete(_TABLE).where(*own), [{"row": row} for row in ids])
    kept = found.block.spans >= 0
    likeness = codec.cut(codec.half(found.likeness[kept]), kept.sum(axis=1).tolist(), 2)
    made = (collection.id, polarity, config.look_alikes, config.quiet)
    rows = zip(
        ids, found.reasons, likeness, packing.packed(found.block, found.lengths), strict=True
    )
    values = ((row, *made, reason, alike, *packed) for row, reason, alike, packed in rows)
    add_rows(connection, _TABLE, _COLUMNS, values)


def sought(
    connection: Connection,
    collection: reader.Collection,
    layer: int,
    polarity: int,
    config: EvidenceConfig,
) -> NDArray[np.int64]:
    """Indices of the neurons of a layer and side whose look-alikes have been sought by a configuration, ascending."""
    query = reader.indices(_TABLE, layer).where(
        *_place(collection.id, polarity),
        col(_TABLE.wanted) == config.look_alikes,
        col(_TABLE.quiet) == config.quiet,
    )
    return np.array(list(connection.scalars(query)), dtype=np.int64)


def _place(collection_id: int, polarity: int) -> list[Any]:
    return [col(_TABLE.collection_id) == collection_id, col(_TABLE.polarity) == polarity]


def _build() -> Select[*tuple[Any, ...]]:
    columns = (
        *(_TABLE.spans, _TABLE.likeness, _TABLE.polarity, _TABLE.peak_positions),
        *(_TABLE.exponents, _TABLE.activations, _TABLE.reason),
    )
    # Few and quiet, they are kept as float16. None of them was drawn.
    drawn = (null().label("unit"), literal(0.0).label("inclusion_probability"))
    return select(*(col(c) for c in columns), *drawn).where(
        col(_TABLE.neuron_id) == bindparam("neuron"),
        col(_TABLE.collection_id) == bindparam("collection"),
        col(_TABLE.polarity) == bindparam("polarity"),
    )


_READ = Prepared(_build())


def find(
    connection: Connection, collection: reader.Collection, neuron: int, polarity: int
) -> Any | None:
    """The row of a neuron's look-alikes, by the neuron's row; None where nobody has sought them."""
    rows = _READ(connection, neuron=neuron, collection=collection.id, polarity=polarity)
    return rows[0] if rows else None


def read(
    connection: Connection,
    spans: SpanReader,
    collection: reader.Collection,
    neuron: int,
    polarity: int,
) -> Sought | None:
    """The look-alikes of a neuron, by its row; None where nobody has sought them."""
    row = find(connection, collection, neuron, polarity)
    if row is None:
        return None
    numbers = codec.unfixed(row.spans, 4).tolist()
    found = spans.read(connection, collection.corpus_id, numbers)
    exemplars = packing.unpacked(
        row,
        [found[n] for n in numbers],
        "explain",
        "contrastive",
        polarity,
        row.inclusion_probability,
    )
    pairs = zip(exemplars, codec.unhalf(row.likeness).tolist(), strict=True)
    return Sought(tuple(LookAlike(*pair) for pair in pairs), row.reason)
