"""What an item of a queue shows: one place decides what a blind reviewer does not get.

Whatever is hidden is not in the page at all. So the templates are given an `ItemView` and nothing else of the explanation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from neuroexplain.errors import AbsentError
from neuroexplain.review.desk import Desk
from neuroexplain.review.marking import MarkingSpan, held_out
from neuroexplain.review.viewing import without_test
from neuroexplain.review.views.neuron import NeuronView, neuron_view
from neuroexplain.reviewed import DECIDING, Event, Judged, Judgement, Queue, QueueItem, Target

SPANS = 5
"""Shown of each group."""
MARKED = 10
"""To be marked by a reviewer who stands in for a simulator."""


@dataclass(frozen=True)
class Candidate:
    """An explanation as it stands in an item."""

    text: str | None
    """None where it is hidden until the reviewer has written one."""
    author: str | None
    """Explainer and language model; None where it is hidden, or where this catalogue lacks the explanation."""
    scores: tuple[Mapping[str, Any], ...]
    """As `show` has them; empty where they are hidden."""
    missing: bool
    """Whether this catalogue has no such explanation: it may have been made anew."""


@dataclass(frozen=True)
class ItemView:
    """An item for one reviewer."""

    queue: Queue
    item: QueueItem
    candidates: tuple[Candidate, ...]
    """One; two where a pair is to be compared, left before right."""
    evidence: NeuronView | None
    """The neuron's, without explanations where these are hidden; None where it is not recorded."""
    marking: tuple[MarkingSpan, ...] | None
    """Held-out spans to be marked, in place of the evidence; None where nothing is to be marked."""
    own: str | None
    """What the reviewer has written before the explanation was shown."""
    said: Event | None
    """What this reviewer has decided already, if that counts."""
    verdicts: tuple[Judgement, ...]
    """What others think; only where that is to be settled."""
    elsewhere: bool
    """Whether the neuron waits for the reviewer in another queue, a blind one, so that nothing may tell about it here."""

    @property
    def writes_first(self) -> bool:
        """Whether the reviewer has to write an explanation before seeing this one."""
        return any(candidate.text is None for candidate in self.candidates)

    @property
    def said_in_words(self) -> str | None:
        """What this reviewer has decided, for a reader."""
        if self.said is None:
            return None
        data = self.said.data
        found = data.verdict if isinstance(data, Judged) else getattr(data, "winner", None)
        return str(found or getattr(data, "verdict", self.said.kind)).replace("-", " ")


def item_at(desk: Desk, queue: Queue, position: int) -> QueueItem:
    """The item at a place of a queue.

    Raises:
        AbsentError: there is none.
    """
    found = desk.reviews.items(queue, start=position, limit=1)
    if not found or found[0].position != position:
        raise AbsentError(
            f'queue "{queue.name}" has items 0 to {queue.n_items - 1}, not {position}'
        )
    return found[0]


def item_view(desk: Desk, queue: Queue, item: QueueItem, reviewer: str) -> ItemView:
    """What a reviewer gets to see of an item.

    Args:
        desk: the open files.
        queue: with its blindness.
        item: of that queue.
        reviewer: who looks at it.
    """
    events = desk.reviews.of_item(queue.uuid, item.position, reviewer)
    own = next((e for e in reversed(events) if e.kind == "own"), None)
    said = next((e for e in reversed(events) if e.kind == DECIDING[queue.mode]), None)
    shown = _shown(desk, item, reviewer)
    elsewhere = desk.reviews.is_blind(item.target.neuron, reviewer, besides=queue.uuid)
    hides, marks = elsewhere or queue.blind != "none", queue.mode == "simulation"
    settles = queue.mode == "adjudication" and not elsewhere
    targets = [item.target] if item.other is None else [item.target, item.other]
    writes = queue.blind == "explanation" and queue.mode == "verdict"
    text_hidden = writes and own is None
    return ItemView(
        queue=queue,
        item=item,
        candidates=tuple(
            _candidate(t, shown, hides=hides, text_hidden=text_hidden) for t in targets
        ),
        evidence=None if shown is None or marks else _evidence(shown, targets, hides=hides),
        marking=held_out(desk, item.target, spans=MARKED, seed=queue.seed) if marks else None,
        own=getattr(own.data, "text", None) if own is not None else None,
        said=said,
        verdicts=_verdicts(desk, item, hides=hides) if settles else (),
        elsewhere=elsewhere,
    )


def _shown(desk: Desk, item: QueueItem, reviewer: str) -> Mapping[str, Any] | None:
    neuron = item.target.neuron
    try:
        shown = desk.catalogue.show(neuron)
    except AbsentError:
        return None
    return without_test(shown) if desk.reviews.is_marking(neuron, reviewer) else shown


def _evidence(shown: Mapping[str, Any], targets: Sequence[Target], *, hides: bool) -> NeuronView:
    """The evidence with the explanations in question; without any where what tells how they were made is hidden."""
    texts = set() if hides else {target.text for target in targets}
    own = [e for e in shown["explanations"] if e["text"] in texts]
    return neuron_view({**shown, "explanations": own}, spans=SPANS)


def _candidate(
    target: Target, shown: Mapping[str, Any] | None, *, hides: bool, text_hidden: bool
) -> Candidate:
    own: Sequence[Mapping[str, Any]] = () if shown is None else shown["explanations"]
    found = [e for e in own if e["status"] == "ok" and e["text"] == target.text]
    if hides or not found:
        text = None if text_hidden else target.text
        return Candidate(text, None, (), missing=not found)
    first = found[0]
    author = f"{first['explainer']}, {first['llm']}" if first["llm"] else first["explainer"]
    return Candidate(target.text, author, tuple(first["scores"]), missing=False)


def _verdicts(desk: Desk, item: QueueItem, *, hides: bool) -> tuple[Judgement, ...]:
    """What reviewers said; without their names where these might sway who has the last word."""
    found = desk.reviews.judgements(neurons=[item.target.neuron])
    own = [j for j in found if j.target == item.target]
    if hides:
        own = [replace(j, reviewer=f"reviewer {n}") for n, j in enumerate(own, start=1)]
    return tuple(own)
