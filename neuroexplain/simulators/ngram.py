"""`ngram`: finds the longest n-gram of an ngram explanation that ends at each token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuroexplain.records import Explanation, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.simulators.base import require_data

Gram = tuple[list[str], float]
"""An n-gram's tokens and its level."""


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
        # By their last token, longest first: most tokens end none, which one look tells.
        endings: defaultdict[str, list[Gram]] = defaultdict(list)
        for tokens, level in sorted(explanation.data["ngrams"], key=lambda gram: -len(gram[0])):
            endings[tokens[-1]].append((tokens, float(level)))
        default = float(explanation.data["default"])
        return Simulation(
            simulator="ngram",
            spans=tuple(SpanSimulation(span, _levels(span, endings, default)) for span in spans),
            settings=chosen(self),
        )


def _levels(span: TokenSpan, endings: Mapping[str, Sequence[Gram]], default: float) -> Floats:
    words = [token.strip().casefold() for token in span.tokens]
    found = [default] * len(words)
    for end, word in enumerate(words, start=1):
        for gram, level in endings.get(word, ()):
            if len(gram) <= end and words[end - len(gram) : end] == gram:
                found[end - 1] = level
                break
    return np.array(found, dtype=np.float32)
