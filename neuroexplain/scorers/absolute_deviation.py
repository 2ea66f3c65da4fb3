"""`absolute_deviation`: explained deviation from the median, less ruled by a few large activations than variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuroexplain.records import HeldOutSpan
from neuroexplain.registry import register
from neuroexplain.scorers.alignment import Aligned, Terms
from neuroexplain.scorers.statistics import Array, around_median


def _errors(predicted: Array, truth: Array) -> tuple[Array, ...]:
    return (np.abs(truth - predicted),)


@register("scorer", "absolute_deviation")
@dataclass(frozen=True)
class AbsoluteDeviation:
    """1 - sum |t - p| / sum |t - median t|; p calibrated on other spans with a slope of 0 or more."""

    name: ClassVar[str] = "absolute_deviation"
    no_skill: ClassVar[float] = 0.0
    calibrated: ClassVar[bool] = True

    @property
    def terms(self) -> Terms:
        """The absolute errors."""
        return _errors

    def weight(self, span: HeldOutSpan) -> float:
        """One over the span's inclusion probability."""
        return span.weight

    def values(self, aligned: Aligned, weights: Array) -> Array:
        """The share under weights [span, resample]; NaN where the neuron never leaves its median."""
        errors = (aligned.sums(_errors) @ weights)[:, 0]
        whole = around_median(aligned.truth, aligned.per_token(weights))
        known = whole > 0
        return np.where(known, 1 - errors / np.where(known, whole, 1.0), np.nan)

    def reason(self, aligned: Aligned, weights: Array) -> str:
        """Only a neuron that never varies has none."""
        return "dead_neuron"
