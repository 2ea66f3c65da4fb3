"""The tables as SQLModel classes, for building statements; `db/*.sql` makes them and says what each column means.

A test compares the two, column by column. CHECK constraints are in the SQL alone. Rows go in and out through
statements, never as objects, so a class here is nothing but a list of columns.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel


def _id() -> Any:
    return Field(default=None, primary_key=True)


def _to(target: str, **settings: Any) -> Any:
    return Field(foreign_key=f"{target}.id", **settings)


class SchemaMigration(SQLModel, table=True):
    """A migration that the file has been through."""

    __tablename__ = "schema_migration"
    number: int = Field(primary_key=True)
    name: str
    sha256: str
    applied_at: str


class Subject(SQLModel, table=True):
    """A model whose neurons are explained."""

    id: int = _id()
    name: str = Field(unique=True)
    spec: str
    weights_sha256: str
    architecture: str


class Corpus(SQLModel, table=True):
    """Texts, cut into spans by one tokenizer."""

    id: int = _id()
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
    id: int = _id()
    corpus_id: int = _to("corpus")
    position: int
    sha256: str
    split: int
    source: str
    text: str
    token_ids: bytes
    offsets: bytes


class Span(SQLModel, table=True):
    """Consecutive tokens of one document."""

    corpus_id: int = _to("corpus", primary_key=True)
    number: int = Field(primary_key=True)
    document_id: int = _to("document")
    start: int
    length: int
    char_start: int
    char_end: int
    split: int


class Token(SQLModel, table=True):
    """A token id that occurs in a corpus."""

    corpus_id: int = _to("corpus", primary_key=True)
    token_id: int = Field(primary_key=True)
    text: str


class Collection(SQLModel, table=True):
    """One pass over a corpus."""

    __table_args__ = (
        Index("collection_current", "subject_id", unique=True, sqlite_where=text("current = 1")),
    )
    id: int = _id()
    key: str = Field(unique=True)
    subject_id: int = _to("subject")
    corpus_id: int = _to("corpus")
    site: str
    widths: str
    layers: str
    kept: int
    responses: int
    config: str
    current: int
    created_at: str


class Neuron(SQLModel, table=True):
    """One unit of one layer of a subject."""

    __table_args__ = (UniqueConstraint("subject_id", "site", "layer", "idx"),)
    id: int = _id()
    subject_id: int = _to("subject")
    site: str
    layer: int
    idx: int


class Statistics(SQLModel, table=True):
    """Moments of a neuron."""

    neuron_id: int = _to("neuron", primary_key=True)
    collection_id: int = _to("collection", primary_key=True)
    n_tokens: int
    n_spans: int
    mean: float
    std: float
    min: float
    max: float
    frac_positive: float
    peaks_excluded: int
    troughs_excluded: int
    quantiles: bytes | None = None


class Exemplar(SQLModel, table=True):
    """Spans kept for a neuron, packed by `codec`."""

    __table_args__ = (UniqueConstraint("neuron_id", "collection_id", "split", "kind", "polarity"),)
    id: int = _id()
    neuron_id: int = _to("neuron")
    collection_id: int = _to("collection")
    split: int
    kind: int
    polarity: int
    n: int
    spans: bytes
    peaks: bytes
    peak_positions: bytes
    exponents: bytes
    activations: bytes
    inclusion_probability: float


class PeakToken(SQLModel, table=True):
    """Token texts on which a neuron peaks."""

    __tablename__ = "peak_token"
    collection_id: int = _to("collection", primary_key=True)
    neuron_id: int = _to("neuron", primary_key=True)
    polarity: int = Field(primary_key=True)
    token: str = Field(primary_key=True)
    n: int
    __table_args__ = (Index("peak_token_token", "token"),)


class TokenResponse(SQLModel, table=True):
    """Token ids on which a neuron is strongest on average, packed by `codec`."""

    __tablename__ = "token_response"
    neuron_id: int = _to("neuron", primary_key=True)
    collection_id: int = _to("collection", primary_key=True)
    polarity: int = Field(primary_key=True)
    n: int
    token_ids: bytes
    means: bytes
    extremes: bytes
    counts: bytes


class LayerSketch(SQLModel, table=True):
    """Directions of a layer's neurons, packed by `codec`."""

    __tablename__ = "layer_sketch"
    collection_id: int = _to("collection", primary_key=True)
    layer: int = Field(primary_key=True)
    n_tokens: int
    directions: bytes


