"""Saving a corpus: its documents, spans and token ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection, select
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.engine import add, add_one, add_rows
from neuroexplain.recorded import TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS


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
