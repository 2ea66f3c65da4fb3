"""What passes over a corpus record of a subject's neurons."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from neuroexplain.catalogue.tables.column import number, to


class Subject(SQLModel, table=True):
    """A model whose neurons are explained."""

    id: int = number()
    name: str = Field(unique=True)
    spec: str
    weights_sha256: str
    architecture: str


class Collection(SQLModel, table=True):
    """One pass over a corpus."""

    __table_args__ = (
        Index("collection_current", "subject_id", unique=True, sqlite_where=text("current = 1")),
    )
    id: int = number()
    key: str = Field(unique=True)
    subject_id: int = to("subject")
    corpus_id: int = to("corpus")
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
    id: int = number()
    subject_id: int = to("subject")
    site: str
    layer: int
    idx: int


class Statistics(SQLModel, table=True):
    """Moments of a neuron."""

    neuron_id: int = to("neuron", primary_key=True)
    collection_id: int = to("collection", primary_key=True)
    n_tokens: int | None = None
    n_spans: int | None = None
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    frac_positive: float | None = None
    peaks_excluded: int
    troughs_excluded: int
    quantiles: bytes | None = None


class Exemplar(SQLModel, table=True):
    """Spans kept for a neuron, packed by `codec`."""

    __table_args__ = (UniqueConstraint("neuron_id", "collection_id", "split", "kind", "polarity"),)
    id: int = number()
    neuron_id: int = to("neuron")
    collection_id: int = to("collection")
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
    unit: float | None = None


class PeakToken(SQLModel, table=True):
    """Token texts on which a neuron peaks."""

    __tablename__ = "peak_token"
    token: str = Field(primary_key=True)
    collection_id: int = to("collection", primary_key=True)
    neuron_id: int = to("neuron", primary_key=True)
    polarity: int = Field(primary_key=True)
    n: int


class TokenResponse(SQLModel, table=True):
    """Token ids on which a neuron is strongest on average, packed by `codec`."""

    __tablename__ = "token_response"
    neuron_id: int = to("neuron", primary_key=True)
    collection_id: int = to("collection", primary_key=True)
    polarity: int = Field(primary_key=True)
    n: int
    token_ids: bytes
    means: bytes
    extremes: bytes
    counts: bytes


class LayerSketch(SQLModel, table=True):
    """Directions of a layer's neurons, packed by `codec`."""

    __tablename__ = "layer_sketch"
    collection_id: int = to("collection", primary_key=True)
    layer: int = Field(primary_key=True)
    n_tokens: int
    directions: bytes


class LookAlike(SQLModel, table=True):
    """Spans that look like a neuron's strongest ones, on which it stays quiet, packed by `packing`."""

    __tablename__ = "look_alike"
    __table_args__ = (Index("look_alike_n", "n"),)
    neuron_id: int = to("neuron", primary_key=True)
    collection_id: int = to("collection", primary_key=True)
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
    neuron_id: int = to("neuron", primary_key=True)
    wanted: int
    n: int
    promoted: bytes
    promoted_logits: bytes
    suppressed: bytes
    suppressed_logits: bytes
    reason: str | None = None


class Vocabulary(SQLModel, table=True):
    """Texts of token ids that are in a row of `output_token`."""

    subject_id: int = to("subject", primary_key=True)
    token_id: int = Field(primary_key=True)
    text: str


class ImportBatch(SQLModel, table=True):
    """A file, or a part of one, whose contents are in the catalogue."""

    __tablename__ = "import_batch"
    collection_id: int = to("collection", primary_key=True)
    name: str = Field(primary_key=True)
    sha256: str
