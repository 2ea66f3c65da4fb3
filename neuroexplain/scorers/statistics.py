"""Weighted statistics over pooled tokens, from sums that can be added up.

All of them look at natural frequency when the weights are inverse inclusion probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CONSTANT = 1e-12
"""A variance below this share of the mean square is rounding, not variation."""


def pearson_sums(
    x: NDArray[np.floating], y: NDArray[np.floating], weights: NDArray[np.floating] | None = None
) -> Array:
    """The six sums behind Pearson's r: w, wx, wy, wxx, wyy, wxy."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    w = np.ones_like(x) if weights is None else weights.astype(np.float64)
    return np.array([w.sum(), w @ x, w @ y, w @ (x * x), w @ (y * y), w @ (x * y)])


def variances(sums: Array) -> tuple[Array, Array]:
    """Weighted variances of x and y from Pearson's sums [..., 6]; exactly 0 where a variable is constant."""
    w, x, y, xx, yy, _ = np.moveaxis(sums, -1, 0)
    w = np.where(w > 0, w, 1.0)
    pairs = ((xx / w, x / w), (yy / w, y / w))
    first, second = (np.where(s - m * m > _CONSTANT * s, s - m * m, 0.0) for s, m in pairs)
    return first, second


def pearson(sums: Array) -> Array:
    """Pearson's r from its sums [..., 6]; NaN where x or y is constant."""
    w, x, y, _, _, xy = np.moveaxis(sums, -1, 0)
    w = np.where(w > 0, w, 1.0)
    var_x, var_y = variances(sums)
    scale = np.sqrt(var_x * var_y)
    covariance = xy / w - (x / w) * (y / w)
    r = np.where(scale > 0, covariance / np.where(scale > 0, scale, 1.0), np.nan)
    return np.clip(r, -1.0, 1.0)


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