class Ngram(SQLModel, table=True):
    """N-grams that a neuron answers to."""

    neuron_id: int = _to("neuron", primary_key=True)
    collection_id: int = _to("collection", primary_key=True)
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
    id: int = _id()
    corpus_id: int = _to("corpus")
    sha256: str
    n: int


class NgramText(SQLModel, table=True):
    """An n-gram of a set."""

    __tablename__ = "ngram_text"
    set_id: int = _to("ngram_set", primary_key=True)
    number: int = Field(primary_key=True)
    text: str
    count: int


class NgramWord(SQLModel, table=True):
    """A word of a set's n-grams."""

    __tablename__ = "ngram_word"
    set_id: int = _to("ngram_set", primary_key=True)
    word: str = Field(primary_key=True)
    n: int


class NgramPass(SQLModel, table=True):
    """One run of a set's n-grams through a subject."""

    __tablename__ = "ngram_pass"
    __table_args__ = (
        Index("ngram_pass_current", "collection_id", unique=True, sqlite_where=text("current = 1")),
    )
    id: int = _id()
    key: str = Field(unique=True)
    collection_id: int = _to("collection")
    set_id: int = _to("ngram_set")
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
    neuron_id: int = _to("neuron", primary_key=True)
    pass_id: int = _to("ngram_pass", primary_key=True)
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
    neuron_id: int = _to("neuron", primary_key=True)
    pass_id: int = _to("ngram_pass", primary_key=True)
    mean_mean: float
    mean_std: float
    max_mean: float
    max_std: float
    min_mean: float
    min_std: float
    peaks_excluded: int
    troughs_excluded: int


class LookAlike(SQLModel, table=True):
    """Spans that look like a neuron's strongest ones, on which it stays quiet, packed by `packing`."""

    __tablename__ = "look_alike"
    __table_args__ = (Index("look_alike_n", "n"),)
    neuron_id: int = _to("neuron", primary_key=True)
    collection_id: int = _to("collection", primary_key=True)
    polarity: int = Field(primary_key=True)
    wanted: int
    quiet: float
    n: int
    spans: bytes
    likeness: bytes
    peaks: bytes
    peak_positions: bytes
    exponents: bytes
    activations: bytes
    reason: str | None = None


class OutputToken(SQLModel, table=True):
    """Token ids that a neuron promotes and suppresses, packed by `codec`."""

    __tablename__ = "output_token"
    __table_args__ = (Index("output_token_n", "n"),)
    neuron_id: int = _to("neuron", primary_key=True)
    wanted: int
    n: int
    promoted: bytes
    promoted_logits: bytes
    suppressed: bytes
    suppressed_logits: bytes
    reason: str | None = None


class Vocabulary(SQLModel, table=True):
    """Texts of token ids that are in a row of `output_token`."""

    subject_id: int = _to("subject", primary_key=True)
    token_id: int = Field(primary_key=True)
    text: str


class Run(SQLModel, table=True):
    """One command that wrote results."""

    __table_args__ = (Index("run_run_key", "run_key"),)
    id: int = _id()
    run_key: str
    command: str
    state: str
    config: str
    versions: str
    counts: str
    message: str
    started_at: str
    finished_at: str | None = None
    host: str | None = None
    pid: int | None = None
    seen_at: str | None = None
    progress: str | None = None
    waiting: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})


class LlmSource(SQLModel, table=True):
    """Where calls went."""

    __tablename__ = "llm_source"
    __table_args__ = (UniqueConstraint("model", "endpoint"),)
    id: int = _id()
    model: str
    endpoint: str


