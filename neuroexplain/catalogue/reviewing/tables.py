"""The tables of a file of reviews as SQLModel classes, for building statements; `db/reviews/*.sql` makes them."""

from __future__ import annotations

from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class Base(SQLModel, registry=registry()):
    """Tables of this file, apart from those of catalogues."""


class Target(Base, table=True):
    """Explanations by what they say about which neuron."""

    id: int = number()
    subject: str
    layer: int
    idx: int
    polarity: int
    text_sha256: bytes
    text: str


class Queue(Base, table=True):
    """Lists of things to decide."""

    id: int = number()
    uuid: str = Field(unique=True)
    name: str
    mode: str
    blind: str
    seed: int
    plan: str
    made_by: str
    made_ms: int


class Stratum(Base, table=True):
    """Parts of the population that a queue was drawn from."""

    queue_id: int = to("queue", primary_key=True)
    number: int = Field(primary_key=True)
    name: str
    population: int
    sampled: int


class QueueItem(Base, table=True):
    """Things to decide."""

    __tablename__ = "queue_item"
    queue_id: int = to("queue", primary_key=True)
    position: int = Field(primary_key=True)
    target_id: int = to("target")
    other_id: int | None = to("target", default=None)
    stratum: int | None = None
    weight: float | None = None
    shared: int


class Dealt(Base, table=True):
    """Items that lie before somebody."""

    queue_id: int = to("queue", primary_key=True)
    position: int = Field(primary_key=True)
    reviewer: str = Field(primary_key=True)
    at_ms: int


class Event(Base, table=True):
    """What reviewers did."""

    id: int = number()
    uuid: str = Field(unique=True)
    kind: str
    reviewer: str
    target_id: int = to("target")
    other_id: int | None = to("target", default=None)
    queue: str | None = None
    position: int | None = None
    seconds: float | None = None
    data: str
    seen: str
    undoes: str | None = None
    at_ms: int


class SavedQuery(Base, table=True):
    """Queries of the catalogue's pages."""

    __tablename__ = "saved_query"
    name: str = Field(primary_key=True)
    query: str
    made_by: str
    made_ms: int
