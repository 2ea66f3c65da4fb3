"""Two methods or runs beside each other: numbers, a page of pairs with their texts, and what reviewers chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from neuroexplain.agreement.differences import Differences, differences
from neuroexplain.appraising.preferring import last_choices
from neuroexplain.catalogue import Beside, Catalogue, Reviews
from neuroexplain.catalogue.reviewing.comparing import behind, in_order
from neuroexplain.errors import ConfigError, unknown
from neuroexplain.reviewed import Preferred, Target

SECONDS = 20.0
"""To read a catalogue that has changed; afterwards it takes tenths of a second for a million explanations."""
Sort = Literal["first", "second"]
SORTS: tuple[Sort, ...] = get_args(Sort)
"""Which side is the higher one at the top."""


@dataclass(frozen=True)
class Chosen:
    """What reviewers chose in pairs of which one explanation is by either side; of each reviewer the last on a pair."""

    first: int
    second: int
    tie: int

    @property
    def n(self) -> int:
        """All of them."""
        return self.first + self.second + self.tie


@dataclass(frozen=True)
class Pair:
    """Two explanations of a neuron."""

    first: Target
    second: Target
    first_score: float
    second_score: float

    @property
    def difference(self) -> float:
        """The first score less the second."""
        return self.first_score - self.second_score


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides."""

    first: str
    second: str
    measure: str
    common: int
    """Polarities of neurons that both explain."""
    only_first: int
    only_second: int
    differences: Differences
    undefined_first: Mapping[str, int]
    """Explanations of the first side in common ones that have no score, by reason."""
    undefined_second: Mapping[str, int]
    chosen: Chosen
    pairs: tuple[Pair, ...]
    next: int | None
    """Where the next page goes on; None at the end."""
    beside: Beside
    """All of them, for a plot."""


def compare(
    catalogue: Catalogue,
    reviews: Reviews,
    first: str,
    second: str,
    measure: str = "correlation",
    *,
    sort: str = "first",
    after: int | None = None,
    limit: int = 25,
) -> Comparison:
    """Compare two methods or runs by one measure, on the neurons that both explain.

    Args:
        catalogue: has the explanations.
        reviews: what was chosen between them.
        first: method as `explainer, llm`, or `run N`.
        second: another.
        measure: as `Catalogue.measures` names them; scores of different measures are never put together.
        sort: one of `SORTS`.
        after: `next` of the page before.
        limit: pairs on a page.

    Raises:
        ConfigError: an unknown side, measure or order; the message has those that there are.
        CatalogueError: the catalogue has changed, and reading it anew takes too long.
    """
    found = catalogue.beside(first, second, measure, seconds=SECONDS)
    both = found.at(found.defined)
    page, more = _page(found, sort, after, limit)
    return Comparison(
        first=first,
        second=second,
        measure=measure,
        common=len(found.first),
        only_first=found.only_first,
        only_second=found.only_second,
        differences=differences(both.first_score, both.second_score, both.neuron),
        undefined_first=catalogue.undefined(found.first[np.isnan(found.first_score)], measure),
        undefined_second=catalogue.undefined(found.second[np.isnan(found.second_score)], measure),
        chosen=_chosen(catalogue, reviews, first, second),
        pairs=_pairs(catalogue, page),
        next=int(page.first[-1]) if more else None,
        beside=both,
    )


def _page(found: Beside, sort: str, after: int | None, limit: int) -> tuple[Beside, bool]:
    """The pairs behind one, and whether there are more."""
    if sort not in SORTS:
        raise ConfigError(unknown("sort", sort, SORTS))
    ordered = in_order(found, descending=sort == "first")
    remaining = ordered if after is None else behind(ordered, after)
    n = len(remaining.first)
    return remaining.at(np.arange(min(limit, n))), n > limit


def _pairs(catalogue: Catalogue, page: Beside) -> tuple[Pair, ...]:
    targets = catalogue.targets([*page.first.tolist(), *page.second.tolist()])
    columns = (page.first, page.second, page.first_score, page.second_score)
    return tuple(
        Pair(targets[a], targets[b], x, y)
        for a, b, x, y in zip(*(column.tolist() for column in columns), strict=True)
    )


def _chosen(catalogue: Catalogue, reviews: Reviews, first: str, second: str) -> Chosen:
    """What reviewers chose last on each pair, by the catalogue's explanations with the texts that they chose between."""
    events = last_choices(reviews.counting("preference"))
    if not events:
        return Chosen(0, 0, 0)
    rated = catalogue.rated({t for e in events for t in (e.target, e.other) if t is not None})
    rows = [set(catalogue.side_rows(side).tolist()) for side in (first, second)]

    def by(target: Target, side: int) -> bool:
        return any(each.id in rows[side] for each in rated.get(target, ()))

    count: Counter[str] = Counter()
    for event in events:
        assert isinstance(event.data, Preferred) and event.other is not None
        for left, right, names in ((0, 1, ("first", "second")), (1, 0, ("second", "first"))):
            if by(event.target, left) and by(event.other, right):
                won = {"left": names[0], "right": names[1], "tie": "tie"}
                count[won[event.data.winner]] += 1
                break
    return Chosen(count["first"], count["second"], count["tie"])
