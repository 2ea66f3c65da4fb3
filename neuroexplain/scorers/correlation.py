"""`correlation`: the primary score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neuroexplain.records import Floats, HeldOutSpan
from neuroexplain.registry import register
from neuroexplain.scorers.base import Sums
from neuroexplain.scorers.statistics import pearson, pearson_sums, variances


@register("scorer", "correlation")
@dataclass(frozen=True)
class Correlation:
    """Pearson's r of simulated and true activations, every span weighted by the spans it stands for."""

    name: ClassVar[str] = "correlation"
    no_skill: ClassVar[float] = 0.0

    def weight(self, span: HeldOutSpan) -> float:
        """One over the span's inclusion probability."""
        return span.weight

    def sums(self, expected: Floats, truth: Floats) -> Sums:
        """Pearson's six sums."""
        return pearson_sums(expected, truth)

    def values(self, sums: Sums) -> Sums:
        """Pearson's r."""
        return pearson(sums)

    def reason(self, sums: Sums) -> str:
        """A neuron that never varies here is dead; else the simulation is constant."""
        _, truth = variances(sums)
        return "dead_neuron" if not truth > 0 else "constant_simulation"
