"""Neurons like one: by what they do, and by what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neuroexplain.errors import CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import Desk
from neuroexplain.review.narrowing import narrowed, parsed
from neuroexplain.review.sparing import spared_find

Likeness = Literal["activations", "text"]
LIKENESSES: tuple[Likeness, ...] = ("activations", "text")
_ROWS = 40
"""Explanations that are looked at."""
_NEURONS = 8


@dataclass(frozen=True)
class Relative:
    """A neuron that is like another."""

    neuron: str
    similarity: float | None
    text: str
    """Of its first explanation found; empty where that failed."""
    explainer: str
    scorer: str | None
    score: float | None


@dataclass(frozen=True)
class Relatives:
    """Explained neurons by how much they are like one, the likest first."""

    by: Likeness
    query: str
    """What finds them, and more, on the catalogue page."""
    ranked_by: str | None
    """What the similarity is: a correlation, a cosine, or bm25."""
    neurons: tuple[Relative, ...]
    reason: str | None
    """Why there are none."""


def relatives(desk: Desk, neuron: NeuronId, by: Likeness, reviewer: str) -> Relatives:
    """Explained neurons like one: by correlated activations, or by explanations with the same meaning or words.

    Those that wait for the reviewer in a blind queue are left out.
    """
    terms = [("similar", ":", str(neuron))] + [("by", ":", "text")] * (by == "text")
    query = narrowed(parsed(""), *terms)
    try:
        found = spared_find(desk, reviewer)(query, limit=_ROWS)
    except CatalogueError as error:
        return Relatives(by, query, None, (), " ".join(str(error).split()))
    first: dict[str, Relative] = {}
    for row in found.rows:
        own = Relative(
            *(row.neuron, row.similarity, row.text, row.explainer, row.scorer, row.score)
        )
        first.setdefault(row.neuron, own)
    reason = None if first else found.cut or "no explained neuron is like it"
    return Relatives(by, query, found.ranked_by, tuple(first.values())[:_NEURONS], reason)
