"""What a kind of queue comes to, before it is a queue: items in their order, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neuroexplain.reviewed import QueueItem, Stratum


@dataclass(frozen=True)
class Drawn:
    """Items in the order that they come up in."""

    items: tuple[QueueItem, ...]
    """Their places and what is shared are set later."""
    population: int | None = None
    """Explanations that were drawn from; None where nothing was drawn at random."""
    strata: tuple[Stratum, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many explanations, or pairs, by reason."""
    cut: str | None = None
    """Why the search that it follows did not see everything."""
