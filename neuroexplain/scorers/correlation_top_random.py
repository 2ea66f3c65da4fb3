"""`correlation_top_random`: for comparison with OpenAI's published scores (Bills et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neuroexplain.records import HeldOutSpan
from neuroexplain.registry import register
from neuroexplain.scorers.correlation import Correlation


@register("scorer", "correlation_top_random")
@dataclass(frozen=True)
class CorrelationTopRandom(Correlation):
    """Unweighted Pearson's r on top and random spans; comparable with OpenAI 2023, blind to over-broad texts."""

    name: ClassVar[str] = "correlation_top_random"

    def weight(self, span: HeldOutSpan) -> float:
        """1 for top and random spans, 0 for the others."""
        return 1.0 if span.kinds & {"top", "random"} else 0.0
