"""What neurons write towards the vocabulary, written and read.

A neuron has one row, of its upper side: the lower one promotes what the upper one suppresses. It follows from the weights, so
all collections of a subject share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, and_, bindparam, delete, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.spans import listed
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import add, add_rows
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.config import EvidenceConfig
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import OutputBlock
from neuroexplain.records import Floats, OutputTokens

_TABLE = tables.OutputToken
_COLUMNS = (
    *("neuron_id", "wanted", "n", "reason"),
    *("promoted", "promoted_logits", "suppressed", "suppressed_logits"),
)


@dataclass(frozen=True)
class Written:
    """What is known of a neuron's output tokens."""

    tokens: OutputTokens | None
    reason: str | None
    """Why there are none."""


def save(
    connection: Connection,
    collection: reader.Collection,
    block: OutputBlock,
    config: EvidenceConfig,
) -> None:
    """Write the output tokens of some neurons, in place of what there was.

    Raises:
        CatalogueError: a neuron was not recorded, or a logit is too large for float16, or not finite.
    """
    ids = _forget(connection, collection, block.layer, block.indices)
    n = block.promoted.shape[1]
    packed = zip(
        _cut(block.promoted, block.promoted_logits, block.layer),
        _cut(block.suppressed, block.suppressed_logits, block.layer),
        strict=True,
    )
    made = (config.output_tokens, n, None)
    rows = ((row, *made, *up, *down) for row, (up, down) in zip(ids, packed, strict=True))
    add_rows(connection, _TABLE, _COLUMNS, rows)
    neuron = tables.Neuron
    subject = connection.scalar(select(col(neuron.subject_id)).where(col(neuron.id) == ids[0]))
    texts = [
        {"subject_id": subject, "token_id": token_id, "text": text}
        for token_id, text in block.texts.items()
    ]
    add(connection, tables.Vocabulary, texts, known="passed over")


def save_none(
    connection: Connection,
    collection: reader.Collection,
    layer: int,
    indices: Sequence[int],
    reason: str,
    config: EvidenceConfig,
) -> None:
    """Write why some neurons have no output tokens.

    Raises:
        CatalogueError: a neuron was not recorded.
    """
    ids = _forget(connection, collection, layer, indices)
    none = (config.output_tokens, 0, reason, b"", b"", b"", b"")
    add_rows(connection, _TABLE, _COLUMNS, ((row, *none) for row in ids))


def sought(
    connection: Connection, collection: reader.Collection, layer: int, config: EvidenceConfig
) -> NDArray[np.int64]:
    """Indices of the neurons of a layer whose output tokens have been sought by a configuration, ascending."""
    query = reader.indices(_TABLE, layer).where(
        *_of_subject(collection), col(_TABLE.wanted) == config.output_tokens
    )
    return np.array(list(connection.scalars(query)), dtype=np.int64)


def any_found(connection: Connection, collection: reader.Collection) -> bool:
    """Whether a neuron of a collection's subject has output tokens."""
    query = select(col(_TABLE.neuron_id)).join(
        tables.Neuron, col(tables.Neuron.id) == col(_TABLE.neuron_id)
    )
    row = query.where(*_of_subject(collection), col(_TABLE.n) > 0).limit(1)
    return connection.scalar(row) is not None


def _of_subject(collection: reader.Collection) -> list[Any]:
    subject, neuron = tables.Subject, tables.Neuron
    own = select(col(subject.id)).where(col(subject.name) == collection.subject.name)
    return [
        col(neuron.site) == collection.subject.site,
        col(neuron.subject_id) == own.scalar_subquery(),
    ]


def _forget(
    connection: Connection,
    collection: reader.Collection,
    layer: int,
    indices: Sequence[int] | NDArray[np.int64],
) -> list[int]:
    """Rows of some neurons, of which nothing is known from now on."""
    ids = reader.neuron_ids(connection, collection, layer, indices)
    own = col(_TABLE.neuron_id) == bindparam("row")
    connection.execute(delete(_TABLE).where(own), [{"row": row} for row in ids])
    return ids


def _cut(tokens: NDArray[np.uint32], logits: Floats, layer: int) -> Iterator[tuple[bytes, bytes]]:
    """The two columns of every neuron."""
    if not (np.abs(logits) <= np.finfo(np.float16).max).all():
        raise CatalogueError(f"layer {layer}: a logit is infinite, NaN, or too large for float16")
    halves = codec.half(logits)
    counts = [tokens.shape[1]] * len(tokens)
    return zip(
        codec.cut(codec.fixed(tokens, 4), counts, 4), codec.cut(halves, counts, 2), strict=True
    )


def _build() -> Select[*tuple[Any, ...]]:
    columns = (
        *(_TABLE.promoted, _TABLE.promoted_logits, _TABLE.suppressed, _TABLE.suppressed_logits),
        _TABLE.reason,
    )
    return select(*(col(c) for c in columns)).where(col(_TABLE.neuron_id) == bindparam("neuron"))


def _build_texts() -> Select[*tuple[Any, ...]]:
    word, neuron = tables.Vocabulary, tables.Neuron
    return (
        select(col(word.token_id), col(word.text))
        .join(
            neuron,
            and_(
                col(neuron.subject_id) == col(word.subject_id),
                col(neuron.id) == bindparam("neuron"),
            ),
        )
        .where(col(word.token_id).in_(listed("ids")))
    )


_READ, _TEXTS = Prepared(_build()), Prepared(_build_texts())


def read(connection: Connection, neuron: int, polarity: int) -> Written | None:
    """The output tokens of a neuron's side, by its row; None where nobody has sought them."""
    rows = _READ(connection, neuron=neuron)
    if not rows:
        return None
    (row,) = rows
    if row.reason is not None:
        return Written(None, row.reason)
    sides = [
        (codec.unfixed(row.promoted, 4).tolist(), codec.unhalf(row.promoted_logits)),
        (codec.unfixed(row.suppressed, 4).tolist(), codec.unhalf(row.suppressed_logits)),
    ]
    ids = codec.to_json(sides[0][0] + sides[1][0], "token ids")
    texts = {entry.token_id: entry.text for entry in _TEXTS(connection, neuron=neuron, ids=ids)}
    promoted, suppressed = (
        tuple(
            (texts[token_id], logit)
            for token_id, logit in zip(tokens, (logits * polarity).tolist(), strict=True)
        )
        for tokens, logits in sides[::polarity]
    )
    return Written(OutputTokens(promoted, suppressed), None)
