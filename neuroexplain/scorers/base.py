"""What a scorer is, and what every score gets: an interval, a null and a floor.

A scorer is one statistic or several. A statistic takes predictions beside the truth and weights of the spans, and gives a
number. Bootstrapping over spans is then the same statistic under other weights, and every statistic pools all tokens or
spans: per-span numbers are never averaged, for on many spans they are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from neuroexplain.config import MIN_NULL, ScoreConfig
from neuroexplain.llm.base import LLM
from neuroexplain.records import Explanation, HeldOut, HeldOutSpan, Score, Simulation
from neuroexplain.scorers.alignment import Aligned, Predictions, covered, predictions
from neuroexplain.scorers.calibration import calibrated
from neuroexplain.scorers.statistics import Array, quantile, resamples

MIN_TOKENS = 10


class Statistic(Protocol):
    """A number about predictions and true activations of pooled spans.

    One that needs predictions in the subject's units has `calibrated: ClassVar[bool] = True`, see `calibration`.
    """

    @property
    def name(self) -> str:
        """What the score is called."""

    @property
    def no_skill(self) -> float:
        """What a prediction that is the same everywhere is worth, where the statistic itself is undefined."""

    def weight(self, span: HeldOutSpan) -> float:
        """How much a span counts; 0 leaves it out."""

    def values(self, aligned: Aligned, weights: Array) -> Array:
        """The statistic of every simulation under weights [span, resample]: [simulation, resample], NaN where undefined."""

    def reason(self, aligned: Aligned, weights: Array) -> str:
        """Why the first simulation's statistic is undefined under weights [span]."""


class Scorer(Protocol):
    """A statistic, or a group of them in a property `statistics`; see `statistics_of`."""

    name: ClassVar[str]


@runtime_checkable
class Asker(Protocol):
    """A scorer that asks a language model itself, instead of taking a simulator's predictions.

    Where its answers are about what only this neuron has, `comparable: ClassVar[bool] = False`.
    """

    llm: LLM

    async def ask(self, explanation: Explanation, held_out: HeldOut) -> Simulation:
        """The language model's answers about the spans, as levels 0-10 of their tokens.

        A span without a usable reply is a failed span with its raw reply.

        Raises:
            LLMError: no reply could be had at all.
        """


def statistics_of(scorer: Any) -> tuple[Statistic, ...]:
    """The statistics that a scorer, or its class, stands for."""
    found: tuple[Statistic, ...] = getattr(scorer, "statistics", None) or (scorer,)
    return found


def score(
    scorers: Sequence[Any],
    simulation: Simulation,
    held_out: HeldOut,
    *,
    nulls: Sequence[Simulation],
    floor: Simulation | None,
    config: ScoreConfig,
    calibration: HeldOut | None = None,
) -> tuple[Score, ...]:
    """Score one simulation, once by each statistic of each scorer.

    Args:
        scorers: what is computed.
        simulation: the explanation's predictions.
        held_out: the truth.
        nulls: predictions on the same spans from explanations of other neurons of the layer. Nulls that cover only
            some spans are compared on those spans, see `_null`.
        floor: predictions of the neuron's own token table, for every span.
        config: number of bootstrap resamples, seed, size of the null.
        calibration: truth of other spans, of the split `select`, on which predictions are put into the subject's units;
            the simulations, nulls and floor cover them too. Only for statistics that ask for it.
    """
    pieces = [simulation, *([] if floor is None else [floor]), *nulls]
    plain = [predictions(piece) for piece in pieces]
    fitted = [None if calibration is None else calibrated(p, calibration) for p in plain]
    case = _Case(simulation, held_out, floor is not None, config)
    raw, scaled = _Material(held_out, plain, case), _Material(held_out, fitted, case)
    return tuple(
        _score(s, scaled if getattr(s, "calibrated", False) else raw, case)
        for scorer in scorers
        for s in statistics_of(scorer)
    )


@dataclass(frozen=True)
class _Case:
    """What all statistics of one simulation have in common."""

    simulation: Simulation
    held_out: HeldOut
    has_floor: bool
    config: ScoreConfig

    @cached_property
    def coverage(self) -> float:
        """Share of the held-out spans' tokens that have a prediction."""
        own = predictions(self.simulation)
        spans = self.held_out.spans
        total = sum(len(s.span) for s in spans)
        return sum(len(s.span) for s in spans if s.span.span in own) / total if total else 0.0


