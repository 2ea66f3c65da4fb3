"""The best explanation of a neuron, chosen on one half of its texts; and whether those of other neurons do as well.

Had an explanation nothing to do with its neuron, it could be exchanged for that of any other neuron. So the null of a score is
what the explanations of other neurons score on this neuron. Where the best of several is reported, the best of theirs is
taken in the same way: chosen on this neuron by the first halves of the texts, and scored by the second. Fresh texts alone would
not do. What one half of the texts does to a neuron by chance, the other half, about the same matter, does too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.scorers.contrasts import Numbers, Panel, Values

MIN_TEXTS = 5
"""Texts that a score is the mean of, at least."""


class Half(NamedTuple):
    """Texts of each explanation that a score is the mean of."""

    texts: NDArray[np.bool_]
    """[text]"""
    sizes: Numbers
    """[explanation]; how many it has of them."""

    def means(self, contrasts: Values, starts: Numbers) -> Values:
        """Mean over the texts of every explanation, [explanation, neuron]; NaN where there are too few."""
        sums = np.add.reduceat(np.where(self.texts[:, None], contrasts, 0.0), starts, axis=0)
        enough = np.where(self.sizes >= MIN_TEXTS, self.sizes, np.nan)
        means: Values = sums / enough[:, None]
        return means


def halves(texts: Panel) -> tuple[Half, Half]:
    """Texts to choose by and texts to report on: every other one, or all for both where there is nothing to choose.

    The procedure has to be the same for all explanations, so all have their texts divided as soon as one neuron has several.
    """
    place = np.arange(len(texts.explanation)) - texts.starts[texts.explanation]
    several = len(np.unique(texts.group)) < len(texts.group)
    odd = place % 2 == 1 if several else np.ones(len(place), bool)
    even = ~odd if several else odd
    return tuple(  # type: ignore[return-value]
        Half(h, np.bincount(texts.explanation, h, len(texts.group)).astype(np.int64))
        for h in (even, odd)
    )


class Chosen(NamedTuple):
    """The best explanation of every group for every neuron."""

    explanation: Numbers
    """[group, neuron]; -1 where no explanation of the group has a score to choose by."""
    score: Values
    """[group, neuron]; what it is worth on the other half; NaN where it has no score."""


def choose(texts: Panel, select: Values, report: Values) -> Chosen:
    """The best of every group by its score on one half, and its score on the other.

    Args:
        texts: whose groups.
        select: [explanation, neuron]
        report: [explanation, neuron]
    """
    members = _members(texts.group)
    by = np.where(np.isfinite(select), select, -np.inf)
    by = np.vstack([by, np.full((1, by.shape[1]), -np.inf)])  # the place -1 of `members`
    best = by[members].argmax(axis=1)
    explanation = np.take_along_axis(members[:, :, None], best[:, None, :], axis=1)[:, 0]
    columns = np.arange(by.shape[1])
    explanation = np.where(np.isneginf(by[explanation, columns]), -1, explanation)
    score = np.where(explanation >= 0, report[explanation, columns], np.nan)
    return Chosen(explanation, score)


@dataclass(frozen=True)
class Null:
    """What the explanations of other neurons score, for every neuron."""

    mean: Values
    """[neuron]"""
    n: Numbers
    """[neuron]; other groups of explanations that have a score."""
    p_value: Values
    """[neuron]; (1 + others >= own) / (1 + n). Valid under exchange, and exact as far as no scores tie."""


def null(scores: Values, own: Numbers) -> Null:
    """Compare every neuron's own explanation with those of the others.

    Args:
        scores: [group, neuron]; of chosen explanations.
        own: [neuron]; its group.
    """
    columns = np.arange(scores.shape[1])
    mine = scores[own, columns]
    others = scores.copy()
    others[own, columns] = np.nan
    there = np.isfinite(others)
    n = there.sum(axis=0)
    as_good = (there & (others >= mine)).sum(axis=0)
    total = np.where(there, others, 0.0).sum(axis=0)
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    p_value = np.where(np.isfinite(mine), (1 + as_good) / (1 + n), np.nan)
    return Null(mean, n, p_value)


def _members(group: Numbers) -> Numbers:
    """Explanations of every group, [group, place], filled up with -1."""
    _, first, counts = np.unique(group, return_index=True, return_counts=True)
    places = np.arange(counts.max(initial=0))
    return np.where(places < counts[:, None], first[:, None] + places, -1)
