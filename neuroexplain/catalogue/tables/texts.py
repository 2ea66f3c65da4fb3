"""Texts and their tokens."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class Corpus(SQLModel, table=True):
    """Texts, cut into spans by one tokenizer."""

    id: int = number()
    sha256: str = Field(unique=True)
    spec: str
    tokenizer_sha256: str
    seq_len: int
    first: int
    n_documents: int
    n_tokens: int
    n_exact_duplicates: int
    n_near_duplicates: int


class Document(SQLModel, table=True):
    """One text of a corpus, with its tokens."""

    __table_args__ = (UniqueConstraint("corpus_id", "position"),)
    id: int = number()
    corpus_id: int = to("corpus")
    position: int
    sha256: str
    split: int
    source: str
    text: str
    token_ids: bytes
    offsets: bytes


class Span(SQLModel, table=True):
    """Consecutive tokens of one document."""

    __table_args__ = (Index("span_document_id", "document_id"),)
    corpus_id: int = to("corpus", primary_key=True)
    number: int = Field(primary_key=True)
    document_id: int = to("document")
    start: int
    length: int
    char_start: int
    char_end: int
    split: int


class Token(SQLModel, table=True):
    """A token id that occurs in a corpus."""

    corpus_id: int = to("corpus", primary_key=True)
    token_id: int = Field(primary_key=True)
    text: str
