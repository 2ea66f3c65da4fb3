"""Token spans of a stored corpus; recent ones stay in memory, because neurons share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import token_texts
from neuroexplain.records import TokenSpan

KEEP = 20_000
"""Spans in memory before all are forgotten: some 100 MB."""
BATCH = 500
"""Numbers in one statement."""


class SpanReader:
    """Reads spans and remembers them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], TokenSpan] = {}

    def read(
        self, connection: Connection, corpus_id: int, numbers: Sequence[int]
    ) -> dict[int, TokenSpan]:
        """Spans by their numbers in the corpus.

        Raises:
            CatalogueError: the corpus has no such span.
        """
        found = {n: self._known[corpus_id, n] for n in numbers if (corpus_id, n) in self._known}
        missing = sorted(set(numbers) - found.keys())
        for start in range(0, len(missing), BATCH):
            found |= _load(connection, corpus_id, missing[start : start + BATCH])
        absent = set(missing) - found.keys()
        if absent:
            raise CatalogueError(f"the corpus has no span {min(absent)}")
        if len(self._known) > KEEP:
            self._known.clear()
        self._known |= {(corpus_id, n): found[n] for n in missing}
        return found


def _load(connection: Connection, corpus_id: int, numbers: Sequence[int]) -> dict[int, TokenSpan]:
    span, document, corpus = tables.Span, tables.Document, tables.Corpus
    columns = (span.number, span.start, span.length, span.document_id, corpus.first)
    rows = connection.execute(
        select(*(col(c) for c in columns))
        .join(corpus, col(corpus.id) == col(span.corpus_id))
        .where(col(span.corpus_id) == corpus_id, col(span.number).in_(numbers))
    ).all()
    ids = {row.document_id for row in rows}
    texts = {
        row.id: row for row in connection.execute(select(document).where(col(document.id).in_(ids)))
    }
    return {row.number: _span(row, texts[row.document_id]) for row in rows}


def _span(row: Row[*tuple[Any, ...]], document: Row[*tuple[Any, ...]]) -> TokenSpan:
    inside = slice(row.start, row.start + row.length)
    offsets = codec.unwords(document.offsets).reshape(-1, 2)
    return TokenSpan(
        span=row.number,
        document=document.position,
        start=row.start,
        token_ids=tuple(codec.unwords(document.token_ids)[inside].tolist()),
        tokens=token_texts(document.text, offsets[inside]),
        first=row.first,
    )
