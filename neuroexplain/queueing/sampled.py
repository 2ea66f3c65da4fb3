"""Queues that are random samples: of all that a query finds, in strata, with weights."""

from __future__ import annotations

import numpy as np

from neuroexplain.catalogue import Catalogue, Frame, Reviews
from neuroexplain.queueing.decided import decided
from neuroexplain.queueing.drawn import Drawn
from neuroexplain.queueing.plans import Plan
from neuroexplain.queueing.strata import Sample, draw
from neuroexplain.reviewed import QueueItem, Target


def sampled(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str) -> Drawn:
    """Explanations drawn at random; equal texts on one neuron are one item, whose weights add up.

    With weights 1 / (chance of being drawn), sums over a sample are unbiased for sums over the population: Horvitz and
    Thompson 1952. Strata are counted when what is to be skipped has been left out.

    Raises:
        QueryError: the query is wrong, or finds no set.
        ConfigError: nothing to draw from, or fewer draws than strata.
    """
    frame, left_out = population(catalogue, reviews, plan, by)
    if plan.kind == "simulation":
        marked = np.isin(frame.neuron, catalogue.held_out_neurons())
        left_out["nothing held out"] = int((~marked).sum())
        frame = frame.at(marked)
    sample = draw(frame, plan)
    return Drawn(_items(catalogue, frame, sample), len(frame), sample.strata, left_out)


def population(
    catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str
) -> tuple[Frame, dict[str, int]]:
    """What a plan's query finds, less what is to be skipped; and how many that is."""
    frame = catalogue.frame(plan.query)
    skipped = decided(reviews, plan, by)
    if not skipped:
        return frame, {}
    rated = catalogue.rated(skipped)
    rows = np.array([each.id for found in rated.values() for each in found], np.int64)
    kept = frame.without(rows)
    return kept, {"decided already": len(frame) - len(kept)}


def _items(catalogue: Catalogue, frame: Frame, sample: Sample) -> tuple[QueueItem, ...]:
    numbers = frame.explanation[sample.rows].tolist()
    targets = catalogue.targets(numbers)
    weights: dict[Target, float] = {}
    strata: dict[Target, int] = {}
    for number, weight, stratum in zip(
        numbers, sample.weight.tolist(), sample.stratum.tolist(), strict=True
    ):
        target = targets[number]
        weights[target] = weights.get(target, 0.0) + weight
        strata.setdefault(target, stratum)
    return tuple(
        QueueItem(0, target, stratum=strata[target] if sample.strata else None, weight=weight)
        for target, weight in weights.items()
    )
