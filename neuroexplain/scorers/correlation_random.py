"""`correlation_random`: on the random spans alone, as text comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neuroexplain.records import HeldOutSpan
from neuroexplain.registry import register
from neuroexplain.scorers.correlation import Correlation


@register("scorer", "correlation_random")
@dataclass(frozen=True)
class CorrelationRandom(Correlation):
    """Unweighted Pearson's r on the random spans: how well the explanation does on text as it comes."""

    name: ClassVar[str] = "correlation_random"

    def weight(self, span: HeldOutSpan) -> float:
        """1 for random spans, 0 for the others."""
        return 1.0 if "random" in span.kinds else 0.0
