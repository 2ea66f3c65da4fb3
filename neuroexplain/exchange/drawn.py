"""A neuron as its page shows it: spans as runs of one heat, explanations with their scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuroexplain.exchanged import ExplanationRecord, NeuronRecord, SpanRecord
from neuroexplain.heat import Run, runs
from neuroexplain.levels import MAX_LEVEL, side
from neuroexplain.records import Floats

GROUPS = (
    ("Strongest, seen by the explainer", "explain", "top"),
    ("Strongest, held out", "test", "top"),
    ("Of all bands of activation, held out", "test", "quantile"),
    ("Random, held out", "test", "random"),
    ("Strongest, held out for choosing", "select", "top"),
    ("Of all bands of activation, seen by the explainer", "explain", "quantile"),
    ("Random, seen by the explainer", "explain", "random"),
    ("Alike, and quiet", "explain", "contrastive"),
)
"""Headings of spans with their split and kind, in the order in which they are shown."""


class Row(NamedTuple):
    """Tokens of a span with one set of levels."""

    label: str
    runs: list[Run]


class Span(NamedTuple):
    """A span with its activations, and below them what was predicted."""

    rows: list[Row]
    peak: float
    """Activation of the strongest token that counts; signed."""


class Group(NamedTuple):
    """Spans of a split and a kind."""

    heading: str
    spans: list[Span]
    total: int
    """How many there are, of which these are the first."""


@dataclass(frozen=True)
class Neuron:
    """A neuron's page."""

    record: NeuronRecord
    anchor: str
    scale: float
    """Activation of the highest heat; 0 where it never fires on its side."""
    groups: list[Group]

    @property
    def explanations(self) -> list[ExplanationRecord]:
        """With failed ones, which come last."""
        return sorted(self.record.explanations, key=lambda own: own.status != "ok")


def drawn(record: NeuronRecord, *, spans: int, first: int) -> Neuron:
    """A neuron to be shown.

    Args:
        record: what is known of it.
        spans: how many of each group.
        first: leading tokens of every span that count for nothing: they would outshine all others.
    """
    neuron = record.neuron
    anchor = f"n{neuron.layer}-{neuron.index}{'p' if neuron.polarity > 0 else 'm'}"
    drawing = _Drawing(record, first)
    return Neuron(record, anchor, drawing.scale, list(drawing.groups(spans)))


class _Drawing:
    def __init__(self, record: NeuronRecord, first: int) -> None:
        self._record, self._first = record, first
        peaks: dict[str, float] = defaultdict(float)
        for span in record.spans:
            levels = self._side(span.activations)
            peaks[span.split] = max(peaks[span.split], float(levels.max(initial=0.0)))
        self.scale = peaks["explain"] or max(peaks.values(), default=0.0)
        self._predicted = _predictions(record)

    def groups(self, n: int) -> Iterator[Group]:
        for heading, split, kind in GROUPS:
            found = [s for s in self._record.spans if (s.split, s.kind) == (split, kind)]
            found.sort(key=lambda span: span.rank)
            if found:
                yield Group(heading, [self._span(span) for span in found[:n]], len(found))

    def _span(self, span: SpanRecord) -> Span:
        values = self._side(span.activations)
        real = MAX_LEVEL * values / self.scale if self.scale else np.zeros_like(values)
        rows = [Row("real", runs(span.tokens, real))]
        rows += [
            Row(label, runs(span.tokens, levels))
            for label, levels in self._predicted.get((span.document, span.start), ())
            if len(levels) == len(span.tokens)
        ]
        peak = float(span.activations[int(values.argmax())]) if len(values) else 0.0
        return Span(rows, peak)

    def _side(self, activations: Floats) -> Floats:
        values = side(activations, self._record.neuron.polarity)
        values[: self._first] = 0
        return values


def _predictions(
    record: NeuronRecord,
) -> dict[tuple[int | None, int | None], list[tuple[str, Floats]]]:
    """Predicted levels by place of the span, each with who explained and who predicted."""
    found: dict[tuple[int | None, int | None], list[tuple[str, Floats]]] = defaultdict(list)
    for own in record.explanations:
        for simulation in own.simulations:
            for span in simulation.spans:
                if span.expected is not None and span.document is not None:
                    names = dict.fromkeys((own.explainer, simulation.simulator))
                    label = ", ".join(names)
                    found[span.document, span.start].append((label, span.expected))
    return found


def number(value: float | None) -> str:
    """A number to two decimals, or what stands for none.

    >>> [number(v) for v in (0.456, -0.001, -1234.5, None)]
    ['0.46', '0.00', '-1234', '-']
    """
    if value is None:
        return "-"
    text = f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"
    return text.removeprefix("-") if float(text) == 0 else text


def probability(value: float | None) -> str:
    """A p-value to three decimals, or what stands for none."""
    return "-" if value is None else f"{value:.3f}"
