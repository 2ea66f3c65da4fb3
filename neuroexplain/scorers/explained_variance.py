"""`explained_variance`: the share of the activation's variance that calibrated predictions explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuroexplain.registry import register
from neuroexplain.scorers.alignment import Terms
from neuroexplain.scorers.statistics import Array, spread
from neuroexplain.scorers.summed import Summed


def _terms(predicted: Array, truth: Array) -> tuple[Array, ...]:
    error = truth - predicted
    return np.ones_like(truth), truth, truth * truth, error * error


@register("scorer", "explained_variance")
@dataclass(frozen=True)
class ExplainedVariance(Summed):
    """1 - sum (t - p)^2 / sum (t - mean t)^2; p calibrated on other spans with a slope of 0 or more.

    Below 0 where the mean of the activation would have been a better prediction. The errors are not centred: a bias counts.
    """

    name: ClassVar[str] = "explained_variance"
    no_skill: ClassVar[float] = 0.0
    calibrated: ClassVar[bool] = True

    @property
    def terms(self) -> Terms:
        """1, t, tt and the squared errors."""
        return _terms

    def of(self, sums: Array) -> Array:
        """The share; NaN for a neuron that never varies here."""
        around_mean = spread(sums)
        known = around_mean > 0
        return np.where(known, 1 - sums[..., 3] / np.where(known, around_mean, 1.0), np.nan)

    def why(self, sums: Array) -> str:
        """Only a neuron that never varies has none."""
        return "dead_neuron"
