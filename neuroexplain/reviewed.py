"""Records of what people think of explanations: frozen, no I/O.

    Queue ─ deals ─▶ QueueItem ─ a person ─▶ Event ─ the log ─▶ Judgement, Preference, …

The log is the truth: nothing in it is changed, and what somebody takes back is one more event. A decision is about a
`Target`, which is named by what it is, not by a row of some catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neuroexplain.records import NeuronId

Verdict = Literal[
    "correct", "too-broad", "too-narrow", "partly", "wrong", "uninterpretable", "cannot-tell"
]
VERDICTS: tuple[Verdict, ...] = (
    *("correct", "too-broad", "too-narrow", "partly", "wrong"),
    *("uninterpretable", "cannot-tell"),
)
"""`partly` is for several concepts of which the explanation names some; `uninterpretable` says that of the neuron;
`cannot-tell` says it of the reviewer, and counts as no answer."""
Confidence = Literal[1, 2, 3]
"""A guess, fairly sure, certain."""
Winner = Literal["left", "right", "tie"]
Mode = Literal["verdict", "pairwise", "simulation", "adjudication"]
MODES: tuple[Mode, ...] = ("verdict", "pairwise", "simulation", "adjudication")
Blind = Literal["none", "scores", "explanation"]
BLINDS: tuple[Blind, ...] = ("none", "scores", "explanation")
"""What a reviewer does not see before deciding: nothing is hidden; scores, method and model are; the explanation is too,
until the reviewer has written one."""


def text_sha256(text: str) -> str:
    """Name of an explanation's text, as hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, order=True)
class Target:
    """An explanation of a neuron, by its text: whoever wrote it, and in whichever catalogue it stands."""

    neuron: NeuronId
    text_sha256: str
    text: str = field(compare=False)

    @classmethod
    def of(cls, neuron: NeuronId, text: str) -> Target:
        """The target that a text about a neuron is."""
        return cls(neuron, text_sha256(text), text)


@dataclass(frozen=True)
class Judged:
    """A verdict on an explanation."""

    verdict: Verdict
    confidence: Confidence | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    rewrite: str = ""
    """What the explanation should say, in the reviewer's words; empty where nothing was suggested."""


@dataclass(frozen=True)
class Skipped:
    """Left for later."""


@dataclass(frozen=True)
class Preferred:
    """A choice between two explanations of a neuron: the event's target on the left, its other on the right."""

    winner: Winner
    note: str = ""


@dataclass(frozen=True)
class Written:
    """The reviewer's own explanation, written before the one in question was shown."""

    text: str


@dataclass(frozen=True)
class MarkedSpan:
    """Where a reviewer expects the neuron to fire on a held-out span."""

    document: int
    """Position of the span's document in the corpus."""
    start: int
    """Index of its first token within the document."""
    levels: tuple[int, ...]
    """[token]; 0-10."""


@dataclass(frozen=True)
class Simulated:
    """A reviewer's prediction from an explanation, scored as a simulator's is."""

    spans: tuple[MarkedSpan, ...]
    scorer: str
    value: float | None
    reason: str | None
    """Why `value` is None."""
    ci_low: float | None = None
    ci_high: float | None = None


@dataclass(frozen=True)
class Edited:
    """An explanation that was rewritten and is to be scored: the event's target is the old one."""

    text: str
    simulator: str


@dataclass(frozen=True)
class Adjudicated:
    """The last word where reviewers differ."""

    verdict: Verdict
    note: str = ""


@dataclass(frozen=True)
class Undone:
    """An earlier event that no longer counts."""

    event: str
    """Its uuid."""


Data = Judged | Skipped | Preferred | Written | Simulated | Edited | Adjudicated | Undone
KINDS: dict[str, type[Data]] = {
    "verdict": Judged,
    "skip": Skipped,
    "preference": Preferred,
    "own": Written,
    "simulation": Simulated,
    "edit": Edited,
    "adjudication": Adjudicated,
    "undo": Undone,
}
"""Kinds of events with what they say."""
DECIDING: dict[Mode, str] = {
    "verdict": "verdict",
    "pairwise": "preference",
    "simulation": "simulation",
    "adjudication": "adjudication",
}
"""The kind of event by which an item of a queue is done."""


