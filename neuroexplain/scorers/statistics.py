"""Weighted statistics over pooled tokens, from sums that can be added up.

All of them look at natural frequency when the weights are inverse inclusion probabilities.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CONSTANT = 1e-12
"""A variance below this share of the mean square is rounding, not variation."""


def pearson_terms(x: Array, y: Array) -> tuple[Array, ...]:
    """What is summed for Pearson's r: 1, x, y, xx, yy, xy; x is [..., token], y is [token]."""
    return np.ones_like(y), x, y, x * x, y * y, x * y


def pearson_sums(
    x: NDArray[np.floating], y: NDArray[np.floating], weights: NDArray[np.floating] | None = None
) -> Array:
    """The six sums behind Pearson's r: w, wx, wy, wxx, wyy, wxy."""
    w = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    terms = pearson_terms(x.astype(np.float64), y.astype(np.float64))
    return np.array([w @ term for term in terms])


def variances(sums: Array) -> Array:
    """Weighted variances of x and y, [..., 2], from Pearson's sums [..., 6]; exactly 0 where a variable is constant."""
    return _variances(_means(sums))


def pearson(sums: Array) -> Array:
    """Pearson's r from its sums [..., 6]; NaN where x or y is constant."""
    means = _means(sums)
    varied = _variances(means)
    scale = np.sqrt(varied[..., 0] * varied[..., 1])
    covariance = means[..., 4] - means[..., 0] * means[..., 1]
    r = np.divide(covariance, scale, out=np.full_like(scale, np.nan), where=scale > 0)
    return np.minimum(np.maximum(r, -1.0), 1.0)


def _means(sums: Array) -> Array:
    """Weighted means of x, y, xx, yy and xy, [..., 5]; 0 where there is no weight."""
    return sums[..., 1:] / np.maximum(sums[..., :1], np.finfo(np.float64).tiny)


def _variances(means: Array) -> Array:
    first, square = means[..., :2], means[..., 2:4]
    variance = square - first * first
    return np.where(variance > _CONSTANT * square, variance, 0.0)


def spread(sums: Array) -> Array:
    """Weighted sum of (x - mean x)^2 from the sums of 1, x and xx [..., 3 or more]; exactly 0 where x is constant."""
    weight = np.maximum(sums[..., 0], np.finfo(np.float64).tiny)
    mean, square = sums[..., 1] / weight, sums[..., 2] / weight
    variance = square - mean * mean
    return np.where(variance > _CONSTANT * square, variance * sums[..., 0], 0.0)


def around_median(values: Array, weights: Array) -> Array:
    """Weighted sum of |x - median x| for several weightings.

    Args:
        values: [item].
        weights: [item, weighting].

    Returns:
        [weighting]; 0 where x is constant or nothing has weight.
    """
    if not len(values):
        return np.zeros(weights.shape[1])
    order = np.argsort(values, kind="stable")
    x, w = values[order, None], weights[order]
    below, product = np.cumsum(w, axis=0), np.cumsum(w * x, axis=0)
    # The first value up to which half of the weight lies.
    place = np.argmax(below >= below[-1:] / 2, axis=0)
    columns = np.arange(weights.shape[1])
    median, under, sum_under = x[place, 0], below[place, columns], product[place, columns]
    found = median * under - sum_under + (product[-1] - sum_under) - median * (below[-1] - under)
    # What is left of sums that cancel is rounding.
    return np.where(found > _CONSTANT * np.abs(w * x).sum(axis=0), found, 0.0)


def average_precision(scores: Array, positive: NDArray[np.bool_], weights: Array) -> Array:
    """Area under the precision-recall curve by steps, items of equal score taken together.

    Args:
        scores: [ranking, item].
        positive: [item].
        weights: [item, weighting].

    Returns:
        [ranking, weighting]; NaN where no positive item has weight.
    """
    found = np.empty((len(scores), weights.shape[1]))
    for row, ranking in enumerate(scores):
        order = np.argsort(-ranking, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(ranking[order])), len(order) - 1)
        w = weights[order]
        true = np.cumsum(w * positive[order, None], axis=0)[ends]
        every = np.cumsum(w, axis=0)[ends]
        precision = np.divide(true, every, out=np.zeros_like(true), where=every > 0)
        gained = np.diff(true, axis=0, prepend=0.0)
        found[row] = _ratio((precision * gained).sum(axis=0), true[-1])
    return found


def confusions(predicted: NDArray[np.bool_], true: NDArray[np.bool_], weights: Array) -> Array:
    """Confusions [prediction, weighting, 4] of predictions [prediction, item] under weights [item, weighting]."""
    cells = (predicted & true, predicted & ~true, ~predicted & true, ~predicted & ~true)
    return np.stack([cell @ weights for cell in cells], axis=-1)


def accuracy(counts: Array) -> Array:
    """Share that is right from a confusion [..., 4]; high for whoever never expects what is rare."""
    return _ratio(counts[..., 0] + counts[..., 3], counts.sum(axis=-1))


def quantile(ordered: Array, share: float) -> float:
    """A quantile of ascending values as `np.quantile` has it, which takes longer to find its way."""
    place = share * (len(ordered) - 1)
    before = int(place)
    low, high = ordered[before], ordered[min(before + 1, len(ordered) - 1)]
    # From the nearer end, as NumPy does it, so that the last bits agree.
    part = place - before
    between = low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
    return float(between)


@lru_cache(maxsize=64)
def resamples(n: int, times: int, seed: int) -> Array:
    """For a bootstrap: how often every one of n things is drawn, [thing, resample]."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=times)
    return np.ascontiguousarray(counts.T, np.float64)


def confusion(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    weights: NDArray[np.floating] | None = None,
) -> Array:
    """Weighted true positives, false positives, false negatives and true negatives."""
    w = np.ones(len(true)) if weights is None else weights.astype(np.float64)
    return np.array(
        [
            w @ (predicted & true),
            w @ (predicted & ~true),
            w @ (~predicted & true),
            w @ (~predicted & ~true),
        ]
    )


def f1(counts: Array) -> Array:
    """F1 from a confusion [..., 4]; NaN without any positive."""
    tp, fp, fn, _ = np.moveaxis(counts, -1, 0)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def iou(counts: Array) -> Array:
    """Intersection over union of the positives from a confusion [..., 4]; NaN without any positive."""
    tp, fp, fn, _ = np.moveaxis(counts, -1, 0)
    return _ratio(tp, tp + fp + fn)


def balanced_accuracy(counts: Array) -> Array:
    """Mean of sensitivity and specificity; blind to labels that are too broad when positives are rare."""
    tp, fp, fn, tn = np.moveaxis(counts, -1, 0)
    return (_ratio(tp, tp + fn) + _ratio(tn, tn + fp)) / 2


def _ratio(part: Array, whole: Array) -> Array:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
