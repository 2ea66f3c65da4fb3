"""Explanations as vectors of a sentence model, in the catalogue; `nearest` searches among them.

A vector is kept as int8, and as the signs of BITS fixed projections of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.searching.sql import Sql, fetch
from neuroexplain.catalogue.storage.rows import add
from neuroexplain.records import Floats

BITS = 384
"""Signs of a vector; 48 MB for a million explanations."""
TOGETHER = 18
"""Explanations in a row: as many as fill two pages of a file, by a model of 384 dimensions. With more, reading single vectors
takes longer, with fewer all signs."""
_SEED = b"neuroexplain"

Numbers = NDArray[np.int64]
Int8 = NDArray[np.int8]


def quantised(vectors: Floats) -> Int8:
    """[vector, dimension]; every vector in steps of its own, 127 of them its largest component. Cosines stay."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    steps: Int8 = np.rint(vectors * (127 / largest)).astype(np.int8)
    return steps


@cache
def projection(dimension: int) -> Floats:
    """[BITS, dimension]; rows of a Hadamard matrix, with the signs of some columns turned.

    As good as a random rotation, and the same on every machine: products with int8 are exact in float32.
    """
    rows, columns = np.arange(BITS)[:, None], np.arange(dimension)
    digest = np.frombuffer(shake_256(_SEED).digest(-(-dimension // 8)), np.uint8)
    odd = np.bitwise_count(rows & columns) + np.unpackbits(digest)[:dimension]
    matrix: Floats = np.where(odd % 2, np.float32(-1), np.float32(1))
    return matrix


def _signs(vectors: Int8) -> NDArray[np.uint8]:
    """[vector, BITS / 8]."""
    projected = vectors.astype(np.float32) @ projection(vectors.shape[1]).T
    return np.packbits(projected > 0, axis=1)


def save(connection: Connection, model: str, explanations: Sequence[int], vectors: Int8) -> None:
    """Add vectors to the index.

    Args:
        connection: a transaction that holds the write lock.
        model: the sentence model, with the hash of its weights.
        explanations: rows, ascending.
        vectors: [explanation, dimension], from `quantised`.
    """
    ids, signs = np.array(explanations, "<u8"), _signs(vectors)
    parts = (slice(start, start + TOGETHER) for start in range(0, len(ids), TOGETHER))
    rows = [
        {
            "model": model,
            "n": len(ids[part]),
            "explanations": ids[part].tobytes(),
            "signs": signs[part].tobytes(),
            "vectors": vectors[part].tobytes(),
        }
        for part in parts
    ]
    add(connection, tables.Embedding, rows)


def model_of(connection: Connection) -> str | None:
    """The sentence model of the index; None where there is none.

    While one is being made by another model, the complete one counts.
    """
    found = fetch(connection, Sql("SELECT model FROM embedding ORDER BY id LIMIT 1"))
    return str(found[0][0]) if found else None


def newest(connection: Connection) -> int:
    """Grows with every change of the index."""
    ((number,),) = fetch(connection, Sql("SELECT coalesce(max(id), 0) FROM embedding"))
    return int(number)


def covered(connection: Connection, model: str) -> Numbers:
    """Explanations that have a vector of a model, ascending."""
    found = fetch(connection, Sql("SELECT explanations FROM embedding WHERE model = ?", (model,)))
    return np.sort(ids_of(blob for (blob,) in found))


def remove_others(connection: Connection, model: str) -> None:
    """Remove what is of other models. Needs a transaction that holds the write lock."""
    connection.execute(tables.Embedding.__table__.delete().where(tables.Embedding.model != model))  # type: ignore[attr-defined]


def ids_of(blobs: Iterator[bytes]) -> Numbers:
    """Explanations' rows from the blobs that they are kept in."""
    return np.frombuffer(b"".join(blobs), "<u8").astype(np.int64)
