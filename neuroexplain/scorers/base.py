"""What a scorer is, and what every score gets: an interval, a null and a floor.

A scorer turns each span into a few sums, and summed sums into a number. Bootstrapping over spans is then a matrix
product, and every statistic pools all tokens: per-span numbers are never averaged, for on many spans they are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroexplain.config import MIN_NULL, ScoreConfig
from neuroexplain.records import Floats, HeldOut, HeldOutSpan, Score, Simulation

Sums = NDArray[np.float64]
MIN_TOKENS = 10


class Scorer(Protocol):
    """A statistic over simulated and true activations of pooled tokens."""

    name: ClassVar[str]
    no_skill: ClassVar[float]
    """What a prediction that is the same everywhere is worth."""

    def weight(self, span: HeldOutSpan) -> float:
        """How much each of a span's tokens counts; 0 leaves the span out."""

    def sums(self, expected: Floats, truth: Floats) -> Sums:
        """A span's additive sums, [term], each token counted once."""

    def values(self, sums: Sums) -> Sums:
        """The statistic from summed sums [..., term]; NaN where it is undefined."""

    def reason(self, sums: Sums) -> str:
        """Why the statistic of some sums [term] is undefined."""


def score(
    scorer: Scorer,
    simulation: Simulation,
    held_out: HeldOut,
    *,
    nulls: Sequence[Simulation],
    floor: Simulation | None,
    config: ScoreConfig,
) -> Score:
    """Score one simulation.

    Args:
        scorer: the statistic.
        simulation: the explanation's predictions.
        held_out: the truth.
        nulls: predictions on the same spans from explanations of other neurons of the layer. A null that covers only
            some spans is compared on those spans, see `_null`.
        floor: predictions of the neuron's own token table.
        config: number of bootstrap resamples, seed, size of the null.
    """
    covered = {s.span.span for s in simulation.spans if s.expected is not None}
    scored = _only(held_out, covered)
    table, tokens = _table(scorer, simulation, scored)
    total = table.sum(axis=0)
    value = _finite(scorer.values(total)) if tokens["n"] >= MIN_TOKENS else None
    reason = None if value is not None else _why(scorer, total, tokens["n"], simulation)
    low, high = _interval(scorer, table, config) if value is not None else (None, None)
    null = _null(scorer, simulation, scored, nulls)
    return Score(
        scorer=scorer.name,
        value=value,
        reason=reason,
        ci_low=low,
        ci_high=high,
        null_mean=null.mean,
        null_own=null.own,
        null_n=len(nulls),
        p_value=null.p_value if value is not None else None,
        null_reason=null.reason,
        floor=_statistic(scorer, floor, scored) if floor is not None else None,
        n_tokens=tokens["n"],
        n_nonzero=tokens["nonzero"],
        coverage=simulation.coverage,
    )


def _only(held_out: HeldOut, spans: AbstractSet[int]) -> HeldOut:
    """Some of the held-out spans: what a score is compared with has to be taken on the same spans."""
    return HeldOut(held_out.neuron, tuple(s for s in held_out.spans if s.span.span in spans))


def _table(
    scorer: Scorer, simulation: Simulation, held_out: HeldOut
) -> tuple[Sums, dict[str, int]]:
    """Weighted sums of every span that is scored, [span, term], and how many tokens went in."""
    rows, n, nonzero = [], 0, 0
    predicted = {s.span.span: s.expected for s in simulation.spans}
    for span in held_out.spans:
        weight, expected = scorer.weight(span), predicted.get(span.span.span)
        if weight > 0 and expected is not None:
            truth = span.truth[span.span.first :]
            rows.append(weight * scorer.sums(expected[span.span.first :], truth))
            n += len(truth)
            nonzero += int(np.count_nonzero(truth > 0))
    terms = len(scorer.sums(np.zeros(1, np.float32), np.zeros(1, np.float32)))
    table = np.array(rows) if rows else np.zeros((0, terms))
    return table, {"n": n, "nonzero": nonzero}


def _statistic(scorer: Scorer, simulation: Simulation, held_out: HeldOut) -> float | None:
    table, tokens = _table(scorer, simulation, held_out)
    return _finite(scorer.values(table.sum(axis=0))) if tokens["n"] >= MIN_TOKENS else None


def _why(scorer: Scorer, total: Sums, n_tokens: int, simulation: Simulation) -> str:
    if n_tokens >= MIN_TOKENS:
        return scorer.reason(total)
    failures = {s.failure.reason for s in simulation.spans if s.failure is not None}
    return min(failures, default="too_few_tokens")


def _interval(
    scorer: Scorer, table: Sums, config: ScoreConfig
) -> tuple[float | None, float | None]:
    """Bootstrap over spans: tokens of one text are not independent, spans nearly are."""
    if config.bootstrap == 0 or len(table) < 2:
        return None, None
    rng = np.random.default_rng(config.seed)
    counts = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=config.bootstrap)
    values = scorer.values(counts @ table)
    values = values[np.isfinite(values)]
    if not len(values):
        return None, None
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True)
class _Null:
    """What explanations of other neurons score, or why that is not known."""

    mean: float | None = None
    own: float | None = None
    p_value: float | None = None
    reason: str | None = None


def _null(
    scorer: Scorer, simulation: Simulation, held_out: HeldOut, nulls: Sequence[Simulation]
) -> _Null:
    """The null distribution and the score's place in it.

    An explanation that predicts the same everywhere here has no defined score; it counts as one without skill.
    Where the nulls cover only a part of the spans (those that all neurons share), the explanation's own statistic is
    taken on that part too, so that like is compared with like.
    """
    if len(nulls) < MIN_NULL:
        return _Null(reason=f"{len(nulls)} other explanations in the layer, {MIN_NULL} needed")
    common = set.intersection(
        *({s.span.span for s in null.spans if s.expected is not None} for null in nulls)
    )
    shared = _only(held_out, common)
    own = _statistic(scorer, simulation, shared)
    if own is None:
        return _Null(reason="undefined on the spans that the null covers")
    values = [_statistic(scorer, null, shared) for null in nulls]
    defined = [scorer.no_skill if value is None else value for value in values]
    as_good = sum(value >= own for value in defined)
    return _Null(float(np.mean(defined)), own, (1 + as_good) / (1 + len(nulls)))


def _finite(value: Sums | float) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
