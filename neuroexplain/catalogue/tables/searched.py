"""What searches filter, sort and count by."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class ExplanationWord(SQLModel, table=True):
    """A word of some explanation."""

    __tablename__ = "explanation_word"
    word: str = Field(primary_key=True)


class Entry(SQLModel, table=True):
    """What a search filters, sorts and counts by."""

    __table_args__ = (
        Index("entry_score", "score", "id"),
        Index("entry_layer", "layer", "score", "id"),
        Index("entry_place", "layer", "idx", "id"),
        Index("entry_cell", "cell"),
        Index("entry_state", "state", sqlite_where=text("state <> 0")),
    )
    id: int = to("explanation", primary_key=True)
    neuron_id: int = to("neuron")
    subject_id: int = to("subject")
    layer: int
    idx: int
    polarity: int
    method_id: int = to("method")
    state: int
    run_id: int = to("run")
    density: float | None = None
    score: float | None = None
    p_value: float | None = None
    cell: int


class Standing(SQLModel, table=True):
    """The newest score of an explanation by a scorer other than correlation."""

    __table_args__ = (Index("standing_value", "scorer_id", "value", "explanation_id"),)
    scorer_id: int = to("scorer", primary_key=True)
    explanation_id: int = to("explanation", primary_key=True)
    score_id: int = to("score")
    value: float | None = None
    p_value: float | None = None


class Embedding(SQLModel, table=True):
    """Explanations as vectors of a sentence model."""

    __table_args__ = (Index("embedding_model", "model", "id"),)
    id: int = number()
    model: str
    n: int
    explanations: bytes
    signs: bytes
    vectors: bytes
