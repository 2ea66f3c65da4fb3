"""Queues that follow a search."""

from __future__ import annotations

from typing import Protocol

from neuroexplain.catalogue import Catalogue, Reviews, SearchResult
from neuroexplain.catalogue.language import grammar
from neuroexplain.queueing.decided import decided
from neuroexplain.queueing.drawn import Drawn
from neuroexplain.queueing.plans import Plan
from neuroexplain.reviewed import QueueItem, Target

_PAGE = 500
SECONDS = 10.0
"""For a page of the search."""


class Find(Protocol):
    """A search, such as `searching.search` of a catalogue."""

    def __call__(
        self, query: str, *, limit: int, after: str | None, seconds: float
    ) -> SearchResult:
        """A page of what a query finds."""


def ordered(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str, find: Find) -> Drawn:
    """The first explanations of a search, in its order; equal texts on one neuron are one item.

    Raises:
        QueryError: the query is wrong.
    """
    skipped = decided(reviews, plan, by)
    most = min(plan.n, grammar.parse(plan.query).limit or plan.n)
    items: dict[Target, QueueItem] = {}
    left_out, after, cut = 0, None, None
    while len(items) < most:
        page = find(plan.query, limit=_PAGE, after=after, seconds=SECONDS)
        targets = catalogue.targets([row.explanation_id for row in page.rows])
        for number in [row.explanation_id for row in page.rows if row.explanation_id in targets]:
            target = targets[number]
            if target in skipped:
                left_out += 1
            elif len(items) < most:
                items.setdefault(target, QueueItem(0, target))
        after, cut = page.next, page.cut or cut
        if after is None:
            break
    return Drawn(
        tuple(items.values()),
        left_out={"decided already": left_out},
        cut=cut,
    )
