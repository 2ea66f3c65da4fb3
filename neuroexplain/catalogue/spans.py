"""Token spans of a stored corpus; recent ones stay in memory, because neurons share them."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, column, func, select
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.rows import Prepared
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import token_texts
from neuroexplain.records import TokenSpan

KEEP = 50_000
"""Spans of a corpus in memory before all are forgotten: some 120 MB, as equal tokens are kept once."""
BATCH = 500
"""Numbers in one statement."""


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


def listed(name: str) -> Select[Any]:
    """The numbers of a JSON list that is given as a parameter: one statement, however many there are."""
    return select(column("value")).select_from(func.json_each(bindparam(name)))


_SPANS, _DOCUMENTS = Prepared(_build_spans()), Prepared(_build_documents())


class SpanReader:
    """Reads spans and remembers them; may be used from several threads."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, TokenSpan]] = {}  # by corpus
        self._ids: dict[int, int] = {}  # equal numbers are one object, as equal texts are

    def read(
        self, connection: Connection, corpus_id: int, numbers: Sequence[int]
    ) -> dict[int, TokenSpan]:
        """Spans by their numbers in the corpus.

        Raises:
            CatalogueError: the corpus has no such span.
        """
        known = self._known.setdefault(corpus_id, {})
        found = {n: known[n] for n in numbers if n in known}
        missing = sorted(set(numbers) - found.keys())
        if not missing:
            return found
        for start in range(0, len(missing), BATCH):
            found |= self._load(connection, corpus_id, missing[start : start + BATCH])
        absent = set(missing) - found.keys()
        if absent:
            raise CatalogueError(f"the corpus has no span {min(absent)}")
        if len(known) > KEEP:
            # Not emptied: another thread may be reading it.
            known = self._known[corpus_id] = {}
        known |= {n: found[n] for n in missing}
        return found

    def _load(
        self, connection: Connection, corpus_id: int, numbers: Sequence[int]
    ) -> dict[int, TokenSpan]:
        rows: defaultdict[int, list[Any]] = defaultdict(list)
        for row in _SPANS(connection, corpus=corpus_id, numbers=json.dumps(numbers)):
            rows[row.document_id].append(row)
        found = {}
        for document in _DOCUMENTS(connection, ids=json.dumps(list(rows))):
            ids = codec.unwords(document.token_ids)
            offsets = codec.unwords(document.offsets).reshape(-1, 2)
            for row in rows[document.id]:
                inside = slice(row.start, row.start + row.length)
                numbered = ids[inside].tolist()
                found[row.number] = TokenSpan(
                    span=row.number,
                    document=document.position,
                    start=row.start,
                    token_ids=tuple(map(self._ids.setdefault, numbered, numbered)),
                    tokens=tuple(map(sys.intern, token_texts(document.text, offsets[inside]))),
                    first=row.first,
                )
        return found