class LlmCall(SQLModel, table=True):
    """One call of a language model."""

    __tablename__ = "llm_call"
    __table_args__ = (
        Index("llm_call_request", "request"),
        Index(
            "llm_call_run_id",
            *("run_id", "purpose", "prompt_tokens", "completion_tokens", "cached_tokens"),
            "cost_nano",
        ),
    )
    id: int = _id()
    request: bytes
    prompt: bytes
    source_id: int = _to("llm_source")
    run_id: int | None = _to("run", default=None)
    purpose: str
    status: str
    retired: int
    messages: bytes
    reply: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nano: int | None = None
    latency_ms: float
    attempts: int
    served_model: str | None = None
    created_ms: int


class LlmProbe(SQLModel, table=True):
    """What a server was found to be able to do."""

    __tablename__ = "llm_probe"
    __table_args__ = (Index("llm_probe_run_id", "run_id"),)
    id: int = _id()
    run_id: int | None = _to("run", default=None)
    source_id: int = _to("llm_source")
    capabilities: str
    created_ms: int


class BatchRequest(SQLModel, table=True):
    """A request that waits for an offline answer."""

    __tablename__ = "batch_request"
    __table_args__ = (Index("batch_request_file", "file"),)
    request: bytes = Field(primary_key=True)
    prompt: bytes
    source_id: int = _to("llm_source")
    run_id: int | None = _to("run", default=None)
    purpose: str
    body: bytes
    file: str | None = None
    tries: int
    call_id: int | None = _to("llm_call", default=None)
    created_ms: int


class BatchResult(SQLModel, table=True):
    """A result file that has been read."""

    __tablename__ = "batch_result"
    path: str = Field(primary_key=True)
    size: int


class Explanation(SQLModel, table=True):
    """A hypothesis, or the record of why there is none."""

    __table_args__ = (
        Index("explanation_key", "key"),
        Index("explanation_neuron_id", "neuron_id"),
        Index("explanation_collection_id", "collection_id"),
        Index("explanation_run_id", "run_id"),
        Index("explanation_failed", "run_id", "reason", sqlite_where=text("status = 'failed'")),
    )
    id: int = _id()
    key: str
    collection_id: int = _to("collection")
    neuron_id: int = _to("neuron")
    polarity: int
    explainer: str
    llm: str | None = None
    settings: str
    template_sha256: str | None = None
    prompt_sha256: str | None = None
    text: str
    data: str | None = None
    scale: float
    status: str
    reason: str | None = None
    message: str | None = None
    raw_reply: str | None = None
    parent_id: int | None = _to("explanation", default=None)
    run_id: int = _to("run")
    created_at: str


class Simulation(SQLModel, table=True):
    """Predicted levels, packed by `codec`."""

    __table_args__ = (
        Index("simulation_key", "key"),
        Index("simulation_explanation_id", "explanation_id"),
        Index("simulation_run_id", "run_id"),
    )
    id: int = _id()
    explanation_id: int = _to("explanation")
    key: str
    split: str
    simulator: str
    llm: str | None = None
    settings: str
    n: int
    spans: bytes
    expected: bytes
    run_id: int = _to("run")
    created_at: str


class SimulationFailure(SQLModel, table=True):
    """A span that a simulator gave no levels for."""

    __tablename__ = "simulation_failure"
    simulation_id: int = _to("simulation", primary_key=True)
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
    id: int = _id()
    explanation_id: int = _to("explanation")
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
    run_id: int = _to("run")
    created_at: str


class Score(SQLModel, table=True):
    """One number about one explanation."""

    __table_args__ = (
        UniqueConstraint("key", "explanation_id", "scorer"),
        Index("score_explanation_id", "explanation_id", "scorer"),
        Index("score_run_id", "run_id"),
    )
    id: int = _id()
    explanation_id: int = _to("explanation")
    simulation_id: int | None = _to("simulation", default=None)
    key: str
    scorer: str
    simulator: str
    llm: str | None = None
    split: str
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
    run_id: int = _to("run")
    created_at: str


class Review(SQLModel, table=True):
    """What a person thinks of an explanation."""

    __table_args__ = (Index("review_explanation_id", "explanation_id"),)
    id: int = _id()
    explanation_id: int = _to("explanation")
    reviewer: str
    verdict: str
    note: str
    seconds: float | None = None
    created_at: str
