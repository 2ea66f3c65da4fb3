"""What reviewers decided, by explanation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from neuroexplain.catalogue import Reviews
from neuroexplain.reviewed import (
    VERDICTS,
    Adjudicated,
    Event,
    Judged,
    Queue,
    QueueItem,
    Target,
    Verdict,
)

STRICT: frozenset[Verdict] = frozenset({"correct"})
"""What counts as correct."""
LENIENT: frozenset[Verdict] = STRICT | {"too-broad", "too-narrow", "partly"}
"""What does where something true was said."""
UNINTERPRETABLE: frozenset[Verdict] = frozenset({"uninterpretable"})
ANSWERS: tuple[Verdict, ...] = tuple(v for v in VERDICTS if v != "cannot-tell")
"""Verdicts that say something of the explanation."""
Grade = Literal["not correct", "in part", "correct"]
GRADES: tuple[Grade, ...] = get_args(Grade)
"""In their order."""


def grade(verdict: Verdict) -> int:
    """Number of a verdict's grade: wrong and uninterpretable 0, true in part 1, correct 2."""
    return (verdict in LENIENT) + (verdict in STRICT)


@dataclass(frozen=True)
class Answers:
    """All that was decided, of one queue or of all."""

    queue: Queue | None
    items: tuple[QueueItem, ...]
    """Of the queue; empty without one."""
    verdicts: Mapping[Target, Mapping[str, Verdict]]
    """By reviewer; of each explanation and reviewer the last that was not taken back, and that is no cannot-tell."""
    settled: Mapping[Target, Verdict]
    """The last word, where reviewers differed."""
    events: tuple[Event, ...]
    """Verdicts that count, in order of time; those that were given again too."""

    def judged(self, target: Target, correct: Collection[Verdict]) -> float | None:
        """Whether an explanation is correct, 0 or 1: by the last word, else by the share of the reviewers who say so.

        None where nobody gave an answer.
        """
        if target in self.settled:
            last = self.settled[target]
            return None if last == "cannot-tell" else float(last in correct)
        given = self.verdicts.get(target)
        return sum(v in correct for v in given.values()) / len(given) if given else None

    def graded(self, target: Target) -> float | None:
        """The grade of an explanation, 0 to 2, in the same way."""
        strict, lenient = self.judged(target, STRICT), self.judged(target, LENIENT)
        return None if strict is None or lenient is None else strict + lenient


def read(reviews: Reviews, queue: str | None = None) -> Answers:
    """What was decided in a queue, or everywhere.

    Adjudications count wherever they were given.

    Raises:
        CatalogueError: there is no such queue.
    """
    found = None if queue is None else reviews.queue(queue)
    events = sorted(reviews.counting("verdict", queue=queue), key=lambda e: (e.at, e.uuid))
    last: dict[Target, dict[str, Verdict]] = defaultdict(dict)
    for event in events:
        assert isinstance(event.data, Judged)
        last[event.target][event.reviewer] = event.data.verdict
    answered = {
        target: {name: verdict for name, verdict in own.items() if verdict != "cannot-tell"}
        for target, own in last.items()
    }
    settled: dict[Target, Verdict] = {}
    for event in sorted(reviews.counting("adjudication"), key=lambda e: (e.at, e.uuid)):
        assert isinstance(event.data, Adjudicated)
        settled[event.target] = event.data.verdict
    items = () if found is None else tuple(reviews.items(found))
    about = {i.target for i in items} if found is not None else set(answered) | set(settled)
    return Answers(
        queue=found,
        items=items,
        verdicts={target: own for target, own in answered.items() if own},
        settled={target: verdict for target, verdict in settled.items() if target in about},
        events=tuple(events),
    )
