"""What an explainer is, and what several of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np

from neuroexplain.levels import MAX_LEVEL, escape, side
from neuroexplain.records import Evidence, Exemplar, Explanation, Failure, Floats

MAX_TEXT = 512
"""Characters; public catalogues refuse longer explanations."""


Want = Literal["look_alikes", "output_tokens", "ngrams"]
"""A part of the evidence that is made beforehand, for the explainers that name it in a class variable `wants`."""


class Explainer(Protocol):
    """Turns evidence into a hypothesis. May have `wants: ClassVar[frozenset[Want]]`, see `wants`."""

    async def explain(self, evidence: Evidence, *, seed: int) -> Explanation:
        """Write one explanation; a reply that cannot be used is an Explanation with a failure.

        Raises:
            LLMError: no reply could be had at all.
        """


def wants(explainer: type[object]) -> frozenset[Want]:
    """Parts of the evidence that an explainer needs, and that take a pass of their own to make."""
    found: frozenset[Want] = getattr(explainer, "wants", frozenset())
    return found


def dead(evidence: Evidence) -> Failure | None:
    """The failure of a neuron that there is nothing to explain about; None for one that fires."""
    if evidence.scale > 0:
        return None
    return Failure(
        "explain", "dead_neuron", "the neuron never fires on this side in the explain split"
    )


def levels(activations: Floats, evidence: Evidence) -> Floats:
    """Activations as levels 0-10, not rounded, [token]; of a neuron that is not dead."""
    # In float64, for 10 over the smallest scale is no float32.
    fired = side(activations, evidence.neuron.polarity).astype(np.float64)
    return np.minimum(fired / evidence.scale * MAX_LEVEL, MAX_LEVEL).astype(np.float32)


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
    """Pieces with their levels for a reader, on one line.

    The quotation marks differ from the plain ones that a piece may hold.

    >>> quoted([("about", 8.91), (' "r', 2.0)])
    '“about” (8.9), “"r” (2.0)'
    """
    return ", ".join(f"“{escape(text.strip() or text)}” ({level:.1f})" for text, level in pieces)