class _Material:
    """Own predictions, floor and nulls beside the truth; laid out when a statistic first wants them.

    Args:
        held_out: the truth.
        pieces: own predictions, then the floor's if there is one, then the nulls'; None where there are none.
        case: which of them there are.
    """

    def __init__(
        self, held_out: HeldOut, pieces: Sequence[Predictions | None], case: _Case
    ) -> None:
        self._held_out = held_out
        self._own = pieces[0]
        self._floor = pieces[1] if case.has_floor else None
        self._nulls = [p for p in pieces[1 + case.has_floor :] if p is not None]

    @cached_property
    def scored(self) -> Aligned | None:
        """The explanation, and behind it the floor. What a score is compared with has to be taken on the same spans."""
        if self._own is None:
            return None
        spans = covered(self._held_out.spans, [self._own])
        beside = [] if self._floor is None else [self._floor]
        return Aligned(spans, [self._own, *beside], scale=self._held_out.scale)

    @property
    def n_nulls(self) -> int:
        """Explanations of other neurons."""
        return len(self._nulls)

    @cached_property
    def compared(self) -> Aligned | None:
        """The explanation, and behind it the nulls, on the spans that all of these cover."""
        if self._own is None or self.n_nulls < MIN_NULL:
            return None
        spans = covered(self._held_out.spans, self._nulls)
        return Aligned(
            covered(spans, [self._own]), [self._own, *self._nulls], scale=self._held_out.scale
        )


def _score(statistic: Statistic, material: _Material, case: _Case) -> Score:
    """One score, from the simulation with its floor, and from the simulation with its nulls."""
    if material.scored is None:
        return _uncalibrated(statistic, case)
    pooled = _Pooled(statistic, material.scored)
    value, *floor = (_finite(value) for value in pooled.values)
    low, high = _interval(pooled, case.config) if value is not None else (None, None)
    null = _null(statistic, material)
    return Score(
        scorer=statistic.name,
        value=value,
        reason=_why(pooled, case.simulation) if value is None else None,
        ci_low=low,
        ci_high=high,
        null_mean=null.mean,
        null_own=null.own,
        null_n=material.n_nulls,
        p_value=null.p_value if value is not None else None,
        null_reason=null.reason,
        floor=floor[0] if floor else None,
        n_tokens=pooled.n_tokens,
        n_nonzero=int(material.scored.nonzero[pooled.used].sum()),
        coverage=case.coverage,
    )


def _uncalibrated(statistic: Statistic, case: _Case) -> Score:
    """The record of a statistic that has nothing to be calibrated on."""
    nothing = dict.fromkeys(("value", "ci_low", "ci_high", "null_mean", "null_own", "p_value"))
    return Score(
        scorer=statistic.name,
        reason="not_calibrated",
        null_n=0,
        null_reason="not_calibrated",
        floor=None,
        n_tokens=0,
        n_nonzero=0,
        coverage=case.coverage,
        **nothing,
    )


class _Pooled:
    """A statistic over the pooled spans of aligned simulations."""

    def __init__(self, statistic: Statistic, aligned: Aligned) -> None:
        self.statistic = statistic
        self.aligned = aligned
        self.weights = np.array([statistic.weight(span) for span in aligned.spans], np.float64)
        """[span]"""
        self.used = self.weights > 0
        """[span]"""
        self.n_tokens = int(aligned.lengths[self.used].sum())
        if self.n_tokens >= MIN_TOKENS:
            self.values = statistic.values(aligned, self.weights[:, None])[:, 0]
        else:
            self.values = np.full(len(aligned), np.nan)
        """[simulation]; NaN where it is undefined."""


def _why(pooled: _Pooled, simulation: Simulation) -> str:
    if pooled.n_tokens >= MIN_TOKENS:
        return pooled.statistic.reason(pooled.aligned, pooled.weights)
    failures = {s.failure.reason for s in simulation.spans if s.failure is not None}
    return min(failures, default="too_few_tokens")


def _interval(pooled: _Pooled, config: ScoreConfig) -> tuple[float | None, float | None]:
    """Bootstrap over spans: tokens of one text are not independent, spans nearly are."""
    n = int(pooled.used.sum())
    if config.bootstrap == 0 or n < 2:
        return None, None
    drawn = resamples(n, config.bootstrap, config.seed)
    alone = pooled.aligned.only(pooled.used)
    weights = pooled.weights[pooled.used, None] * drawn
    values = pooled.statistic.values(alone, weights)[0]
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return None, None
    return quantile(values, 0.025), quantile(values, 0.975)


@dataclass(frozen=True)
class _Null:
    """What explanations of other neurons score, or why that is not known."""

    mean: float | None = None
    own: float | None = None
    p_value: float | None = None
    reason: str | None = None


def _null(statistic: Statistic, material: _Material) -> _Null:
    """The null distribution and the score's place in it.

    An explanation that predicts the same everywhere here has no defined score; it counts as one without skill.
    Where the nulls cover only a part of the spans (those that all neurons share), the explanation's own statistic is
    taken on that part too, so that like is compared with like.
    """
    n = material.n_nulls
    if material.compared is None:
        why = getattr(statistic, "no_null", "")
        return _Null(reason=why or f"{n} other explanations in the layer, {MIN_NULL} needed")
    own, *others = _Pooled(statistic, material.compared).values
    if not np.isfinite(own):
        return _Null(reason="undefined on the spans that the null covers")
    defined = np.where(np.isfinite(others), others, statistic.no_skill)
    as_good = int(np.count_nonzero(defined >= own))
    return _Null(float(defined.mean()), float(own), (1 + as_good) / (1 + n))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
