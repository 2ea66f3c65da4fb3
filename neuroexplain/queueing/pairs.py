"""Queues of pairs: two explanations of a neuron, of which a reviewer chooses one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue import Catalogue, Frame, Reviews
from neuroexplain.errors import ConfigError
from neuroexplain.queueing.decided import decided_pairs
from neuroexplain.queueing.drawn import Drawn
from neuroexplain.queueing.naming import methods_of
from neuroexplain.queueing.plans import Plan
from neuroexplain.reviewed import QueueItem, Target

Integers = NDArray[np.int64]
_AT_ONCE = 500


def paired(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str) -> Drawn:
    """Neurons in a random order that all chosen methods explain on the same side; of several methods, two at random each.

    Equal texts are left out, and so is what is to be skipped; which stands on the left is drawn too.

    Raises:
        QueryError: the query is wrong, or finds no set.
        ConfigError: fewer than two methods, or an unknown one.
    """
    frame = catalogue.frame(plan.query)
    chosen = methods_of(frame, plan.methods)
    if len(set(chosen)) < 2:
        raise ConfigError(
            f"pairs need two methods at least; these explanations are by {len(chosen)}"
        )
    lot = np.random.default_rng(plan.seed)
    rows = lot.permutation(newest_of(frame, chosen))
    two = lot.permuted(np.tile(np.arange(len(chosen)), (len(rows), 1)), axis=1)[:, :2]
    pairs = np.take_along_axis(rows, two, axis=1) if len(rows) else rows[:, :2]
    return in_order(catalogue, reviews, plan, by, frame.explanation[pairs])


def newest_of(frame: Frame, methods: Sequence[int]) -> Integers:
    """Newest explanations by each of some methods, of the neurons' sides that all of them explain; [side, method], places."""
    side = 2 * frame.neuron + (frame.polarity < 0)
    newest: list[dict[int, int]] = []
    for method in methods:
        own = np.flatnonzero(frame.method == method)  # ascending: the last of a side counts
        newest.append(dict(zip(side[own].tolist(), own.tolist(), strict=True)))
    common = sorted(set(newest[0]).intersection(*newest[1:]))
    found = [[own[key] for own in newest] for key in common]
    return np.array(found, np.int64).reshape(-1, len(methods))


def in_order(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str, pairs: Integers) -> Drawn:
    """The first pairs that can be decided, shuffled left and right.

    Args:
        catalogue: has the explanations.
        reviews: what has been decided.
        plan: with `n`, `seed` and `skip`.
        by: who makes the queue.
        pairs: [pair, 2]; rows of explanations, in their order.
    """
    skipped = decided_pairs(reviews, plan, by)
    left_out = {"equal texts": 0, "decided already": 0}
    lot = np.random.default_rng([plan.seed, 2])
    items: list[QueueItem] = []
    for first, second in _targets(catalogue, pairs):
        if first == second:
            left_out["equal texts"] += 1
        elif frozenset((first, second)) in skipped:
            left_out["decided already"] += 1
        else:
            left, right = (first, second) if lot.random() < 0.5 else (second, first)
            items.append(QueueItem(0, left, right))
        if len(items) == plan.n:
            break
    return Drawn(tuple(items), left_out=left_out)


def _targets(catalogue: Catalogue, pairs: Integers) -> Iterator[tuple[Target, Target]]:
    for start in range(0, len(pairs), _AT_ONCE):
        block = pairs[start : start + _AT_ONCE]
        found = catalogue.targets(block.ravel().tolist())
        for first, second in block.tolist():
            yield found[first], found[second]
