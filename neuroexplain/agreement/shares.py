"""Share of a population that is correct, from a sample that was drawn by strata.

The estimate is the weighted mean, where answers of a stratum also stand for its items without one. Its variance is the
linearised one of a ratio within strata, with finite-population correction (Särndal, Swensson and Wretman 1992, 5.7 and
7.2). The interval is Wilson's on the effective sample size, which covers well for shares near 0 and 1 too (Franco,
Little, Louis and Slud 2019, J. Surv. Stat. Methodol. 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from neuroexplain.agreement.estimates import LEVEL, Counts, Estimate, Floats, undefined, wilson

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Items that were drawn at random. All arrays are [item]."""

    answer: Floats
    """1 where an item is correct, 0 where it is not; between them where reviewers differ. Ignored where unanswered."""
    answered: Flags
    weight: Floats
    """Members of the population that an item stands for: one over its chance of being drawn."""
    stratum: Counts
    """Number of its stratum; the same for all where none were made."""


@dataclass(frozen=True)
class Share:
    """How much of a population is correct."""

    estimate: Estimate
    lowest: float | None
    """Were all items without an answer wrong; None where nothing was drawn."""
    highest: float | None
    """Were they all correct."""
    items: int
    """Drawn, answered or not."""
    population: float | None
    """Explanations that these stand for; None where they stand for themselves alone."""
    left_out: float = 0.0
    """Of them in strata without any answer: the estimate does not speak of these."""


def share(sample: Sample, within: Flags | None = None) -> Share:
    """Share correct of a population, or of a part of it.

    Args:
        sample: at random.
        within: [item]; whether it belongs to the part. The part need not consist of whole strata.
    """
    within = np.ones(len(sample.answer), bool) if within is None else within
    if not within.any():
        return Share(undefined(0, "no items"), None, None, 0, 0.0)
    weight, counted = _adjusted(sample), sample.answered & within
    base, right = sample.weight[within], counted[within] * sample.answer[within]
    total = float(base.sum())
    open_ = float(base[~sample.answered[within]].sum())
    lowest = float(base @ right)
    return Share(
        estimate=_estimate(sample, weight, counted),
        lowest=lowest / total,
        highest=(lowest + open_) / total,
        items=int(within.sum()),
        population=total,
        left_out=_left_out(sample, within),
    )


def unweighted(answer: Floats, answered: Flags, reason: str) -> Share:
    """Share of those judged, where these were not drawn at random and so stand for nothing else.

    Args:
        answer: [item]; 0 to 1.
        answered: [item].
        reason: why there is no interval about a population.
    """
    n = int(answered.sum())
    if not n:
        return Share(undefined(0, "no answers"), None, None, len(answer), None)
    lowest = float(answer[answered].sum())
    return Share(
        Estimate(lowest / n, n, reason=reason),
        lowest / len(answer),
        (lowest + len(answer) - n) / len(answer),
        len(answer),
        None,
    )


def _adjusted(sample: Sample) -> Floats:
    """Weights of the answered items, so that those of a stratum stand for all of it; 0 for the others."""
    weight = np.where(sample.answered, sample.weight, 0.0)
    drawn = np.bincount(sample.stratum, sample.weight)
    answered = np.bincount(sample.stratum, weight)
    factor = np.divide(drawn, answered, out=np.zeros_like(drawn), where=answered > 0)
    return weight * factor[sample.stratum]


def _left_out(sample: Sample, within: Flags) -> float:
    answered = np.bincount(sample.stratum, sample.answered)
    return float(sample.weight[within & (answered[sample.stratum] == 0)].sum())


def _estimate(sample: Sample, weight: Floats, counted: Flags) -> Estimate:
    n = int(counted.sum())
    if n == 0:
        return undefined(0, "no answers")
    value = float(np.average(sample.answer[counted], weights=weight[counted]))
    strata = len(np.unique(sample.stratum[counted]))
    freedom = n - strata
    if freedom < 1:
        return Estimate(value, n, reason=f"too few answers for an interval: {n} in {strata} strata")
    effective = _effective(sample, weight, counted, value)
    critical = float(t.ppf(0.5 + LEVEL / 2, freedom))
    return Estimate(value, n, *wilson(value, effective, critical))


def _effective(sample: Sample, weight: Floats, counted: Flags, value: float) -> float:
    """Independent answers that would make the share as precise as it is."""
    m = np.bincount(sample.stratum, sample.answered)
    size = np.bincount(sample.stratum, sample.weight)
    open_ = np.clip(1 - np.divide(m, size, out=np.ones(len(m)), where=size > 0), 0, 1)
    if not open_[sample.stratum[counted]].any():
        return np.inf  # everybody was asked
    z = np.where(counted, weight * (sample.answer - value), 0.0) / weight[counted].sum()
    sums, squares = np.bincount(sample.stratum, z), np.bincount(sample.stratum, z**2)
    # A stratum with one answer says nothing of its spread: its distance from the whole stands in for it.
    spread = np.divide(m * squares - sums**2, m - 1, out=squares.copy(), where=m > 1)
    variance = float(open_ @ spread)
    smoothed = _smoothed(sample, weight, counted, open_)
    return min(value * (1 - value) / variance, smoothed) if variance > 1e-15 else smoothed


def _smoothed(sample: Sample, weight: Floats, counted: Flags, open_: Floats) -> float:
    """The same as if each stratum had half an answer of both kinds more.

    A heavy stratum in which all answers happen to be equal seems to have no spread at all, and the share seems surer than
    it is.
    """
    own = np.where(counted, weight, 0.0)
    sums, squares = np.bincount(sample.stratum, own), np.bincount(sample.stratum, own**2)
    part = sums / sums.sum()
    m = np.divide(sums**2, squares, out=np.zeros(len(sums)), where=squares > 0)  # of Kish
    right = np.bincount(sample.stratum, own * sample.answer)
    q = (m * np.divide(right, sums, out=np.zeros(len(sums)), where=sums > 0) + 0.5) / (m + 1)
    each = np.divide(q * (1 - q), m, out=np.zeros(len(m)), where=m > 0)
    variance = float(open_ @ (part**2 * each))
    whole = float(part @ q)
    return whole * (1 - whole) / variance
