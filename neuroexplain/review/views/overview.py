"""What there is: holdings of the catalogue, its runs and their cost, and how far reviewing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.searching.holdings import Holdings, MethodHolding, States
from neuroexplain.review.desk import Desk
from neuroexplain.review.narrowing import narrowed, page_of
from neuroexplain.reviewed import Event, Progress, Queue

RUNS = 10
"""Shown, the newest ones."""
QUEUES = 20
DECISIONS = 10
_STATES = ("unreviewed", "reviewed", "failed")


@dataclass(frozen=True)
class Spent:
    """What calls for one purpose took, over all runs."""

    purpose: str
    calls: int
    prompt_tokens: int | None
    """None where no call says, as with the others."""
    completion_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True)
class QueueProgress:
    """How far a queue is."""

    queue: Queue
    mine: Progress
    reviewers: dict[str, int]
    """Decisions by reviewer."""


class Cell(NamedTuple):
    """A number in a table, with what it leads to."""

    n: int
    share: int
    """Of the largest of the table, in twentieths; 0 for none."""
    href: str


class LayerRow(NamedTuple):
    """A layer in the table of layers."""

    name: str
    states: tuple[Cell, ...]
    methods: tuple[Cell, ...]


class MethodCard(NamedTuple):
    """The scores of a method."""

    name: str
    holding: MethodHolding
    bars: tuple[tuple[int, float], ...]
    """Height of every bin's bar as a share of the highest, with the bin's place."""
    href: str

    @property
    def beating(self) -> float | None:
        """Share of scores that beat their null; None where none has a p-value."""
        return self.holding.beating / self.holding.tested if self.holding.tested else None


def spent(runs: Sequence[dict[str, Any]]) -> list[Spent]:
    """Calls, tokens and cost by purpose, over some runs; the dearest first."""
    by_purpose: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for purpose, stage in run["stages"].items():
            by_purpose.setdefault(purpose, []).append(stage)
    made = [
        Spent(
            purpose,
            sum(stage["llm_calls"] for stage in stages),
            *(_sum(stages, name) for name in ("prompt_tokens", "completion_tokens", "cost_usd")),
        )
        for purpose, stages in by_purpose.items()
    ]
    return sorted(made, key=lambda s: (-(s.cost_usd or 0), -s.calls, s.purpose))


def _sum(stages: Sequence[dict[str, Any]], name: str) -> Any:
    said = [stage[name] for stage in stages if stage[name] is not None]
    return sum(said) if said else None


def progress(desk: Desk, reviewer: str) -> list[QueueProgress]:
    """The newest queues, with how far this reviewer and all others are."""
    reviews = desk.reviews
    return [
        QueueProgress(queue, reviews.progress(queue, reviewer), dict(reviews.reviewers(queue)))
        for queue in reviews.queues()[:QUEUES]
    ]


def decisions(desk: Desk) -> list[Event]:
    """The last ones of everybody. What was said is no part of the page: others may still judge the same, blind."""
    return desk.reviews.recent(DECISIONS)


def method_name(method: MethodHolding) -> str:
    """The explainer, with its language model where it asked one."""
    return method.explainer if method.llm is None else f"{method.explainer}, {method.llm}"


def layer_rows(holdings: Holdings) -> list[LayerRow]:
    """Layers with their explanations by state and by method, each number a link to these."""
    several = len(holdings.subjects) > 1
    most = max((_of(each.states, s) for each in holdings.layers for s in _STATES), default=1)
    most_by_method = max((n for each in holdings.layers for n in each.by_method), default=1)
    rows = []
    for each in holdings.layers:
        place = [("layer", ":", str(each.layer))]
        if several:
            place.insert(0, ("subject", ":", each.subject))
        states = tuple(_cell(_of(each.states, s), most, *place, ("state", ":", s)) for s in _STATES)
        methods = tuple(
            _cell(n, most_by_method, *place, *_terms(method))
            for n, method in zip(each.by_method, holdings.methods, strict=True)
        )
        name = f"{each.subject} {each.layer}" if several else str(each.layer)
        rows.append(LayerRow(name, states, methods))
    return rows


def method_cards(holdings: Holdings) -> list[MethodCard]:
    """Methods with histograms of their scores."""
    return [
        MethodCard(
            method_name(method),
            method,
            tuple((i, n / max(method.bins)) for i, n in enumerate(method.bins) if n),
            _query(*_terms(method)),
        )
        for method in holdings.methods
    ]


def _of(states: States, name: str) -> int:
    n: int = getattr(states, name)
    return n


def _terms(method: MethodHolding) -> list[tuple[str, str, str]]:
    terms = [("explainer", ":", method.explainer)]
    return terms if method.llm is None else [*terms, ("llm", ":", method.llm)]


def _cell(n: int, most: int, *terms: tuple[str, str, str]) -> Cell:
    return Cell(n, max(1, round(20 * n / most)) if n else 0, _query(*terms))


def _query(*terms: tuple[str, str, str]) -> str:
    return page_of(narrowed(grammar.parse(""), *terms))
