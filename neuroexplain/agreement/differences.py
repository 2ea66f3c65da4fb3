"""Two scores of each of many things: how far the first lies above the second, and whether that is chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm, wilcoxon

from neuroexplain.agreement.estimates import (
    LEVEL,
    Counts,
    Estimate,
    Floats,
    draws,
    proportion,
    resampled,
    undefined,
)

MOST_RESAMPLED = 5_000
"""Groups up to which means are resampled; of more, their mean is normal, and the bootstrap would say the same."""


@dataclass(frozen=True)
class Differences:
    """The first score less the second. What is None is undefined: there is no pair, or no pair differs."""

    n: int
    """Pairs in which both scores are defined; all that follows is of these."""
    mean: Estimate
    """With an interval over groups: both sides of a neuron are drawn together."""
    median: float | None
    better: Estimate
    """Share of pairs in which the first is higher."""
    worse: Estimate
    """Share in which the second is."""
    sign_p: float | None
    """Two-sided, of the sign test: that either is as likely to be higher. Pairs count as independent; ties do not count."""
    rank_p: float | None
    """Two-sided, of Wilcoxon's signed ranks, 1945: that differences are as likely to be above 0 as below, by size too."""


def differences(first: Floats, second: Floats, group: Counts) -> Differences:
    """Compare scores.

    Args:
        first: [pair].
        second: [pair].
        group: [pair]; pairs of one group are not independent, such as the two sides of a neuron.
    """
    apart = first - second
    higher, lower = int((apart > 0).sum()), int((apart < 0).sum())
    differ = higher + lower
    return Differences(
        n=len(apart),
        mean=mean_of_groups(apart, group),
        median=float(np.median(apart)) if len(apart) else None,
        better=proportion(higher, len(apart)),
        worse=proportion(lower, len(apart)),
        sign_p=float(binomtest(higher, differ).pvalue) if differ else None,
        rank_p=float(wilcoxon(apart).pvalue) if differ else None,
    )


def mean_of_groups(values: Floats, group: Counts) -> Estimate:
    """A mean with an interval over groups, by a bootstrap; of thousands of groups by the spread of their sums.

    Args:
        values: [value].
        group: [value]; those of one group are drawn together.
    """
    if not len(values):
        return undefined(0, "no observations")
    value = float(values.mean())
    _, place = np.unique(group, return_inverse=True)
    sizes = np.bincount(place)
    sums = np.bincount(place, values)
    if len(sizes) < 2:
        return Estimate(value, len(values), reason="all are of one neuron")
    if len(sizes) <= MOST_RESAMPLED:
        parts = [(drawn @ sums) / (drawn @ sizes) for drawn in draws(len(sizes))]
        return resampled(value, np.concatenate(parts), len(values))
    beyond = sums - value * sizes
    error = np.sqrt(len(sizes) / (len(sizes) - 1) * (beyond @ beyond)) / len(values)
    half = float(norm.ppf(0.5 + LEVEL / 2) * error)
    return Estimate(value, len(values), value - half, value + half)
