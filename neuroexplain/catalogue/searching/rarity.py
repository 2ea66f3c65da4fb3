"""How rare matches are on a walk through the entries: a guess that says whether to walk."""

from __future__ import annotations

from neuroexplain.catalogue.language import fields
from neuroexplain.catalogue.language.query import Node, Term
from neuroexplain.catalogue.searching.facets import COMPARE

RARITY = 8
"""Entries for every one that meets a condition which no index knows."""


def rarity_of(part: Node, layers: int) -> float:
    """Entries on a walk for every one that meets a condition."""
    if not isinstance(part, Term):
        return RARITY
    if part.field in ("score", "p") or (part.field == "layer" and fields.is_one(part)):
        return 1  # the walk goes only through these, or through these first
    if part.field != "layer":
        return RARITY
    ranges = fields.alternatives(part)
    wanted = sum(
        all(COMPARE[op](n, bound) for op, bound in bounds)
        for bounds in ranges
        for n in range(layers)
    )
    return layers / max(wanted, 1)
