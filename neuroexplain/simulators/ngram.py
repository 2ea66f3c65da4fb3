"""`ngram`: finds the longest n-gram of an ngram explanation that ends at each token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuroexplain.records import Explanation, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.simulators.base import require_data


@register("simulator", "ngram")
@dataclass(frozen=True)
class NgramSimulator:
    """Predict levels from an ngram explanation, longest match first. Needs no language model."""

    reads: ClassVar[str] = "ngram"
    """The only explainer whose explanations hold what is looked up."""

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Match n-grams; a token at which none ends gets the neuron's mean level."""
        require_data(explanation, "ngrams", "ngram")
        assert explanation.data is not None
        grams = {tuple(tokens): float(level) for tokens, level in explanation.data["ngrams"]}
        default = float(explanation.data["default"])
        return Simulation(
            simulator="ngram",
            spans=tuple(SpanSimulation(span, _levels(span, grams, default)) for span in spans),
            settings=chosen(self),
        )


def _levels(span: TokenSpan, grams: Mapping[tuple[str, ...], float], default: float) -> Floats:
    words = [token.strip().casefold() for token in span.tokens]
    longest = max(map(len, grams), default=0)
    found = np.full(len(words), default, dtype=np.float32)
    for end in range(len(words)):
        for order in range(min(longest, end + 1), 0, -1):
            level = grams.get(tuple(words[end + 1 - order : end + 1]))
            if level is not None:
                found[end] = level
                break
    return found
