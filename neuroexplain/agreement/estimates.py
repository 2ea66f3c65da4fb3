"""Estimates with intervals, and resampling by which some of these are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

LEVEL = 0.95
"""Of every interval."""
RESAMPLES = 1000
"""Of a bootstrap."""
_AT_ONCE = 50
_UNDEFINED = 0.1
"""Share of the resamples that may be undefined before an interval is."""
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, or the reason why there is none."""

    value: float | None
    n: int
    """Observations that it rests on."""
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    """Why there is no value; where there is one, why it has no interval."""


def undefined(n: int, reason: str) -> Estimate:
    """An estimate without a value."""
    return Estimate(None, n, reason=reason)


def wilson(value: float, n: float, critical: float | None = None) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927).

    Args:
        value: the share.
        n: observations, or as many independent ones as they are worth; may be infinite.
        critical: quantile of the studentised share; without it the normal one.
    """
    c = norm.ppf(0.5 + LEVEL / 2) if critical is None else critical
    if np.isinf(n):
        return value, value
    centre = value + c**2 / (2 * n)
    half = c * np.sqrt(value * (1 - value) / n + c**2 / (4 * n**2))
    low, high = (centre - half) / (1 + c**2 / n), (centre + half) / (1 + c**2 / n)
    return max(0.0, float(low)), min(1.0, float(high))


def proportion(hits: float, n: int) -> Estimate:
    """A plain share of independent observations."""
    if n == 0:
        return undefined(0, "no observations")
    return Estimate(hits / n, n, *wilson(hits / n, n))


def draws(groups: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Counts]:
    """How often each group is drawn when as many groups are drawn as there are, with replacement.

    Yields:
        [resample, group]; some resamples at a time, so that memory does not grow with their number.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _AT_ONCE):
        n = min(_AT_ONCE, resamples - start)
        drawn = rng.integers(groups, size=(n, groups))
        drawn += np.arange(n)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(n, groups)


def resampled(value: float, replicates: Floats, n: int) -> Estimate:
    """An estimate with the percentile interval of its bootstrap replicates (Efron 1981).

    Args:
        value: the estimate.
        replicates: [resample]; NaN where a resample leaves it undefined.
        n: observations.
    """
    good = replicates[np.isfinite(replicates)]
    if (reason := _too_few(good, replicates)) is not None:
        return Estimate(value, n, reason=reason)
    low, high = np.quantile(good, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Estimate(value, n, float(low), float(high))


def stretched(value: float, replicates: Floats, n: int, groups: int, edge: float) -> Estimate:
    """An estimate between -1 and 1 with Student's interval on Fisher's scale, by the spread of its bootstrap replicates.

    Close to the ends, and for some dozens of groups, it covers better than percentiles do.

    Args:
        value: the estimate.
        replicates: [resample]; NaN where a resample leaves it undefined.
        n: observations.
        groups: that were drawn.
        edge: least distance from the ends that the data can resolve.
    """
    good = replicates[np.isfinite(replicates)]
    if (reason := _too_few(good, replicates)) is not None:
        return Estimate(value, n, reason=reason)
    if groups < 2 or abs(value) > 1 - edge:
        reason = "all are in perfect order" if groups > 1 else "all are of one neuron"
        return Estimate(value, n, reason=f"{reason}: the spread cannot be told")
    half = t.ppf(0.5 + LEVEL / 2, groups - 1) * np.arctanh(np.clip(good, edge - 1, 1 - edge)).std()
    middle = np.arctanh(value)
    return Estimate(value, n, float(np.tanh(middle - half)), float(np.tanh(middle + half)))


def _too_few(good: Floats, replicates: Floats) -> str | None:
    lost = len(replicates) - len(good)
    if lost <= _UNDEFINED * len(replicates):
        return None
    return f"undefined in {lost} of {len(replicates)} resamples: too few items"
