"""Where neuron-explainer's files are, and in which order spans stand in them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from neuroexplain.exchanged import SpanRecord
from neuroexplain.records import NeuronId, Split

ACTIVATIONS, EXPLANATIONS = "collated-activations", "explanations"
TOKENS = "related-tokens/weight-based"
OURS = "neuroexplain"
NEGATIVE = "negative"
TOP: tuple[Split, ...] = ("explain", "select", "test", "test")
"""Splits of the strongest spans in turn: train, calibration, valid, test."""
RANDOM: tuple[Split, ...] = ("select", "test", "test")
"""Splits of random spans in turn: calibration, valid, test."""
SCORES = {
    "correlation": "ev_correlation_score",
    "explained_variance": "rsquared_score",
    "absolute_deviation": "absolute_dev_explained_score",
}
"""Scorers with the keys of their scores."""
LEVELS = "simulated_normalized_activations"
"""Scale of predictions 0-10, see `records`."""


def path_of(root: Path, tree: str, neuron: NeuronId) -> Path:
    """A neuron's file."""
    side = root if neuron.polarity > 0 else root / NEGATIVE
    ending = "jsonl" if tree == EXPLANATIONS else "json"
    return side / tree / str(neuron.layer) / f"{neuron.index}.{ending}"


def in_turn(spans: Iterable[SpanRecord], turn: Sequence[Split]) -> list[SpanRecord]:
    """Spans by rank, their splits in turn as long as there are some of each; then the others."""
    left: dict[Split, deque[SpanRecord]] = defaultdict(deque)
    for span in sorted(spans, key=lambda span: span.rank):
        left[span.split].append(span)
    found = []
    while all(len(left[split]) >= turn.count(split) for split in turn):
        found += [left[split].popleft() for split in turn]
    return [*found, *(span for split in ("explain", "select", "test") for span in left[split])]


def bands(spans: Iterable[SpanRecord]) -> list[list[SpanRecord]]:
    """Spans of every band of activation, the lowest band first; a rank of ours is a band, 0 the highest."""
    found: dict[int, list[SpanRecord]] = defaultdict(list)
    for span in spans:
        found[span.rank].append(span)
    return [found[rank] for rank in sorted(found, reverse=True)]


def laid_out(
    spans: Sequence[SpanRecord],
) -> tuple[list[SpanRecord], list[SpanRecord], list[list[SpanRecord]]]:
    """A neuron's spans as its record lists them: the strongest, random ones, and those of bands."""
    return (
        in_turn((span for span in spans if span.kind == "top"), TOP),
        in_turn((span for span in spans if span.kind == "random"), RANDOM),
        bands(span for span in spans if span.kind == "quantile"),
    )
