"""What has been decided already, and may be left out of a queue."""

from __future__ import annotations

from neuroexplain.catalogue import Reviews
from neuroexplain.queueing.plans import Plan
from neuroexplain.reviewed import DECIDING, Event, Target


def decided(reviews: Reviews, plan: Plan, by: str) -> set[Target]:
    """Explanations that a plan skips: those on which its maker, or anybody, has decided what it asks."""
    return {event.target for event in _events(reviews, plan, by)}


def decided_pairs(reviews: Reviews, plan: Plan, by: str) -> set[frozenset[Target]]:
    """The same of pairs, whichever stood on the left."""
    events = _events(reviews, plan, by)
    return {frozenset((e.target, e.other)) for e in events if e.other is not None}


def _events(reviews: Reviews, plan: Plan, by: str) -> list[Event]:
    if plan.skip == "none":
        return []
    reviewer = by if plan.skip == "own" else None
    return reviews.counting(DECIDING[plan.mode], reviewer=reviewer)
