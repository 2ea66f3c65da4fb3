"""Weighted statistics over pooled tokens, from sums that can be added up.

All of them look at natural frequency when the weights are inverse inclusion probabilities.
"""

from __future__ import annotations

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


def quantile(ordered: Array, share: float) -> float:
    """A quantile of ascending values as `np.quantile` has it, which takes longer to find its way."""
    place = share * (len(ordered) - 1)
    before = int(place)
    low, high = ordered[before], ordered[min(before + 1, len(ordered) - 1)]
    # From the nearer end, as NumPy does it, so that the last bits agree.
    part = place - before
    between = low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
    return float(between)


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
