"""Rows about neurons that wait for a reviewer in a blind queue: kept from that reviewer.

Such a row is known by its place alone. Where a query asks for more than places, it is left out: that it was found would
tell what it is like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from neuroexplain.catalogue import SearchResult, SearchRow
from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.language.query import Term, leaves
from neuroexplain.records import NeuronId
from neuroexplain.review.comparing import Comparison
from neuroexplain.review.desk import Desk

HIDDEN = "hidden: a blind queue"
LEFT_OUT = "explanations that wait for you in a blind queue are left out"
_PLACES = frozenset(("subject", "layer", "idx", "polarity"))
Find = Callable[..., SearchResult]


def spared(desk: Desk, query: str, found: SearchResult, reviewer: str) -> SearchResult:
    """A page of a result as a reviewer may see it."""
    blind = desk.reviews.blind_among({NeuronId.parse(row.neuron) for row in found.rows}, reviewer)
    if not blind:
        return found
    hidden = {row for row in found.rows if NeuronId.parse(row.neuron) in blind}
    kept = tuple(row for row in found.rows if row not in hidden)
    if by_place(query):
        last = (masked(row) for row in found.rows if row in hidden)  # their order is by score
        return replace(found, rows=(*kept, *last))
    return replace(found, rows=kept, cut=found.cut or LEFT_OUT)


def spared_find(desk: Desk, reviewer: str) -> Find:
    """Searches as a reviewer may see them."""

    def find(query: str, **wanted: Any) -> SearchResult:
        return spared(desk, query, desk.finder.find(query, **wanted), reviewer)

    return find


def by_place(query: str) -> bool:
    """Whether a query asks for nothing but places."""
    terms = leaves(grammar.parse(query).where)
    return all(isinstance(term, Term) and term.field in _PLACES for term in terms)


def masked(row: SearchRow) -> SearchRow:
    """A row that tells nothing but where it is."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("llm", "scorer", "score", "null_mean", "p_value", "floor", "similarity")
    )
    nothing |= {"text": "", "explainer": HIDDEN, "status": "ok", "state": HIDDEN, "reason": HIDDEN}
    return replace(row, **nothing)


def spared_pairs(desk: Desk, found: Comparison, reviewer: str) -> tuple[Comparison, int]:
    """A comparison without the pairs about such neurons, and how many these were on its page."""
    blind = desk.reviews.blind_among({pair.first.neuron for pair in found.pairs}, reviewer)
    pairs = tuple(pair for pair in found.pairs if pair.first.neuron not in blind)
    return replace(found, pairs=pairs), len(found.pairs) - len(pairs)
