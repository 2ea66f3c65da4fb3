"""Queues of things to decide: drawn from a catalogue as a plan says, once and for all.

Plan ─ plan(catalogue, reviews) ─▶ Queue and QueueItems ─ Reviews.make_queue ─▶ dealt to reviewers
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import uuid4

import numpy as np

from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.queueing.disagreeing import disagreeing
from neuroexplain.queueing.drawn import Drawn
from neuroexplain.queueing.ordered import Find, ordered
from neuroexplain.queueing.pairs import paired
from neuroexplain.queueing.plans import Plan
from neuroexplain.queueing.sampled import sampled
from neuroexplain.queueing.settling import unsettled
from neuroexplain.reviewed import Queue, QueueItem
from neuroexplain.searching import search

__all__ = ["Plan", "plan"]


def plan(
    catalogue: Catalogue, reviews: Reviews, wanted: Plan, *, by: str, find: Find | None = None
) -> tuple[Queue, list[QueueItem]]:
    """Draw a queue; nothing is written. The same plan, catalogue and reviews give the same items.

    Args:
        catalogue: where explanations are.
        reviews: what has been decided.
        wanted: how it is drawn.
        by: reviewer who makes it.
        find: searches the catalogue, for queues that follow a search; `searching.search` unless given.

    Raises:
        ConfigError: the plan makes no sense in this catalogue; the message has the valid values.
        QueryError: its query is wrong.
        CatalogueError: there is no such queue to settle, or the catalogue took too long.
    """
    drawn = _drawn(catalogue, reviews, wanted, by, find or partial(search, catalogue))
    items = _shared(drawn.items, wanted)
    left_out = {reason: n for reason, n in drawn.left_out.items() if n}
    told = {"population": drawn.population, "left_out": left_out, "cut": drawn.cut}
    queue = Queue(
        uuid=uuid4().hex,
        name=wanted.name.strip(),
        mode=wanted.mode,
        blind=wanted.blind,
        seed=wanted.seed,
        plan=wanted.to_json() | told,
        strata=drawn.strata,
        n_items=len(items),
        made_by=by,
        made_at="",
    )
    return queue, items


def _drawn(catalogue: Catalogue, reviews: Reviews, wanted: Plan, by: str, find: Find) -> Drawn:
    match wanted.kind:
        case "query":
            return ordered(catalogue, reviews, wanted, by, find)
        case "pairs":
            return paired(catalogue, reviews, wanted, by)
        case "disagreement":
            return disagreeing(catalogue, reviews, wanted, by)
        case "adjudication":
            return unsettled(reviews, wanted)
        case "sample" | "simulation":
            return sampled(catalogue, reviews, wanted, by)


def _shared(items: tuple[QueueItem, ...], wanted: Plan) -> list[QueueItem]:
    """Items in their places; which of them everybody decides is drawn from the seed."""
    lot = np.random.default_rng([wanted.seed, 1])
    chosen = lot.choice(len(items), round(wanted.shared * len(items)), replace=False)
    shared = set(chosen.tolist())
    return [
        replace(item, position=place, shared=place in shared) for place, item in enumerate(items)
    ]
