"""`correlation`: the primary score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neuroexplain.registry import register
from neuroexplain.scorers.alignment import Terms
from neuroexplain.scorers.statistics import Array, pearson, pearson_terms, variances
from neuroexplain.scorers.summed import Summed


@register("scorer", "correlation")
@dataclass(frozen=True)
class Correlation(Summed):
    """Pearson's r of simulated and true activations, every span weighted by the spans it stands for."""

    name: ClassVar[str] = "correlation"
    no_skill: ClassVar[float] = 0.0

    @property
    def terms(self) -> Terms:
        """Those of Pearson's six sums."""
        return pearson_terms

    def of(self, sums: Array) -> Array:
        """Pearson's r."""
        return pearson(sums)

    def why(self, sums: Array) -> str:
        """A neuron that never varies here is dead; else the simulation is constant."""
        _, truth = variances(sums)
        return "dead_neuron" if not truth > 0 else "constant_simulation"
