"""Imported spans: documents, spans and token ids in the corpus of a collection.

A span that tells its place is put into the document of that position, whose other tokens stay unknown until a span that
has them comes. One that tells none becomes a document of its own, at a position below 0 that follows from its content: so
equal ones share it, and nothing about earlier batches has to be remembered. A place that other tokens hold counts as none.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy import text as sql_text
from sqlmodel import SQLModel, col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.exchange.import_documents import (
    Piece,
    Stored,
    Whole,
    assembled,
    change,
    fits,
    make,
)
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add, listed
from neuroexplain.exchanged import SpanLevels, SpanRecord
from neuroexplain.records import SPLITS, Split

NUMBERED = 2**31
"""Token ids from here on are numbers of texts whose ids nobody told."""
_D, _S, _C = tables.Document, tables.Span, tables.Corpus
_DOCUMENTS = Prepared(
    select(
        *(col(c) for c in (_D.id, _D.position, _D.split, _D.text, _D.token_ids, _D.offsets))
    ).where(col(_D.corpus_id) == bindparam("corpus"), col(_D.position).in_(listed("positions")))
)
_SPANS = Prepared(
    select(*(col(c) for c in (_S.number, _S.document_id, _S.start, _S.length)))
    .where(col(_S.corpus_id) == bindparam("corpus"), col(_S.document_id).in_(listed("documents")))
    .order_by(col(_S.number))
)
_ADD_TOKEN = sql_text(
    "INSERT INTO token (corpus_id, token_id, text) VALUES (:corpus_id, :token_id, :text)"
    " ON CONFLICT DO NOTHING"
)


class Shown(NamedTuple):
    """What makes two spans the same."""

    tokens: tuple[str, ...]
    token_ids: tuple[int, ...] | None
    split: Split
    document: int | None = None
    start: int = 0

    @classmethod
    def of(cls, span: SpanRecord | SpanLevels, split: Split) -> Shown:
        """Of a record; one that does not tell both document and start has no place."""
        placed = span.document is not None and span.start is not None
        place = (span.document, span.start or 0) if placed else (None, 0)
        plain = "".join(span.tokens).isascii()
        tokens = span.tokens if plain else tuple(map(codec.clean, span.tokens))
        return cls(tokens, span.token_ids, split, *place)

    @property
    def alone(self) -> Shown:
        """The same without a place."""
        return Shown(self.tokens, self.token_ids, self.split)

    @property
    def position(self) -> int:
        """Of its document."""
        if self.document is not None:
            return self.document
        content = json.dumps([self.tokens, self.token_ids, self.split]).encode()
        # 52 bits, which every program that reads JSON holds exactly.
        return -1 - (int.from_bytes(hashlib.sha256(content).digest()[:7], "big") >> 4)


class Numbers:
    """Numbers of texts of tokens whose ids nobody told; equal texts have one, in whatever batch they come.

    Args:
        table: holds `token_id` and `text`.
        **owner: whose: the column and its value.
    """

    def __init__(self, table: type[SQLModel], **owner: int) -> None:
        self._table: Any = table
        self._owner = owner
        self._known: dict[str, int] | None = None

    def of(self, connection: Connection, texts: Iterable[str]) -> list[int]:
        """One for every text; the caller writes them down, also those that it got before."""
        known = self._known
        if known is None:
            query = select(col(self._table.text), col(self._table.token_id))
            query = query.filter_by(**self._owner).where(col(self._table.token_id) >= NUMBERED)
            known = self._known = {row.text: row.token_id for row in connection.execute(query)}
        return [known.setdefault(text, NUMBERED + len(known)) for text in texts]


class SpanImport:
    """Finds the spans of records in a corpus, and adds those that are not there.

    Args:
        corpus_id: row of the corpus.
        grows: whether spans may be added to it.
    """

    def __init__(self, corpus_id: int, *, grows: bool) -> None:
        self._corpus_id = corpus_id
        self._grows = grows
        self._ids = Numbers(tables.Token, corpus_id=corpus_id)

    def numbers(self, connection: Connection, wanted: Iterable[Shown]) -> dict[Shown, int]:
        """Numbers of spans in the corpus; without those that are not there, where it does not grow.

        Needs a transaction that holds the write lock.
        """
        chosen = list(dict.fromkeys(wanted))
        documents = self._read(connection, {shown.position for shown in chosen})
        found: dict[Shown, int] = {}
        new: defaultdict[int, dict[int, Shown]] = defaultdict(dict)
        same: dict[Shown, Shown] = {}
        displaced: list[Shown] = []
        for shown in chosen:
            stored, coming = documents.get(shown.position), new[shown.position]
            twin = coming.get(shown.start)
            held = _held(shown, stored)
            if held is not None:
                found[shown] = held
            elif twin is not None and twin.tokens == shown.tokens:
                same[shown] = twin  # said to be of another split
            elif _free(shown, stored, coming):
                coming[shown.start] = shown
            elif shown.document is not None:
                displaced.append(shown)
        if self._grows:
            found |= self._add(connection, documents, new)
        found |= {shown: found[twin] for shown, twin in same.items() if twin in found}
        if displaced:
            alone = self.numbers(connection, [shown.alone for shown in displaced])
            found |= {s: alone[s.alone] for s in displaced if s.alone in alone}
        return found

    def _read(self, connection: Connection, positions: Iterable[int]) -> dict[int, Stored]:
        """Documents by position."""
        own = {"corpus": self._corpus_id}
        rows = _DOCUMENTS(connection, **own, positions=json.dumps(sorted(positions)))
        spans: defaultdict[int, list[Any]] = defaultdict(list)
        for row in _SPANS(connection, **own, documents=json.dumps([row.id for row in rows])):
            spans[row.document_id].append(row)
        return {row.position: Stored.of(row, spans[row.id]) for row in rows}

    def _add(
        self,
        connection: Connection,
        documents: Mapping[int, Stored],
        new: Mapping[int, Mapping[int, Shown]],
    ) -> dict[Shown, int]:
        """Put spans into documents, which are made where they are missing."""
        last = select(func.max(col(_S.number))).where(col(_S.corpus_id) == self._corpus_id)
        known = connection.scalar(last)
        following = 0 if known is None else known + 1
        found: dict[Shown, int] = {}
        rows = []
        texts: dict[int, str] = {}
        made = 0
        for position, spans in new.items():
            if not spans:
                continue
            stored = documents.get(position)
            pieces = dict(stored.pieces) if stored else {}
            pieces |= {start: self._piece(connection, shown) for start, shown in spans.items()}
            whole = assembled(pieces)
            document = self._write(connection, stored, position, spans, whole)
            made += stored is None
            for start, shown in spans.items():
                texts |= dict(zip(pieces[start].token_ids, shown.tokens, strict=True))
                found[shown] = following
                rows.append(_row(self._corpus_id, following, document, shown, whole))
                following += 1
        add(connection, _S, rows)
        self._count(connection, texts, rows, made)
        return found

    def _piece(self, connection: Connection, shown: Shown) -> Piece:
        ids = shown.token_ids or tuple(self._ids.of(connection, shown.tokens))
        return Piece(shown.tokens, ids)

    def _write(
        self,
        connection: Connection,
        stored: Stored | None,
        position: int,
        spans: Mapping[int, Shown],
        whole: Whole,
    ) -> int:
        if stored is None:
            split = SPLITS.index(next(iter(spans.values())).split)
            return make(connection, self._corpus_id, position, split, whole)
        change(connection, self._corpus_id, stored, whole)
        return stored.id

    def _count(
        self, connection: Connection, texts: Mapping[int, str], rows: list[Any], made: int
    ) -> None:
        """Note the tokens that have come, and how many."""
        if not rows:
            return
        tokens = [
            {"corpus_id": self._corpus_id, "token_id": number, "text": text}
            for number, text in texts.items()
        ]
        connection.execute(_ADD_TOKEN, tokens)
        lengths = [row["length"] for row in rows]
        longest = max(lengths)
        connection.execute(
            update(_C)
            .where(col(_C.id) == self._corpus_id)
            .values(
                n_documents=col(_C.n_documents) + made,
                n_tokens=col(_C.n_tokens) + sum(lengths),
                seq_len=case((col(_C.seq_len) < longest, longest), else_=col(_C.seq_len)),
            )
        )


def _held(shown: Shown, stored: Stored | None) -> int | None:
    """Number of a span that is there already, of whatever split."""
    piece = None if stored is None else stored.pieces.get(shown.start)
    if stored is None or piece is None or piece.texts != shown.tokens:
        return None
    return stored.numbers[shown.start]


def _free(shown: Shown, stored: Stored | None, new: Mapping[int, Shown]) -> bool:
    """Whether a span can be put where it says that it is."""
    if stored is not None and stored.split != SPLITS.index(shown.split):
        return False
    if any(other.split != shown.split for other in new.values()):
        return False
    pieces = dict(stored.pieces) if stored else {}
    pieces |= {start: Piece(other.tokens, ()) for start, other in new.items()}
    return fits(shown.start, len(shown.tokens), pieces)


def _row(corpus_id: int, number: int, document: int, shown: Shown, whole: Whole) -> dict[str, Any]:
    first, end = whole.chars[shown.start]
    return {
        "corpus_id": corpus_id,
        "number": number,
        "document_id": document,
        "start": shown.start,
        "length": len(shown.tokens),
        "char_start": first,
        "char_end": end,
        "split": SPLITS.index(shown.split),
    }
