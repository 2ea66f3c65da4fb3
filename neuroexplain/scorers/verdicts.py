"""Statistics about verdicts on whole spans, or on pieces of them: is it so, and how sure is the judge?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import HeldOutSpan
from neuroexplain.scorers.alignment import Aligned
from neuroexplain.scorers.statistics import (
    Array,
    accuracy,
    average_precision,
    balanced_accuracy,
    confusions,
    f1,
)

SURE = 5.0
"""Level 0-10 from which on a verdict is a yes."""

Measure = Literal["auprc", "f1", "accuracy", "balanced_accuracy"]


class Items(NamedTuple):
    """What was judged."""

    span: NDArray[np.int64]
    """[item]; place of its span."""
    positive: NDArray[np.bool_]
    """[item]; the right verdict."""
    levels: Array
    """[simulation, item]; the verdicts, 0-10."""


@dataclass(frozen=True)
class Verdicts:
    """One measure of how good verdicts are."""

    name: str
    measure: Measure
    items: Callable[[Aligned], Items]
    """Finds what was judged."""
    natural: bool
    """Whether spans count as often as text like them occurs, or every item once."""
    no_skill: float = 0.0
    no_null: str = ""
    """Why other explanations are nothing to compare with, if they are not."""

    def weight(self, span: HeldOutSpan) -> float:
        """One over the span's inclusion probability where frequencies are to be natural ones."""
        return span.weight if self.natural else 1.0

    def values(self, aligned: Aligned, weights: Array) -> Array:
        """The measure under weights [span, resample]; NaN where all items of some weight are of one kind."""
        items = self.items(aligned)
        w = weights[items.span]
        if self.measure == "auprc":
            found = average_precision(items.levels, items.positive, w)
        else:
            counts = confusions(items.levels >= SURE, items.positive, w)
            found = {"f1": f1, "accuracy": accuracy, "balanced_accuracy": balanced_accuracy}[
                self.measure
            ](counts)
        both = (items.positive @ w > 0) & (~items.positive @ w > 0)
        return np.where(both, found, np.nan)

    def reason(self, aligned: Aligned, weights: Array) -> str:
        """Which kind of item there is none of."""
        if not aligned.truth.any():
            return "dead_neuron"
        items = self.items(aligned)
        return "no_active_span" if not items.positive @ weights[items.span] > 0 else "no_quiet_span"
