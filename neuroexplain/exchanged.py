"""Records of neurons as they leave a catalogue for a file, and come in from one.

Unlike the records of a sweep they stand by themselves: tokens with their texts instead of a place in a corpus, natural keys
instead of rows. Whatever a format does not tell is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neuroexplain.records import Floats, Kind, NeuronId, Ngram, Score, Split, Statistics


@dataclass(frozen=True, eq=False)
class SpanRecord:
    """Consecutive tokens with a neuron's activations on them."""

    tokens: tuple[str, ...]
    """Their texts; joined, they give the text of the span."""
    activations: Floats
    """[token]; in the subject's units, signed."""
    split: Split = "explain"
    kind: Kind = "top"
    rank: int = 0
    """Within split and kind, 0 for the strongest."""
    inclusion_probability: float | None = None
    token_ids: tuple[int, ...] | None = None
    document: int | None = None
    """Place of its document in the corpus that it was found in."""
    start: int | None = None
    """First token within the document."""


@dataclass(frozen=True, eq=False)
class SpanLevels:
    """What a simulator predicts on a span."""

    tokens: tuple[str, ...]
    expected: Floats | None
    """[token]; levels 0-10, None where it failed."""
    activations: Floats | None = None
    """[token]; the truth, where the format has it beside the prediction."""
    reason: str | None = None
    """Short code of the failure."""
    document: int | None = None
    start: int | None = None
    message: str | None = None
    """What failed, in words."""
    raw_reply: str | None = None
    token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SimulationRecord:
    """Predictions of one simulator on one split."""

    simulator: str
    split: Split
    spans: tuple[SpanLevels, ...]
    llm: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    """SHA-256 of everything that determines it, as hex."""


@dataclass(frozen=True)
class ScoreRecord:
    """A score with what it is of."""

    score: Score
    simulator: str
    split: Split
    llm: str | None = None
    key: str | None = None
    """SHA-256 of everything that determines it, as hex."""


@dataclass(frozen=True)
class ExplanationRecord:
    """A hypothesis, or the record of a failed one, with all that was made of it."""

    text: str
    explainer: str
    llm: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    """SHA-256 of everything that determines it, as hex."""
    parent: str | None = None
    """Key of the explanation that it revises."""
    data: Any = None
    """The same hypothesis for a program."""
    scale: float | None = None
    """Activation of level 10."""
    status: Literal["ok", "failed"] = "ok"
    reason: str | None = None
    message: str | None = None
    raw_reply: str | None = None
    template_sha256: str | None = None
    prompt_sha256: str | None = None
    created_at: str | None = None
    """ISO time, UTC."""
    scores: tuple[ScoreRecord, ...] = ()
    simulations: tuple[SimulationRecord, ...] = ()


@dataclass(frozen=True)
class NeuronRecord:
    """One side of a neuron, with all that is known of it."""

    neuron: NeuronId
    site: str | None = None
    statistics: Statistics | None = None
    spans: tuple[SpanRecord, ...] = ()
    explanations: tuple[ExplanationRecord, ...] = ()
    promoted: tuple[tuple[str, float], ...] = ()
    """Tokens with their logits, largest first."""
    suppressed: tuple[tuple[str, float], ...] = ()
    """The same, smallest first."""
    width: int | None = None
    """Neurons of its layer, where the format tells."""
    ngrams: tuple[Ngram, ...] = ()
    """That it answers to within texts, strongest first."""


@dataclass(frozen=True)
class About:
    """What records are of: the subject, and the texts that their spans are from. None or empty where nothing tells."""

    subject: str
    """Its name, the first part of a neuron's address."""
    spec: str = ""
    weights_sha256: str = ""
    architecture: str = ""
    site: str = "mlp"
    widths: tuple[int, ...] = ()
    """Neurons of every layer."""
    corpus: str = ""
    """Spec of the texts."""
    tokenizer_sha256: str = ""
    seq_len: int | None = None
    """Most tokens in a span."""
    first: int = 0
    """Leading tokens of every span that count for nothing."""
    created_at: str | None = None
    """When the spans were collected: ISO time, UTC."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the collector."""
