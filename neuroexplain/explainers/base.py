"""What an explainer is, and what several of them share."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Literal, Protocol, get_args

import numpy as np

from neuroexplain.levels import MAX_LEVEL, escape, side
from neuroexplain.records import Evidence, Exemplar, Explanation, Failure, Floats, Statistics

MAX_TEXT = 512
"""Characters; public catalogues refuse longer explanations."""


CONSTANT = 1e-5
"""A standard deviation below this share of the largest activation is rounding of other batches, not variation."""
Want = Literal["look_alikes", "output_tokens", "ngrams"]
"""A part of the evidence that is made beforehand, for the explainers that name it in a class variable `wants`."""


class Explainer(Protocol):
    """Turns evidence into a hypothesis.

    May have `wants: ClassVar[frozenset[Want]]` and `instead: ClassVar[Mapping[Want, Want]]`, see `wants`.
    """

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        """Write one explanation; a reply that cannot be used is an Explanation with a failure.

        Args:
            evidence: of the explain split, with the parts that it `wants`.
            seed: of whatever is drawn.
            sample: number of the candidate, where a neuron gets several; what asks a language model shows it other
                evidence of the same neuron for each. Candidate 0 sees the strongest.

        Raises:
            LLMError: no reply could be had at all.
        """


def wants(explainer: type[object], lacking: Container[Want] = ()) -> frozenset[Want]:
    """Parts of the evidence that an explainer needs, and that take a pass of their own to make.

    Args:
        explainer: its class variable `wants` names them; `instead` may say what it takes for one that there cannot be.
        lacking: parts that there cannot be, as output tokens of an encoder.
    """
    found: frozenset[Want] = getattr(explainer, "wants", frozenset())
    instead: Mapping[Want, Want] = getattr(explainer, "instead", {})
    return frozenset(instead.get(want, want) if want in lacking else want for want in found)


def looks_at(explainer: type[object]) -> frozenset[Want]:
    """Parts of the evidence that an explainer uses where they are there: what it wants, and what it takes instead."""
    return wants(explainer) | wants(explainer, lacking=get_args(Want))


def dead(evidence: Evidence) -> Failure | None:
    """The failure of a neuron that there is nothing to explain about; None for one that fires on some tokens only."""
    if not evidence.scale > 0:
        message = "the neuron never fires on this side in the explain split"
    elif _constant(evidence.statistics):
        message = "the neuron is the same on every token"
    else:
        return None
    return Failure("explain", "dead_neuron", message)


def _constant(statistics: Statistics) -> bool:
    """Whether a neuron hardly varies, as far as is known: imports need not tell."""
    std, largest, smallest = statistics.std, statistics.max, statistics.min
    if std is None or largest is None or smallest is None:
        return False
    return std <= CONSTANT * max(abs(largest), abs(smallest))


def phrases(evidence: Evidence) -> list[str]:
    """The n-grams by themselves to which the neuron responds on this side, strongest first."""
    return [ngram.text for ngram in evidence.ngrams if ngram.mean_response > 0]


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
