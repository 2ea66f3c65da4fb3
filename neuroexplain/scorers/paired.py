"""Two explanations of one neuron on the same spans: what lies between their scores, with an interval.

Both are resampled together: what makes a span hard for one makes it hard for the other, so that the interval of the
difference is narrower than those of the scores suggest (Efron and Tibshirani 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroexplain.config import ScoreConfig
from neuroexplain.records import HeldOut, HeldOutSpan, Simulation
from neuroexplain.scorers.alignment import Aligned, Predictions, covered, predictions
from neuroexplain.scorers.base import MIN_TOKENS, Statistic, statistics_of
from neuroexplain.scorers.calibration import calibrated
from neuroexplain.scorers.statistics import Array, quantile, resamples


@dataclass(frozen=True)
class Difference:
    """The later score minus the earlier one, on the spans that both predict."""

    scorer: str
    value: float | None
    reason: str | None
    """Why `value` is None: before_undefined, after_undefined, not_calibrated, too_few_tokens."""
    ci_low: float | None
    """2.5 % point of the paired bootstrap over spans."""
    ci_high: float | None
    n_spans: int
    """Spans that both predict, and that count."""


def differences(
    scorers: Sequence[Any],
    before: Simulation,
    after: Simulation,
    held_out: HeldOut,
    *,
    config: ScoreConfig,
    calibration: HeldOut | None = None,
) -> tuple[Difference, ...]:
    """The differences of two simulations, one by each statistic of each scorer.

    Args:
        scorers: what is computed.
        before: predictions from one explanation.
        after: from another one of the same neuron.
        held_out: the truth.
        config: number of bootstrap resamples, seed.
        calibration: as for `scorers.base.score`.
    """
    plain = [predictions(before), predictions(after)]
    fitted = [None if calibration is None else calibrated(p, calibration) for p in plain]
    return tuple(
        _difference(s, fitted if getattr(s, "calibrated", False) else plain, held_out, config)
        for scorer in scorers
        for s in statistics_of(scorer)
    )


def _difference(
    statistic: Statistic,
    pieces: Sequence[Predictions | None],
    held_out: HeldOut,
    config: ScoreConfig,
) -> Difference:
    known = [piece for piece in pieces if piece is not None]
    if len(known) < len(pieces):
        return Difference(statistic.name, None, "not_calibrated", None, None, 0)
    spans = [s for s in covered(held_out.spans, known) if statistic.weight(s) > 0]
    aligned = Aligned(spans, known, scale=held_out.scale)
    if int(aligned.lengths.sum()) < MIN_TOKENS:
        return Difference(statistic.name, None, "too_few_tokens", None, None, len(spans))
    weights = np.array([statistic.weight(span) for span in spans], np.float64)
    first, second = statistic.values(aligned, weights[:, None])[:, 0]
    if not np.isfinite([first, second]).all():
        why = "after_undefined" if np.isfinite(first) else "before_undefined"
        return Difference(statistic.name, None, why, None, None, len(spans))
    low, high = _interval(statistic, aligned, spans, weights, config)
    return Difference(statistic.name, float(second - first), None, low, high, len(spans))


def _interval(
    statistic: Statistic,
    aligned: Aligned,
    spans: Sequence[HeldOutSpan],
    weights: Array,
    config: ScoreConfig,
) -> tuple[float | None, float | None]:
    if config.bootstrap == 0 or len(spans) < 2:
        return None, None
    drawn = resamples(len(spans), config.bootstrap, config.seed)
    first, second = statistic.values(aligned, weights[:, None] * drawn)
    found = second - first
    found = np.sort(found[np.isfinite(found)])
    if not len(found):
        return None, None
    return quantile(found, 0.025), quantile(found, 0.975)
