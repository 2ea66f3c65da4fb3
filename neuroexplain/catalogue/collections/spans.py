"""Token spans of a stored corpus; recent ones stay in memory, because neurons share them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.catalogue.storage.rows import listed as listed
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import token_texts
from neuroexplain.records import TokenSpan

KEEP = 50_000
"""Spans of a corpus in memory before all are forgotten: some 120 MB, as equal tokens are kept once."""
BATCH = 500
"""Numbers in one statement."""
KEEP_TOKENS = 4_000_000
"""Tokens of documents in memory before all are forgotten: some 80 MB. A document has many spans."""
T = TypeVar("T")


def _build_spans() -> Select[*tuple[Any, ...]]:
    table, corpus = tables.Span, tables.Corpus
    columns = (table.number, table.start, table.length, table.document_id, corpus.first)
    return (
        select(*(col(c) for c in columns))
        .join(corpus, col(corpus.id) == col(table.corpus_id))
        .where(
            col(table.corpus_id) == bindparam("corpus"),
            col(table.number).in_(listed("numbers")),
        )
    )


def _build_documents() -> Select[*tuple[Any, ...]]:
    table = tables.Document
    columns = (table.id, table.position, table.text, table.token_ids, table.offsets)
    return select(*(col(c) for c in columns)).where(col(table.id).in_(listed("ids")))


_SPANS, _DOCUMENTS = Prepared(_build_spans()), Prepared(_build_documents())


class Excerpt(NamedTuple):
    """A span as readers of a page see it: without the token ids, which take as long to unpack as all else."""

    document: int
    """Position of its document in the corpus."""
    start: int
    """Index of its first token within the document."""
    tokens: tuple[str, ...]
    first: int
    """Leading tokens that count for nothing."""


class _Document:
    """A document as far as it has been unpacked."""

    def __init__(self, row: Any) -> None:
        self._row = row
        self.position: int = row.position
        self.offsets = codec.unwords(row.offsets).reshape(-1, 2)

    @cached_property
    def token_ids(self) -> NDArray[np.uint32]:
        return codec.unwords(self._row.token_ids)

    def texts(self, inside: slice) -> tuple[str, ...]:
        """Of some tokens; equal texts are one object."""
        return tuple(map(sys.intern, token_texts(self._row.text, self.offsets[inside])))


class SpanReader:
    """Reads spans and remembers them; may be used from several threads."""

    def __init__(self) -> None:
        self._spans: dict[int, dict[int, TokenSpan]] = {}  # by corpus
        self._excerpts: dict[int, dict[int, Excerpt]] = {}
        self._ids: dict[int, int] = {}  # equal numbers are one object, as equal texts are
        self._documents: dict[int, _Document] = {}
        self._tokens = 0  # of the documents

    def read(
        self, connection: Connection, corpus_id: int, numbers: Sequence[int]
    ) -> dict[int, TokenSpan]:
        """Spans by their numbers in the corpus.

        Raises:
            CatalogueError: the corpus has no such span.
        """
        return self._read(self._spans, self._span, connection, corpus_id, numbers)

    def excerpts(
        self, connection: Connection, corpus_id: int, numbers: Sequence[int]
    ) -> dict[int, Excerpt]:
        """What can be seen of spans, by their numbers in the corpus.

        Raises:
            CatalogueError: the corpus has no such span.
        """
        return self._read(self._excerpts, self._excerpt, connection, corpus_id, numbers)

    def _read(
        self,
        kept: dict[int, dict[int, T]],
        make: Callable[[_Document, Any], T],
        connection: Connection,
        corpus_id: int,
        numbers: Sequence[int],
    ) -> dict[int, T]:
        known = kept.setdefault(corpus_id, {})
        found = {n: known[n] for n in numbers if n in known}
        missing = sorted(set(numbers) - found.keys())
        if not missing:
            return found
        for start in range(0, len(missing), BATCH):
            some = json.dumps(missing[start : start + BATCH])
            rows = _SPANS(connection, corpus=corpus_id, numbers=some)
            documents = self._unpack(connection, {row.document_id for row in rows})
            found |= {row.number: make(documents[row.document_id], row) for row in rows}
        absent = set(missing) - found.keys()
        if absent:
            raise CatalogueError(f"the corpus has no span {min(absent)}")
        if len(known) > KEEP:
            # Not emptied: another thread may be reading it.
            known = kept[corpus_id] = {}
        known |= {n: found[n] for n in missing}
        return found

    def _unpack(self, connection: Connection, ids: set[int]) -> dict[int, _Document]:
        known = self._documents
        found = {n: known[n] for n in ids if n in known}
        missing = ids - found.keys()
        if not missing:
            return found
        new = {
            row.id: _Document(row) for row in _DOCUMENTS(connection, ids=json.dumps(list(missing)))
        }
        self._tokens += sum(len(document.offsets) for document in new.values())
        if self._tokens > KEEP_TOKENS:
            self._documents, self._tokens = {}, 0
        self._documents |= new
        return found | new

    def _span(self, document: _Document, row: Any) -> TokenSpan:
        inside = slice(row.start, row.start + row.length)
        numbered = document.token_ids[inside].tolist()
        return TokenSpan(
            span=row.number,
            document=document.position,
            start=row.start,
            token_ids=tuple(map(self._ids.setdefault, numbered, numbered)),
            tokens=document.texts(inside),
            first=row.first,
        )

    def _excerpt(self, document: _Document, row: Any) -> Excerpt:
        tokens = document.texts(slice(row.start, row.start + row.length))
        return Excerpt(document.position, row.start, tokens, row.first)
