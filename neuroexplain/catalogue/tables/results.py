"""Explanations, and what became of them."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class Method(SQLModel, table=True):
    """How an explanation or a simulation was made."""

    __table_args__ = (
        Index(
            "method_content",
            "plugin",
            text("coalesce(llm, '')"),
            "settings",
            text("coalesce(template_sha256, '')"),
            unique=True,
        ),
    )
    id: int = number()
    plugin: str
    llm: str | None = None
    settings: str
    template_sha256: str | None = None


class Explanation(SQLModel, table=True):
    """A hypothesis, or the record of why there is none."""

    __table_args__ = (
        Index("explanation_key", "key"),
        Index("explanation_neuron_id", "neuron_id"),
        Index("explanation_run_id", "run_id"),
        Index("explanation_failed", "run_id", "reason", sqlite_where=text("status = 'failed'")),
    )
    id: int = number()
    key: bytes
    collection_id: int = to("collection")
    neuron_id: int = to("neuron")
    polarity: int
    method_id: int = to("method")
    prompt_sha256: bytes | None = None
    text: str
    data: bytes | None = None
    scale: float
    status: str
    reason: str | None = None
    message: str | None = None
    raw_reply: str | None = None
    parent_id: int | None = to("explanation", default=None)
    run_id: int = to("run")
    created_ms: int


class Simulation(SQLModel, table=True):
    """Predicted levels, packed by `codec`."""

    __table_args__ = (
        Index("simulation_key", "key"),
        Index("simulation_explanation_id", "explanation_id"),
        Index("simulation_run_id", "run_id"),
    )
    id: int = number()
    explanation_id: int = to("explanation")
    key: bytes
    split: str
    method_id: int = to("method")
    n: int
    spans: bytes
    expected: bytes
    run_id: int = to("run")
    created_ms: int


class SimulationFailure(SQLModel, table=True):
    """A span that a simulator gave no levels for."""

    __tablename__ = "simulation_failure"
    simulation_id: int = to("simulation", primary_key=True)
    span: int = Field(primary_key=True)
    reason: str
    message: str
    raw_reply: str | None = None


class TextSet(SQLModel, table=True):
    """Texts that show what an explanation says, or the record of why there are none."""

    __tablename__ = "text_set"
    __table_args__ = (
        Index("text_set_key", "key"),
        Index("text_set_explanation_id", "explanation_id"),
        Index("text_set_run_id", "run_id"),
    )
    id: int = number()
    explanation_id: int = to("explanation")
    key: str
    source: str
    llm: str | None = None
    settings: str
    template_sha256: str | None = None
    prompt_sha256: str | None = None
    wanted: int
    texts: str
    n: int
    n_duplicates: int
    n_unusable: int
    reason: str | None = None
    message: str | None = None
    raw_reply: str | None = None
    run_id: int = to("run")
    created_at: str


class Scorer(SQLModel, table=True):
    """Name of a scorer."""

    id: int = number()
    name: str = Field(unique=True)


class Measure(SQLModel, table=True):
    """What a score is of."""

    __table_args__ = (
        Index(
            "measure_content",
            "scorer_id",
            "simulator",
            text("coalesce(llm, '')"),
            "split",
            unique=True,
        ),
    )
    id: int = number()
    scorer_id: int = to("scorer")
    simulator: str
    llm: str | None = None
    split: str


class Score(SQLModel, table=True):
    """One number about one explanation."""

    __table_args__ = (
        Index("score_explanation_id", "explanation_id", "measure_id"),
        Index("score_run_id", "run_id"),
    )
    id: int = number()
    explanation_id: int = to("explanation")
    simulation_id: int | None = to("simulation", default=None)
    key: bytes
    measure_id: int = to("measure")
    value: float | None = None
    reason: str | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    null_mean: float | None = None
    null_own: float | None = None
    null_n: int
    p_value: float | None = None
    null_reason: str | None = None
    floor: float | None = None
    n_tokens: int
    n_nonzero: int
    coverage: float
    run_id: int = to("run")
    created_ms: int


class Review(SQLModel, table=True):
    """What a person thinks of an explanation."""

    __table_args__ = (
        Index("review_explanation_id", "explanation_id"),
        Index("review_verdict", "verdict"),
    )
    id: int = number()
    explanation_id: int = to("explanation")
    reviewer: str
    verdict: str
    note: str
    seconds: float | None = None
    created_at: str


class ReviewTag(SQLModel, table=True):
    """A word that a reviewer filed an explanation under."""

    __tablename__ = "review_tag"
    __table_args__ = (Index("review_tag_tag", "tag"),)
    review_id: int = to("review", primary_key=True)
    tag: str = Field(primary_key=True)
