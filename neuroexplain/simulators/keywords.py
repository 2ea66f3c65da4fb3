"""`keywords`: finds the words of a keywords explanation in a text."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from neuroexplain.records import Explanation, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.simulators.base import require_data
from neuroexplain.words import places

Occurrences = Mapping[str, Sequence[slice]]
"""Of every word of a text, the tokens of each occurrence."""


@register("simulator", "keywords")
@dataclass(frozen=True)
class KeywordsSimulator:
    """Predict levels from a keywords explanation: a word's level on all of its tokens. Needs no language model."""

    reads: ClassVar[str] = "keywords"
    """The only explainer whose explanations hold what is looked up."""

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Find whole words, in any case if the explanation was made of lower case alone; all other tokens are silent."""
        require_data(explanation, "words", "keywords")
        assert explanation.data is not None
        cased = bool(explanation.data.get("cased", False))
        levels = {
            word if cased else word.lower(): float(level)
            for word, level in explanation.data["words"]
        }
        return Simulation(
            simulator="keywords",
            spans=tuple(SpanSimulation(span, _levels(span, levels, cased)) for span in spans),
            settings=chosen(self),
        )


def _levels(span: TokenSpan, levels: Mapping[str, float], cased: bool) -> Floats:
    found = _occurrences(span, cased)
    expected = np.zeros(len(span), dtype=np.float32)
    for word, level in levels.items():
        for tokens in found.get(word, ()):
            expected[tokens] = np.maximum(expected[tokens], level)
    return expected


def _occurrences(span: TokenSpan, cased: bool) -> Occurrences:
    """The words of a span, kept with it: neurons share spans."""
    key = ("keywords", cased)
    if key not in span.kept:
        ends = list(accumulate(map(len, span.tokens)))
        found: defaultdict[str, list[slice]] = defaultdict(list)
        for word, start, stop in places(span.text):
            first, last = bisect_right(ends, start), bisect_right(ends, stop - 1)
            # Tokens without text are of a split character, and belong to the one before them.
            tokens = slice(first, bisect_right(ends, ends[last]))
            found[word if cased else word.lower()].append(tokens)
        span.kept[key] = dict(found)
    known: Occurrences = span.kept[key]
    return known
