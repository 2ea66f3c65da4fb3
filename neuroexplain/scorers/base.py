"""What a scorer is, and what every score gets: an interval, a null and a floor.

A scorer turns tokens into a few terms, and weighted sums of these into a number. Bootstrapping over spans is then a matrix
product, and every statistic pools all tokens: per-span numbers are never averaged, for on many spans they are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

import numpy as np

from neuroexplain.config import MIN_NULL, ScoreConfig
from neuroexplain.records import HeldOut, HeldOutSpan, Score, Simulation
from neuroexplain.scorers.alignment import Aligned, Terms, covered, predictions
from neuroexplain.scorers.statistics import Array, quantile

MIN_TOKENS = 10


class Scorer(Protocol):
    """A statistic over simulated and true activations of pooled tokens."""

    name: ClassVar[str]
    no_skill: ClassVar[float]
    """What a prediction that is the same everywhere is worth."""

    @property
    def terms(self) -> Terms:
        """What is summed over tokens: a function, so that scorers with the same one share its sums."""

    def weight(self, span: HeldOutSpan) -> float:
        """How much each of a span's tokens counts; 0 leaves the span out."""

    def values(self, sums: Array) -> Array:
        """The statistic from the weighted sums of the terms, [..., term]; NaN where it is undefined."""

    def reason(self, sums: Array) -> str:
        """Why the statistic of some sums [term] is undefined."""


def score(
    scorers: Sequence[Scorer],
    simulation: Simulation,
    held_out: HeldOut,
    *,
    nulls: Sequence[Simulation],
    floor: Simulation | None,
    config: ScoreConfig,
) -> tuple[Score, ...]:
    """Score one simulation, once by each scorer.

    Args:
        scorers: the statistics.
        simulation: the explanation's predictions.
        held_out: the truth.
        nulls: predictions on the same spans from explanations of other neurons of the layer. Nulls that cover only
            some spans are compared on those spans, see `_null`.
        floor: predictions of the neuron's own token table, for every span.
        config: number of bootstrap resamples, seed, size of the null.
    """
    own = predictions(simulation)
    # What a score is compared with has to be taken on the same spans.
    spans = covered(held_out.spans, [own])
    scored = Aligned(spans, [own] if floor is None else [own, predictions(floor)])
    compared = None
    if len(nulls) >= MIN_NULL:
        others = [predictions(null) for null in nulls]
        compared = Aligned(covered(spans, others), [own, *others])
    return tuple(
        _score(scorer, simulation, scored, compared, len(nulls), config) for scorer in scorers
    )


def _score(
    scorer: Scorer,
    simulation: Simulation,
    scored: Aligned,
    compared: Aligned | None,
    n_nulls: int,
    config: ScoreConfig,
) -> Score:
    """One score, from the simulation with its floor, and from the simulation with its nulls."""
    pooled = _Pooled(scorer, scored)
    value, *floor = (_finite(value) for value in pooled.values)
    low, high = _interval(pooled, config) if value is not None else (None, None)
    null = _null(scorer, compared, n_nulls)
    return Score(
        scorer=scorer.name,
        value=value,
        reason=_why(pooled, simulation) if value is None else None,
        ci_low=low,
        ci_high=high,
        null_mean=null.mean,
        null_own=null.own,
        null_n=n_nulls,
        p_value=null.p_value if value is not None else None,
        null_reason=null.reason,
        floor=floor[0] if floor else None,
        n_tokens=pooled.n_tokens,
        n_nonzero=int(scored.nonzero[pooled.used].sum()),
        coverage=simulation.coverage,
    )


class _Pooled:
    """A statistic over the pooled tokens of aligned simulations."""

    def __init__(self, scorer: Scorer, aligned: Aligned) -> None:
        self.scorer = scorer
        weights = np.array([scorer.weight(span) for span in aligned.spans], np.float64)
        self.used = weights > 0
        """[span]"""
        self.n_tokens = int(aligned.lengths[self.used].sum())
        self.table = aligned.sums(scorer.terms) * weights
        """[simulation, term, span]; weighted sums."""
        self.sums = self.table.sum(axis=-1)
        """[simulation, term]"""
        enough = self.n_tokens >= MIN_TOKENS
        self.values = scorer.values(self.sums) if enough else np.full(len(self.sums), np.nan)
        """[simulation]; NaN where it is undefined."""


def _why(pooled: _Pooled, simulation: Simulation) -> str:
    if pooled.n_tokens >= MIN_TOKENS:
        return pooled.scorer.reason(pooled.sums[0])
    failures = {s.failure.reason for s in simulation.spans if s.failure is not None}
    return min(failures, default="too_few_tokens")


def _interval(pooled: _Pooled, config: ScoreConfig) -> tuple[float | None, float | None]:
    """Bootstrap over spans: tokens of one text are not independent, spans nearly are."""
    table = pooled.table[0][:, pooled.used]
    n = table.shape[1]
    if config.bootstrap == 0 or n < 2:
        return None, None
    values = pooled.scorer.values((table @ _resamples(n, config.bootstrap, config.seed)).T)
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return None, None
    return quantile(values, 0.025), quantile(values, 0.975)


@lru_cache(maxsize=64)
def _resamples(n: int, times: int, seed: int) -> Array:
    """How often every one of n spans is drawn, [span, resample]."""
    random = np.random.default_rng(seed)
    counts = random.multinomial(n, np.full(n, 1 / n), size=times)
    return np.ascontiguousarray(counts.T, np.float64)


@dataclass(frozen=True)
class _Null:
    """What explanations of other neurons score, or why that is not known."""

    mean: float | None = None
    own: float | None = None
    p_value: float | None = None
    reason: str | None = None


def _null(scorer: Scorer, compared: Aligned | None, n: int) -> _Null:
    """The null distribution and the score's place in it.

    An explanation that predicts the same everywhere here has no defined score; it counts as one without skill.
    Where the nulls cover only a part of the spans (those that all neurons share), the explanation's own statistic is
    taken on that part too, so that like is compared with like.
    """
    if compared is None:
        return _Null(reason=f"{n} other explanations in the layer, {MIN_NULL} needed")
    own, *others = _Pooled(scorer, compared).values
    if not np.isfinite(own):
        return _Null(reason="undefined on the spans that the null covers")
    defined = np.where(np.isfinite(others), others, scorer.no_skill)
    as_good = int(np.count_nonzero(defined >= own))
    return _Null(float(defined.mean()), float(own), (1 + as_good) / (1 + n))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
