"""Spans of a neuron by group, real over simulated rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from neuroexplain.heat import Run, runs, shown
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
)
"""Headings with split and kind, in the order in which they are shown."""
ALIKE = "Alike, and quiet"
_VALUES = 8
"""Tokens of a span whose activations are written out."""


@dataclass(frozen=True)
class SpanRow:
    """One set of levels over a span."""

    label: str
    runs: list[Run]
    explanation: int | None = None
    """Row of the explanation that predicts it; None for what the neuron did."""


@dataclass(frozen=True)
class SpanView:
    """A span with its activations, and below them what was predicted."""

    document: int
    start: int
    rows: list[SpanRow]
    peak: float
    """Activation of the strongest token that counts; signed."""
    values: list[tuple[str, float]]
    """The strongest tokens with their activations, in the order of the text."""
    repeated: bool
    """Whether a span that the explainer saw has the same text."""


@dataclass(frozen=True)
class GroupView:
    """Spans of a split and a kind."""

    heading: str
    held_out: bool
    spans: list[SpanView]
    total: int
    """How many there are, of which these are the first."""
    probability: float | None
    """Chance that the sampling design kept such a span; None for those that were not drawn."""


class SpanViews:
    """Makes groups of spans of what `Catalogue.show` gives.

    Args:
        shown: all about one neuron.
        polarity: the side that is coloured.
    """

    def __init__(self, shown: Mapping[str, Any], polarity: int) -> None:
        self._shown, self._polarity = shown, polarity

    @cached_property
    def scale(self) -> float:
        """Activation of level 10: the largest on this side in the explain split; 0 where it never fires there."""
        peaks = [
            float(self.side(e).max(initial=0.0))
            for e in self._shown["exemplars"]
            if e["split"] == "explain"
        ]
        return max(peaks, default=0.0)

    def side(self, exemplar: Mapping[str, Any]) -> Floats:
        """[token]; activations on the polarity's side, 0 on tokens that count for nothing."""
        values = side(np.asarray(exemplar["activations"], np.float32), self._polarity)
        values[: exemplar["first"]] = 0
        return values

    def levels(self, exemplar: Mapping[str, Any]) -> Floats:
        """[token]; the same as levels 0 to 10."""
        values = self.side(exemplar)
        return values * (MAX_LEVEL / self.scale) if self.scale else np.zeros_like(values)

    def groups(self, n: int) -> Iterator[GroupView]:
        """Groups that have spans, with the first `n` of each."""
        by_group: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for exemplar in self._shown["exemplars"]:
            by_group[exemplar["split"], exemplar["kind"]].append(exemplar)
        for heading, split, kind in GROUPS:
            found = by_group.get((split, kind))
            if found:
                chance = None if kind == "top" else found[0]["inclusion_probability"]
                yield self._group(heading, found, n, held_out=split != "explain", chance=chance)
        alike = (self._shown["look_alikes"] or {}).get("spans", [])
        if alike:
            yield self._group(ALIKE, alike, n, held_out=False, chance=None)

    def _group(
        self,
        heading: str,
        found: Sequence[Mapping[str, Any]],
        n: int,
        *,
        held_out: bool,
        chance: float | None,
    ) -> GroupView:
        spans = [self._span(e, held_out) for e in found[:n]]
        return GroupView(heading, held_out, spans, len(found), chance)

    def _span(self, exemplar: Mapping[str, Any], held_out: bool) -> SpanView:
        texts, levels = exemplar["tokens"], self.levels(exemplar)
        tokens = [shown(token) for token in texts]
        place = exemplar["document"], exemplar["start"]
        rows = [SpanRow("real", runs(tokens, levels, warm=True))]
        rows += [
            SpanRow(label, runs(tokens, expected, warm=True), number)
            for label, number, expected in self._predicted.get(place, ())
            if len(expected) == len(tokens)
        ]
        return SpanView(
            *place,
            rows=rows,
            peak=exemplar["peak"],
            values=_strongest(tokens, exemplar["activations"], levels),
            repeated=held_out and "".join(texts) in self._seen,
        )

    @cached_property
    def _seen(self) -> frozenset[str]:
        """Texts of the spans of the explain split."""
        exemplars = self._shown["exemplars"]
        return frozenset("".join(e["tokens"]) for e in exemplars if e["split"] == "explain")

    @cached_property
    def _predicted(self) -> Mapping[tuple[int, int], list[tuple[str, int, Floats]]]:
        """By place of the span: who predicts, row of the explanation, levels."""
        found: dict[tuple[int, int], list[tuple[str, int, Floats]]] = defaultdict(list)
        for explanation in self._shown["explanations"]:
            for made in explanation["simulations"]:
                if made["expected"] is not None:
                    names = dict.fromkeys((explanation["explainer"], made["simulator"]))
                    expected = np.asarray(made["expected"], np.float32)
                    place = made["document"], made["start"]
                    found[place].append((", ".join(names), explanation["id"], expected))
        return found


def _strongest(
    tokens: Sequence[str], activations: Sequence[float], levels: Floats
) -> list[tuple[str, float]]:
    order = np.argsort(-levels, kind="stable")[:_VALUES]
    places = sorted(int(place) for place in order if levels[place] > 0)
    return [(tokens[place], activations[place]) for place in places]
