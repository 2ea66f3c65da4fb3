"""Saving a corpus, its documents, spans and token ids; and reading a split of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import add, add_one, add_rows
from neuroexplain.recorded import SplitTokens, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Split


def save_corpus(connection: Connection, corpus: TokenCorpus) -> int:
    """The row of a corpus, which is written if it is not there."""
    table = tables.Corpus
    known = connection.scalar(select(col(table.id)).where(col(table.sha256) == corpus.info.sha256))
    if known is not None:
        return known
    corpus_id = add_one(connection, table, asdict(corpus.info))
    add(connection, tables.Document, (_document(corpus_id, d) for d in corpus.documents))
    document = tables.Document
    places = select(col(document.position), col(document.id)).where(
        col(document.corpus_id) == corpus_id
    )
    ids = {row.position: row.id for row in connection.execute(places)}
    add(connection, tables.Span, _spans(corpus_id, corpus, ids))
    tokens = ((corpus_id, *token) for token in _tokens(corpus.documents))
    add_rows(connection, tables.Token, ("corpus_id", "token_id", "text"), tokens)
    return corpus_id


def split_tokens(connection: Connection, corpus_id: int, split: Split) -> SplitTokens:
    """The spans of one split of a corpus."""
    span, document, corpus = tables.Span, tables.Document, tables.Corpus
    part = SPLITS.index(split)
    places, ids, before = {}, [], 0
    texts = select(col(document.id), col(document.position), col(document.token_ids)).where(
        col(document.corpus_id) == corpus_id, col(document.split) == part
    )
    for row in connection.execute(texts.order_by(col(document.position))):
        ids.append(codec.unwords(row.token_ids))
        places[row.id] = row.position, before
        before += len(ids[-1])
    spans = select(*(col(c) for c in (span.number, span.document_id, span.start, span.length)))
    spans = spans.where(col(span.corpus_id) == corpus_id, col(span.split) == part)
    found = connection.execute(spans.order_by(col(span.number)))
    rows = [
        (r.number, places[r.document_id][0], places[r.document_id][1] + r.start, r.length)
        for r in found
    ]
    numbers, documents, starts, lengths = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    first = connection.scalar(select(col(corpus.first)).where(col(corpus.id) == corpus_id))
    together = np.concatenate([np.empty(0, np.uint32), *ids])
    return SplitTokens(int(first or 0), numbers, documents, starts, lengths, together)


def _document(corpus_id: int, entry: TokenDocument) -> dict[str, Any]:
    document = entry.document
    return {
        "corpus_id": corpus_id,
        "position": document.position,
        "sha256": document.sha256,
        "split": SPLITS.index(document.split),
        "source": document.source,
        "text": document.text,
        "token_ids": codec.words(entry.token_ids),
        "offsets": codec.words(entry.offsets),
    }


def _spans(
    corpus_id: int, corpus: TokenCorpus, documents: Mapping[int, int]
) -> Iterator[dict[str, Any]]:
    for number, position in enumerate(corpus.span_document.tolist()):
        start, length = int(corpus.span_start[number]), int(corpus.span_length[number])
        offsets = corpus.documents[position].offsets[start : start + length]
        yield {
            "corpus_id": corpus_id,
            "number": number,
            "document_id": documents[position],
            "start": start,
            "length": length,
            "char_start": int(offsets[0, 0]),
            "char_end": int(offsets.max()),
            "split": int(corpus.span_split[number]),
        }


def _tokens(documents: Iterable[TokenDocument]) -> Iterator[tuple[int, str]]:
    """Every token id with the characters of its first occurrence."""
    seen: set[int] = set()
    for entry in documents:
        ids, places = np.unique(entry.token_ids, return_index=True)
        for token_id, place in zip(ids.tolist(), places.tolist(), strict=True):
            if token_id not in seen:
                seen.add(token_id)
                start, end = entry.offsets[place].tolist()
                yield token_id, codec.clean(entry.document.text[start:end])