@dataclass(frozen=True)
class Seen:
    """What was on the page when somebody decided, so that a reader can tell what may have swayed it."""

    blind: Blind = "none"
    explainer: str | None = None
    llm: str | None = None
    score: float | None = None
    """Newest correlation on the test split."""
    version: str = ""
    """Of this package."""


@dataclass(frozen=True)
class Event:
    """One thing that a reviewer did."""

    uuid: str
    """Made by whoever made the event: one that comes again is known by it."""
    reviewer: str
    target: Target
    data: Data
    at: str
    """ISO time, UTC."""
    other: Target | None = None
    """The explanation on the right of a pair."""
    queue: str | None = None
    """UUID of the queue that it was dealt from; None where a page was opened by itself."""
    position: int | None = None
    """Place in the queue, from 0."""
    seconds: float | None = None
    """From the moment that the item was shown."""
    seen: Seen = Seen()
    number: int = 0
    """Place in this file's log, from 1; 0 before it is there. Others number it otherwise."""

    @property
    def kind(self) -> str:
        """See `KINDS`."""
        return next(name for name, kind in KINDS.items() if type(self.data) is kind)


@dataclass(frozen=True)
class Undoing:
    """What a reviewer wants to take back: the newest decision of theirs, which edits are none of."""

    uuid: str
    """Of the event that takes it back."""
    queue: str | None = None
    """In this queue only, where skipping and an explanation of one's own can be taken back too."""
    event: str | None = None
    """UUID of the one decision that is meant, whatever was decided since."""


@dataclass(frozen=True)
class Judgement:
    """What one reviewer thinks of one explanation: the last verdict that was not taken back."""

    target: Target
    reviewer: str
    verdict: Verdict
    confidence: Confidence | None
    tags: tuple[str, ...]
    note: str
    seconds: float | None
    at: str
    event: str
    """UUID of the event."""
    queue: str | None
    position: int | None
    weight: float | None = None
    """Explanations that the item stands for, where a queue was drawn at random."""


@dataclass(frozen=True)
class Stratum:
    """A part of a population from which items of a queue were drawn."""

    name: str
    """For example `layer 3, score 0.2..0.4, token-activation`."""
    population: int
    """Explanations in it."""
    sampled: int
    """Of them that were drawn; explanations with equal texts on one neuron are one item."""


@dataclass(frozen=True)
class QueueItem:
    """One thing to decide."""

    position: int
    target: Target
    other: Target | None = None
    """The second explanation of a pair."""
    stratum: int | None = None
    """Number of its stratum in the queue; None where none were drawn."""
    weight: float | None = None
    """Explanations that it stands for: over its rows that were drawn, the sum of one over the chance of each (equal texts on
    one neuron are several rows); None where nothing was drawn at random."""
    shared: bool = False
    """Whether every reviewer is to decide it; others go to whoever comes first."""
    again: bool = False
    """Whether this reviewer has skipped it before."""


@dataclass(frozen=True)
class Queue:
    """A list of things to decide, fixed once and for all."""

    uuid: str
    name: str
    mode: Mode
    blind: Blind
    seed: int
    plan: Mapping[str, Any]
    """How it was drawn, as JSON values: the query, what was stratified, the share that is shared."""
    strata: tuple[Stratum, ...]
    n_items: int
    made_by: str
    made_at: str
    """ISO time, UTC."""


@dataclass(frozen=True)
class Progress:
    """How far a reviewer is in a queue."""

    queue: str
    reviewer: str
    done: int
    skipped: int
    """Skipped and not decided since."""
    left: int
    """Not decided by this reviewer, skipped ones included, and not taken by another."""
    median_seconds: float | None
    """Per decision; None before the first."""


@dataclass(frozen=True)
class SavedQuery:
    """A query of the catalogue's pages under a name."""

    name: str
    query: str
    made_by: str
    made_at: str
