"""What an explainer is, and what several of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from neuroexplain.levels import MAX_LEVEL, side
from neuroexplain.records import Evidence, Exemplar, Explanation, Floats

MAX_TEXT = 512
"""Characters; public catalogues refuse longer explanations."""


class Explainer(Protocol):
    """Turns evidence into a hypothesis."""

    async def explain(self, evidence: Evidence, *, seed: int) -> Explanation:
        """Write one explanation; a reply that cannot be used is an Explanation with a failure.

        Raises:
            LLMError: no reply could be had at all.
        """


def levels(exemplar: Exemplar, evidence: Evidence) -> Floats:
    """An exemplar's activations as levels 0-10, not rounded, [token]; all 0 where the neuron never fires."""
    if not evidence.scale > 0:
        return side(exemplar.activations, evidence.neuron.polarity) * 0
    scaled = side(exemplar.activations, evidence.neuron.polarity) * (MAX_LEVEL / evidence.scale)
    return scaled.clip(0, MAX_LEVEL)


def weighted(evidence: Evidence) -> Iterator[tuple[Exemplar, float]]:
    """Every distinct span of the evidence with the number of spans of the split that it stands for.

    Top spans stand for themselves; a span outside the top could have been drawn as a random or as a quantile span.
    """
    top = {e.span.span for e in evidence.exemplars if e.kind == "top"}
    drawn = sum(e.kind != "top" for e in evidence.exemplars)
    seen: set[int] = set()
    for exemplar in evidence.exemplars:
        if exemplar.span.span not in seen:
            seen.add(exemplar.span.span)
            certain = exemplar.span.span in top
            yield exemplar, 1.0 if certain else evidence.n_spans / drawn


def quoted(pieces: Sequence[tuple[str, float]]) -> str:
    """Pieces with their levels for a reader.

    >>> quoted([("about", 8.91), (" 5", 2.0)])
    '"about" (8.9), "5" (2.0)'
    """
    return ", ".join(f'"{text.strip()}" ({level:.1f})' for text, level in pieces)
