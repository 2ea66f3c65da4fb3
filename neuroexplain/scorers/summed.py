"""Statistics that follow from sums over tokens, so that bootstrapping is a matrix product."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from neuroexplain.records import HeldOutSpan
from neuroexplain.scorers.alignment import Aligned, Terms
from neuroexplain.scorers.statistics import Array


class Summed:
    """A statistic from weighted sums of a few terms; every span weighted by the spans it stands for."""

    @property
    @abstractmethod
    def terms(self) -> Terms:
        """What is summed over tokens: a function, so that statistics with the same one share its sums."""

    @abstractmethod
    def of(self, sums: Array) -> Array:
        """The statistic from the weighted sums of the terms, [..., term]; NaN where it is undefined."""

    @abstractmethod
    def why(self, sums: Array) -> str:
        """Why the statistic of some sums [term] is undefined."""

    def weight(self, span: HeldOutSpan) -> float:
        """One over the span's inclusion probability."""
        return span.weight

    def values(self, aligned: Aligned, weights: Array) -> Array:
        """The statistic under weights [span, resample], [simulation, resample]."""
        return self.of(np.moveaxis(aligned.sums(self.terms) @ weights, 1, -1))

    def reason(self, aligned: Aligned, weights: Array) -> str:
        """Why the first simulation's statistic is undefined under weights [span]."""
        return self.why(aligned.sums(self.terms)[0] @ weights)
