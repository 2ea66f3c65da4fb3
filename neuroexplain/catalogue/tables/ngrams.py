"""N-grams, in context and by themselves."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class Ngram(SQLModel, table=True):
    """N-grams that a neuron answers to."""

    neuron_id: int = to("neuron", primary_key=True)
    collection_id: int = to("collection", primary_key=True)
    polarity: int = Field(primary_key=True)
    rank: int = Field(primary_key=True)
    ngram: str
    mean_response: float
    max_response: float
    count: int


class NgramSet(SQLModel, table=True):
    """Distinct n-grams of some splits of a corpus."""

    __tablename__ = "ngram_set"
    __table_args__ = (UniqueConstraint("corpus_id", "sha256"),)
    id: int = number()
    corpus_id: int = to("corpus")
    sha256: str
    n: int


class NgramText(SQLModel, table=True):
    """An n-gram of a set."""

    __tablename__ = "ngram_text"
    set_id: int = to("ngram_set", primary_key=True)
    number: int = Field(primary_key=True)
    text: str
    count: int


class NgramWord(SQLModel, table=True):
    """A word of a set's n-grams."""

    __tablename__ = "ngram_word"
    set_id: int = to("ngram_set", primary_key=True)
    word: str = Field(primary_key=True)
    n: int


class NgramPass(SQLModel, table=True):
    """One run of a set's n-grams through a subject."""

    __tablename__ = "ngram_pass"
    __table_args__ = (
        Index("ngram_pass_current", "collection_id", unique=True, sqlite_where=text("current = 1")),
    )
    id: int = number()
    key: str = Field(unique=True)
    collection_id: int = to("collection")
    set_id: int = to("ngram_set")
    weights_sha256: str
    corpus_sha256: str
    set_sha256: str
    config: str
    kept: int
    current: int
    created_at: str


class NgramList(SQLModel, table=True):
    """N-grams that a neuron answers to most strongly, packed by `codec`."""

    __tablename__ = "ngram_list"
    neuron_id: int = to("neuron", primary_key=True)
    pass_id: int = to("ngram_pass", primary_key=True)
    polarity: int = Field(primary_key=True)
    aggregator: int = Field(primary_key=True)
    n: int
    numbers: bytes
    exponent: int
    means: bytes
    maxima: bytes


class NgramMoments(SQLModel, table=True):
    """Moments of a neuron's responses over a set."""

    __tablename__ = "ngram_moments"
    neuron_id: int = to("neuron", primary_key=True)
    pass_id: int = to("ngram_pass", primary_key=True)
    mean_mean: float
    mean_std: float
    max_mean: float
    max_std: float
    min_mean: float
    min_std: float
    peaks_excluded: int
    troughs_excluded: int
