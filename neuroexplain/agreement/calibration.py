"""What a score is worth: whether explanations that people call correct have higher ones.

Intervals are bootstraps over neurons, because explanations of one neuron are not independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import isotonic_regression

from neuroexplain.agreement.estimates import (
    Counts,
    Estimate,
    Floats,
    draws,
    stretched,
    undefined,
    wilson,
)

BINS = 10
"""Of equal counts, at most."""
_BIN = 10
"""Explanations that a bin has at least."""
_RESAMPLES = 500


@dataclass(frozen=True)
class Bin:
    """Explanations with neighbouring scores."""

    low: float
    """Least score in it."""
    high: float
    """Largest."""
    mean: float
    correct: Estimate
    """Share of them that is correct, with Wilson's interval."""


@dataclass(frozen=True)
class Step:
    """Where a calibration curve rises: from this score on, that share is correct."""

    score: float
    correct: float


def bins(score: Floats, correct: Floats) -> tuple[Bin, ...]:
    """Explanations in bins of equal count by their score; equal scores share a bin.

    Args:
        score: [explanation].
        correct: [explanation]; 0 to 1.
    """
    order = np.argsort(score, kind="stable")
    score, correct = score[order], correct[order]
    wanted = max(1, min(BINS, len(score) // _BIN))
    cuts = np.searchsorted(score, score[np.arange(1, wanted) * len(score) // wanted], "left")
    edges = np.unique([0, *cuts, len(score)])
    return tuple(_bin(score[a:b], correct[a:b]) for a, b in pairwise(edges))


def _bin(score: Floats, correct: Floats) -> Bin:
    share, n = float(correct.mean()), len(correct)
    estimate = Estimate(share, n, *wilson(share, n))
    return Bin(float(score[0]), float(score[-1]), float(score.mean()), estimate)


def curve(score: Floats, correct: Floats) -> tuple[Step, ...]:
    """The monotone curve that fits best: isotonic regression of being correct on the score."""
    points, place = np.unique(score, return_inverse=True)
    weight = np.bincount(place).astype(float)
    means = np.bincount(place, correct) / weight
    fitted = isotonic_regression(means, weights=weight).x
    rises = np.flatnonzero(np.diff(fitted, prepend=-1.0) > 1e-12)
    return tuple(Step(float(points[i]), float(fitted[i])) for i in rises)


def auc(score: Floats, correct: Floats, neuron: Counts, *, seed: int = 0) -> Estimate:
    """Chance that an explanation judged correct has a higher score than one judged not, ties counting half.

    Args:
        score: [explanation].
        correct: [explanation]; 0 to 1: one on which reviewers differ counts as both, by their shares.
        neuron: [explanation]; number of its neuron, from 0.
        seed: of the bootstrap.
    """
    n = len(score)
    if n < 2 or correct.min() == 1 or correct.max() == 0:
        kinds = "no explanations" if n == 0 else "all are of one kind: correct, or not"
        return undefined(n, kinds)
    if np.all(correct == correct[0]):
        return undefined(n, "reviewers differ on all explanations alike")
    pairs = correct.sum() * (n - correct.sum())
    # Twice the area, less one, is Somers' D: between -1 and 1 as a correlation is.
    found = _resampled(_somers, score, correct, neuron, seed, edge=1 / float(pairs))
    low, high = ((b + 1) / 2 if b is not None else None for b in (found.low, found.high))
    assert found.value is not None
    return Estimate((found.value + 1) / 2, n, low, high, found.reason)


def spearman(score: Floats, grade: Floats, neuron: Counts, *, seed: int = 0) -> Estimate:
    """Rank correlation of scores with graded verdicts, ties at their middle ranks.

    Args:
        score: [explanation].
        grade: [explanation]; larger is better.
        neuron: [explanation]; number of its neuron, from 0.
        seed: of the bootstrap.
    """
    n = len(score)
    if n < 3:
        return undefined(n, f"too few explanations: {n}")
    value = float(_rank_correlations(score, grade, np.ones((1, n)))[0])
    if np.isnan(value):
        return undefined(n, "all scores, or all verdicts, are alike")
    return _resampled(_rank_correlations, score, grade, neuron, seed, edge=1 / n**2)


def _resampled(
    statistic: Callable[[Floats, Floats, Floats], Floats],
    a: Floats,
    b: Floats,
    neuron: Counts,
    seed: int,
    edge: float,
) -> Estimate:
    """A statistic with its bootstrap over neurons."""
    groups = int(neuron.max()) + 1
    parts = [
        statistic(a, b, counts[:, neuron].astype(float))
        for counts in draws(groups, resamples=_RESAMPLES, seed=seed)
    ]
    value = float(statistic(a, b, np.ones((1, len(a))))[0])
    return stretched(value, np.concatenate(parts), len(a), groups, edge)


def _middle_ranks(values: Floats, weight: Floats) -> Floats:
    """Weight below each value plus half of that at it; [resample, explanation]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.searchsorted(ordered, values, "left")
    last = np.searchsorted(ordered, values, "right")
    below = np.zeros((len(weight), len(values) + 1))
    np.cumsum(weight[:, order], axis=1, out=below[:, 1:])
    ranks: Floats = (below[:, first] + below[:, last]) / 2
    return ranks


def _aucs(score: Floats, correct: Floats, weight: Floats) -> Floats:
    """Of [resample, explanation] weights, by Mann and Whitney; NaN where one kind is missing."""
    right = weight * correct
    wrong = weight - right
    n_right, n_wrong = right.sum(1), wrong.sum(1)
    above = (right * _middle_ranks(score, wrong)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_right * n_wrong > 0, above / (n_right * n_wrong), np.nan)


def _somers(score: Floats, correct: Floats, weight: Floats) -> Floats:
    return 2 * _aucs(score, correct, weight) - 1


def _rank_correlations(a: Floats, b: Floats, weight: Floats) -> Floats:
    """Of [resample, explanation] weights; NaN where either does not vary."""
    total = weight.sum(1, keepdims=True)
    x = _middle_ranks(a, weight) - total / 2  # middle ranks have this mean
    y = _middle_ranks(b, weight) - total / 2
    both = (weight * x * y).sum(1)
    spread = np.sqrt((weight * x**2).sum(1) * (weight * y**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-9, both / spread, np.nan)
