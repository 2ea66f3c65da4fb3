"""What a scorer is, and what every score gets: an interval, a null and a floor.

A scorer turns each span into a few sums, and summed sums into a number. Bootstrapping over spans is then a matrix
product, and every statistic pools all tokens: per-span numbers are never averaged, for on many spans they are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroexplain.config import ScoreConfig
from neuroexplain.records import Floats, HeldOut, HeldOutSpan, Score, Simulation

Sums = NDArray[np.float64]
MIN_TOKENS = 10
MIN_NULL = 20
"""Fewer other explanations than this give no p-value below 0.05 worth the name."""


class Scorer(Protocol):
    """A statistic over simulated and true activations of pooled tokens."""

    name: ClassVar[str]

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
    table, tokens = _table(scorer, simulation, held_out)
    total = table.sum(axis=0)
    value = _finite(scorer.values(total)) if tokens["n"] >= MIN_TOKENS else None
    reason = None
    if value is None:
        reason = _why(scorer, total, tokens["n"], simulation)
    low, high = _interval(scorer, table, config) if value is not None else (None, None)
    null_mean, p_value, null_n, null_reason = _null(scorer, simulation, held_out, nulls)
    return Score(
        scorer=scorer.name,
        value=value,
        reason=reason,
        ci_low=low,
        ci_high=high,
        null_mean=null_mean,
        null_n=null_n,
        p_value=p_value if value is not None else None,
        null_reason=null_reason,
        floor=_statistic(scorer, floor, held_out) if floor is not None else None,
        n_tokens=tokens["n"],
        n_nonzero=tokens["nonzero"],
        coverage=simulation.coverage,
    )


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


def _null(
    scorer: Scorer, simulation: Simulation, held_out: HeldOut, nulls: Sequence[Simulation]
) -> tuple[float | None, float | None, int, str | None]:
    """Mean of the null, p-value, size and, where there is none, why.

    An explanation whose simulation is constant here has no correlation; it counts as one that does no better.
    Where the nulls cover only a part of the spans (those that all neurons share), the explanation's own statistic is
    taken on that part too, so that like is compared with like.
    """
    if len(nulls) < MIN_NULL:
        return (
            None,
            None,
            len(nulls),
            f"{len(nulls)} other explanations in the layer, {MIN_NULL} needed",
        )
    common = set.intersection(*({s.span.span for s in null.spans} for null in nulls))
    shared = HeldOut(held_out.neuron, tuple(s for s in held_out.spans if s.span.span in common))
    values = [_statistic(scorer, null, shared) for null in nulls]
    defined = [v for v in values if v is not None]
    own = _statistic(scorer, simulation, shared)
    if own is None or not defined:
        return None, None, len(nulls), "undefined on the spans that the null covers"
    as_good = sum(v >= own for v in defined)
    return float(np.mean(defined)), (1 + as_good) / (1 + len(nulls)), len(nulls), None


def _finite(value: Sums | float) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
