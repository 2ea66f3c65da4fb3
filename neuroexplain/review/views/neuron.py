"""One neuron as its page shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroexplain.records import Floats, NeuronId
from neuroexplain.review.views import charts
from neuroexplain.review.views.anatomy import Anatomy, HeldOut, Place, anatomies, held_out
from neuroexplain.review.views.leakage import Leakage, leakage
from neuroexplain.review.views.spans import GroupView, SpanViews

_NGRAMS = (
    ("In running text", "context", None),
    ("By themselves, by mean response", "alone", "mean"),
    ("By themselves, by largest response", "alone", "max"),
)
_NGRAMS_SHOWN = 12
_KINDS = {"random": "Random spans", "quantile": "Spans of all bands", "top": "Strongest spans"}


@dataclass(frozen=True)
class Cell:
    """A score of an explanation."""

    score: Mapping[str, Any]
    by: str
    """Who predicted: simulator, and language model where there is one."""
    strip: charts.Strip


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

    @property
    def simulated(self) -> bool:
        """Whether spans have rows of what it predicts."""
        return any(made["expected"] is not None for made in self.record["simulations"])


@dataclass(frozen=True)
class Histogram:
    """Activations of the tokens of one kind of spans, as the subject computed them."""

    title: str
    n: int
    """Tokens that count."""
    bars: tuple[charts.Bar, ...]
    ticks: tuple[charts.Tick, ...]
    """Quantiles of all tokens of the corpus."""


@dataclass(frozen=True)
class NgramList:
    """N-grams to which it responds most, by one way of measuring that."""

    title: str
    ngrams: Sequence[Mapping[str, Any]]
    """As `show` has them, the strongest first."""
    total: int
    """How many there are, of which these are the first."""


@dataclass(frozen=True)
class NeuronView:
    """All that the page shows."""

    neuron: NeuronId
    shown: Mapping[str, Any]
    """The object of `show --json`."""
    scale: float
    """Activation of level 10; 0 where it never fires on its side."""
    first: int
    """Leading tokens of a span that count for nothing."""
    scorers: tuple[str, ...]
    explanations: tuple[ExplanationView, ...]
    """Failed ones come last."""
    groups: tuple[GroupView, ...]
    histograms: tuple[Histogram, ...]
    leakage: Leakage
    ngrams: tuple[NgramList, ...]


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
    kept_back = held_out(shown["exemplars"])
    return NeuronView(
        neuron=neuron,
        shown=shown,
        scale=views.scale,
        first=max((e["first"] for e in shown["exemplars"]), default=0),
        scorers=tuple(by_scorer),
        explanations=tuple(_explanation(e, axes, views, kept_back) for e in ordered),
        groups=tuple(views.groups(spans)),
        histograms=tuple(_histograms(shown)),
        leakage=leakage(shown),
        ngrams=tuple(_ngrams(shown["ngrams"])),
    )


def _ngrams(found: Sequence[Mapping[str, Any]]) -> Iterator[NgramList]:
    by_list: dict[tuple[str, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    for each in found:
        by_list[each["source"], each["aggregator"]].append(each)
    for title, source, aggregator in _NGRAMS:
        if own := by_list.get((source, aggregator)):
            yield NgramList(title, own[:_NGRAMS_SHOWN], len(own))


def _histograms(shown: Mapping[str, Any]) -> Iterator[Histogram]:
    """On one axis, so that they can be compared."""
    by_kind: dict[str, list[Floats]] = defaultdict(list)
    for e in shown["exemplars"]:
        by_kind[e["kind"]].append(np.asarray(e["activations"][e["first"] :], np.float32))
    values = {kind: np.concatenate(parts) for kind, parts in by_kind.items()}
    low = min((float(v.min()) for v in values.values() if len(v)), default=0.0)
    high = max((float(v.max()) for v in values.values() if len(v)), default=0.0)
    for kind, title in _KINDS.items():
        if kind in values and (bars := charts.histogram(values[kind], low, high)):
            ticks = charts.ticks(bars, shown["statistics"]["quantiles"])
            yield Histogram(title, len(values[kind]), bars, ticks)


def _explanation(
    record: Mapping[str, Any],
    axes: Mapping[str, tuple[float, float]],
    views: SpanViews,
    spans: Mapping[Place, HeldOut],
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
        anatomies=tuple(anatomies(record, views, spans)),
    )
