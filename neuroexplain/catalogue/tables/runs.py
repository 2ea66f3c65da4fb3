"""Runs, and the language model calls that they paid for."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class SchemaMigration(SQLModel, table=True):
    """A migration that the file has been through."""

    __tablename__ = "schema_migration"
    number: int = Field(primary_key=True)
    name: str
    sha256: str
    applied_at: str


class Run(SQLModel, table=True):
    """One command that wrote results."""

    __table_args__ = (Index("run_run_key", "run_key"),)
    id: int = number()
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
    id: int = number()
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
    id: int = number()
    request: bytes
    prompt: bytes
    source_id: int = to("llm_source")
    run_id: int | None = to("run", default=None)
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
    id: int = number()
    run_id: int | None = to("run", default=None)
    source_id: int = to("llm_source")
    capabilities: str
    created_ms: int


class BatchRequest(SQLModel, table=True):
    """A request that waits for an offline answer."""

    __tablename__ = "batch_request"
    __table_args__ = (Index("batch_request_file", "file"),)
    request: bytes = Field(primary_key=True)
    prompt: bytes
    source_id: int = to("llm_source")
    run_id: int | None = to("run", default=None)
    purpose: str
    body: bytes
    file: str | None = None
    tries: int
    call_id: int | None = to("llm_call", default=None)
    created_ms: int


class BatchResult(SQLModel, table=True):
    """A result file that has been read."""

    __tablename__ = "batch_result"
    path: str = Field(primary_key=True)
    size: int
