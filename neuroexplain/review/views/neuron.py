"""One neuron as its page shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroexplain.heat import shown as visible_token
from neuroexplain.records import Floats, NeuronId
from neuroexplain.review.views import charts
from neuroexplain.review.views.spans import GroupView, SpanViews

_RESIDUALS = 6
"""Tokens that are named in each direction."""
_CONTEXT = 6
"""Tokens shown on either side of one."""
_TELLING = 2.0
"""Levels by which a prediction has to be wrong to be named."""


@dataclass(frozen=True)
class Cell:
    """A score of an explanation."""

    score: Mapping[str, Any]
    by: str
    """Who predicted: simulator, and language model where there is one."""
    strip: charts.Strip


@dataclass(frozen=True)
class Residual:
    """A token on which an explanation predicts something else than the neuron does."""

    before: str
    token: str
    after: str
    real: float
    """Level 0-10."""
    simulated: float


@dataclass(frozen=True)
class Anatomy:
    """Where a simulation is right and wrong, on held-out tokens."""

    simulator: str
    n: int
    """Tokens that count and have a prediction."""
    squares: tuple[charts.Square, ...]
    missed: tuple[Residual, ...]
    """The neuron fires and nothing was expected, worst first."""
    vain: tuple[Residual, ...]
    """It was expected to fire, and stays quiet."""


@dataclass(frozen=True)
class ExplanationView:
    """An explanation with its scores, by scorer."""

    record: Mapping[str, Any]
    """As `show` has it."""
    author: str
    cells: Mapping[str, tuple[Cell, ...]]
    anatomies: tuple[Anatomy, ...]

    @property
    def failed(self) -> bool:
        """Whether it is the record of why there is none."""
        return bool(self.record["status"] != "ok")


@dataclass(frozen=True)
class NeuronView:
    """All that the page shows."""

    neuron: NeuronId
    shown: Mapping[str, Any]
    """The object of `show --json`."""
    scale: float
    """Activation of level 10; 0 where it never fires on its side."""
    scorers: tuple[str, ...]
    explanations: tuple[ExplanationView, ...]
    """Failed ones come last."""
    groups: tuple[GroupView, ...]
    sampled: tuple[charts.Bar, ...]
    """Activations of the tokens of uniformly drawn spans."""


def neuron_view(shown: Mapping[str, Any], *, spans: int) -> NeuronView:
    """A neuron for its page.

    Args:
        shown: what `Catalogue.show` gives.
        spans: of each group.
    """
    place = shown["neuron"]
    neuron = NeuronId(place["subject"], place["layer"], place["index"], place["polarity"])
    views = SpanViews(shown, neuron.polarity)
    ordered = sorted(shown["explanations"], key=lambda e: e["status"] != "ok")
    by_scorer: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for explanation in ordered:
        for score in explanation["scores"]:
            by_scorer[score["scorer"]].append(score)
    axes = {scorer: charts.axis(scores) for scorer, scores in by_scorer.items()}
    held_out = {(e["document"], e["start"]): e for e in shown["exemplars"] if e["split"] == "test"}
    return NeuronView(
        neuron=neuron,
        shown=shown,
        scale=views.scale,
        scorers=tuple(by_scorer),
        explanations=tuple(_explanation(e, axes, views, held_out) for e in ordered),
        groups=tuple(views.groups(spans)),
        sampled=charts.histogram(_sampled(shown)),
    )


def _sampled(shown: Mapping[str, Any]) -> Floats:
    """Activations as the subject computed them; [token]."""
    spans = (e for e in shown["exemplars"] if e["kind"] == "random")
    parts = [np.asarray(e["activations"][e["first"] :], np.float32) for e in spans]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _explanation(
    record: Mapping[str, Any],
    axes: Mapping[str, tuple[float, float]],
    views: SpanViews,
    held_out: Mapping[tuple[int, int], Mapping[str, Any]],
) -> ExplanationView:
    cells: dict[str, list[Cell]] = defaultdict(list)
    for score in record["scores"]:
        by = ", ".join(filter(None, (score["simulator"], score["llm"])))
        drawn = charts.strip(score, *axes[score["scorer"]])
        cells[score["scorer"]].append(Cell(score, by, drawn))
    return ExplanationView(
        record=record,
        author=", ".join(filter(None, (record["explainer"], record["llm"]))),
        cells={scorer: tuple(found) for scorer, found in cells.items()},
        anatomies=tuple(_anatomies(record, views, held_out)),
    )


def _anatomies(
    record: Mapping[str, Any],
    views: SpanViews,
    held_out: Mapping[tuple[int, int], Mapping[str, Any]],
) -> Iterator[Anatomy]:
    by_simulator: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for made in record["simulations"]:
        by_simulator[made["simulator"]].append(made)
    for simulator, simulations in by_simulator.items():
        reals: list[Floats] = []
        expecteds: list[Floats] = []
        residuals: list[Residual] = []
        for made in simulations:
            span = held_out.get((made["document"], made["start"]))
            if span is None or made["expected"] is None or made["split"] != "test":
                continue
            first = span["first"]
            real = views.levels(span)[first:]
            expected = np.asarray(made["expected"], np.float32)[first:]
            if len(real) == len(expected):
                reals.append(real)
                expecteds.append(expected)
                residuals += _residuals(span["tokens"], first, real, expected)
        if reals:
            real, expected = np.concatenate(reals), np.concatenate(expecteds)
            residuals.sort(key=lambda r: -abs(r.real - r.simulated))
            yield Anatomy(
                simulator,
                len(real),
                charts.scatter(real, expected),
                missed=tuple(r for r in residuals if r.real > r.simulated)[:_RESIDUALS],
                vain=tuple(r for r in residuals if r.real < r.simulated)[:_RESIDUALS],
            )


def _residuals(
    tokens: Sequence[str], first: int, real: Floats, expected: Floats
) -> Iterator[Residual]:
    for place in np.flatnonzero(np.abs(real - expected) >= _TELLING).tolist():
        at = first + place
        yield Residual(
            before="".join(map(visible_token, tokens[max(0, at - _CONTEXT) : at])),
            token=visible_token(tokens[at]),
            after="".join(map(visible_token, tokens[at + 1 : at + 1 + _CONTEXT])),
            real=float(real[place]),
            simulated=float(expected[place]),
        )
