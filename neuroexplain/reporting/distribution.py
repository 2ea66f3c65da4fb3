"""Numbers about many scores at once, and which of them stand out from chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue.results.scored import ScoreColumns
from neuroexplain.catalogue.storage.columns import Floats64, Integers

P_BELOW = 0.05
Q_BELOW = 0.1


@dataclass(frozen=True)
class Distribution:
    """Scores of one kind. None is unknown: there is no score, no null or no floor to tell it from."""

    n: int
    """Explanations with a score, defined or not."""
    n_scored: int
    """Those whose score is defined; all that follows is about them."""
    undefined: Mapping[str, int]
    """The others by reason, the most frequent first."""
    mean: float | None
    q25: float | None
    median: float | None
    q75: float | None
    q90: float | None
    null: float | None
    """Median of the means of the nulls."""
    over_null: float | None
    """Median of what a score has above the mean of its null, on the spans that the null covers."""
    no_null: Mapping[str, int]
    """Scores without a null, by reason."""
    floor: float | None
    """Median of the floors."""
    above_floor: float | None
    """Share of the scores with a floor that lie above it."""
    n_p: int
    """Scores with a p-value; the two shares that follow are of these."""
    p_below: float | None
    """Share with p < .05; .05 is what explanations without skill have."""
    q_below: float | None
    """Share with q < .1."""
    smallest_p: float | None
    """That the nulls allow: 1 / (1 + explanations in the largest of them)."""
    coverage: float | None
    """Mean share of the tokens that the simulator answered for."""


def distribution(scores: ScoreColumns, q: Floats64, rows: Integers) -> Distribution:
    """Numbers about some scores.

    Args:
        scores: all of them.
        q: [score]; q-values, NaN where there is none.
        rows: places of the scores that count.
    """
    value = scores.value[rows]
    defined = ~np.isnan(value)
    good = rows[defined]
    quantiles = [_quantile(scores.value[good], level) for level in (0.25, 0.5, 0.75, 0.9)]
    floor, p = scores.floor[good], scores.p_value[good]
    has_floor, has_p = ~np.isnan(floor), ~np.isnan(p)
    above = (scores.value[good] > floor)[has_floor]
    return Distribution(
        n=len(rows),
        n_scored=len(good),
        undefined=scores.reason.at(rows[~defined]).count(),
        mean=_mean(scores.value[good]),
        q25=quantiles[0],
        median=quantiles[1],
        q75=quantiles[2],
        q90=quantiles[3],
        null=_quantile(scores.null_mean[good], 0.5),
        over_null=_quantile(scores.null_own[good] - scores.null_mean[good], 0.5),
        no_null=scores.null_reason.at(good).count(),
        floor=_quantile(floor, 0.5),
        above_floor=_mean(above),
        n_p=int(has_p.sum()),
        p_below=_mean(p[has_p] < P_BELOW),
        q_below=_mean(q[good][has_p] < Q_BELOW),
        smallest_p=1 / (1 + int(scores.null_n[good][has_p].max())) if has_p.any() else None,
        coverage=_mean(scores.coverage[good]),
    )


def q_values(p: Floats64) -> Floats64:
    """Benjamini and Hochberg's adjusted p-values, 1995: among those with q < .1 a tenth is expected to be chance.

    >>> q_values(np.array([0.01, 0.04, np.nan, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, nan, 0.0533, 0.5]

    Args:
        p: [score] of one family; NaN where there is none, which does not count.
    """
    from scipy.stats import false_discovery_control

    q = np.full(len(p), np.nan)
    there = ~np.isnan(p)
    if there.any():
        q[there] = false_discovery_control(p[there], method="bh")
    return q


def _quantile(values: Floats64, level: float) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, level)) if len(known) else None


def _mean(values: Floats64 | NDArray[np.bool_]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
