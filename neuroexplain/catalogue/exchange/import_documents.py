"""Documents of imported spans: of each are known only the tokens that some span has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, update
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add_one
from neuroexplain.recorded import token_texts

GAP = " … "
"""Stands in a document's text for tokens that no span has."""
SOURCE = "import"
"""Where the texts of imported documents come from."""
_S = tables.Span


class Piece(NamedTuple):
    """Tokens of a span."""

    texts: tuple[str, ...]
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class Whole:
    """Pieces put together."""

    text: str
    token_ids: NDArray[np.uint32]
    """[token]; 0 where it is not known."""
    offsets: NDArray[np.uint32]
    """[token, 2]; empty where it is not known."""
    chars: Mapping[int, tuple[int, int]]
    """First and one-past-last character of every piece, by where it starts."""


def assembled(pieces: Mapping[int, Piece]) -> Whole:
    """A document of pieces that do not overlap, by their first tokens."""
    texts: list[str] = []
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    chars = {}
    at = 0
    for start, piece in sorted(pieces.items()):
        if missing := start - len(ids):
            texts.append(GAP)
            at += len(GAP)
            ids += [0] * missing
            offsets += [(at, at)] * missing
        first = at
        for text in piece.texts:
            offsets.append((at, at + len(text)))
            at += len(text)
        texts += piece.texts
        ids += piece.token_ids
        chars[start] = first, at
    return Whole(
        codec.clean("".join(texts)),
        np.array(ids, dtype=np.uint32),
        np.array(offsets, dtype=np.uint32).reshape(-1, 2),
        chars,
    )


@dataclass(frozen=True)
class Stored:
    """A document as the catalogue has it, with its spans."""

    id: int
    split: int
    pieces: Mapping[int, Piece]
    """By where they start."""
    numbers: Mapping[int, int]
    """Of the spans, by where they start."""

    @classmethod
    def of(cls, row: Any, spans: list[Any]) -> Stored:
        """From its rows."""
        ids = codec.unwords(row.token_ids)
        offsets = codec.unwords(row.offsets).reshape(-1, 2)
        pieces = {}
        for span in spans:
            inside = slice(span.start, span.start + span.length)
            texts = token_texts(row.text, offsets[inside])
            pieces[span.start] = Piece(texts, tuple(ids[inside].tolist()))
        return cls(row.id, row.split, pieces, {span.start: span.number for span in spans})


def fits(start: int, length: int, pieces: Mapping[int, Piece]) -> bool:
    """Whether nothing is in the way of a span."""
    return all(
        start + length <= other or other + len(piece.texts) <= start
        for other, piece in pieces.items()
    )


def make(connection: Connection, corpus_id: int, position: int, split: int, whole: Whole) -> int:
    """Add a document; returns its row."""
    place = {"corpus_id": corpus_id, "position": position, "split": split, "source": SOURCE}
    return add_one(connection, tables.Document, place | _columns(whole))


_MOVE = (
    update(_S)
    .where(col(_S.corpus_id) == bindparam("corpus"), col(_S.number) == bindparam("span"))
    .values(char_start=bindparam("first"), char_end=bindparam("end"))
)


def change(connection: Connection, corpus_id: int, stored: Stored, whole: Whole) -> None:
    """Give a document another content; its spans stay what they are, and move within the text."""
    document = tables.Document
    changed = update(document).where(col(document.id) == stored.id)
    connection.execute(changed.values(**_columns(whole)))
    moved = [
        {"corpus": corpus_id, "span": number, "first": first, "end": end}
        for start, number in stored.numbers.items()
        for first, end in (whole.chars[start],)
    ]
    if moved:
        connection.execute(_MOVE, moved)


def _columns(whole: Whole) -> dict[str, Any]:
    return {
        "text": whole.text,
        "sha256": hashlib.sha256(whole.text.encode()).hexdigest(),
        "token_ids": codec.words(whole.token_ids),
        "offsets": codec.words(whole.offsets),
    }
