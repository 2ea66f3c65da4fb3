"""Which spans of the test split are scored, and how many spans of the corpus each one stands for."""

from __future__ import annotations

from collections.abc import Sequence

from neuroexplain.config import ScoreConfig
from neuroexplain.levels import side
from neuroexplain.records import Exemplar, HeldOut, HeldOutSpan, Kind, NeuronId


def held_out(
    neuron: NeuronId,
    exemplars: Sequence[Exemplar],
    config: ScoreConfig,
    *,
    bands: int,
    n_spans: int,
) -> HeldOut:
    """Choose a neuron's scored spans from its exemplars of the test split.

    The strongest spans are there for certain (weight 1). Every other span of the split was equally likely to be drawn,
    as a random or as a quantile span, so each drawn one stands for `n_spans / drawn` spans (Horvitz and Thompson 1952).

    Args:
        neuron: whose spans.
        exemplars: of the test split and the neuron's polarity.
        config: how many of each kind are scored.
        bands: quantile bands that the collection was asked for; a small split has fewer spans of each.
        n_spans: spans in the test split.
    """
    per_band = sum(e.kind == "quantile" for e in exemplars) // max(bands, 1)
    used: dict[Kind, list[Exemplar]] = {
        "top": [e for e in exemplars if e.kind == "top" and e.rank < config.top],
        "random": [e for e in exemplars if e.kind == "random" and e.rank < config.random],
        "quantile": [
            e for e in exemplars if e.kind == "quantile" and e.rank % per_band < config.quantile
        ],
    }
    drawn = len(used["random"]) + len(used["quantile"])
    found: dict[int, tuple[Exemplar, set[Kind]]] = {}
    for kind, chosen in used.items():
        for exemplar in chosen:
            found.setdefault(exemplar.span.span, (exemplar, set()))[1].add(kind)
    spans = tuple(
        HeldOutSpan(
            span=exemplar.span,
            truth=side(exemplar.activations, neuron.polarity),
            kinds=frozenset(kinds),
            weight=1.0 if "top" in kinds else n_spans / drawn,
        )
        for exemplar, kinds in found.values()
    )
    return HeldOut(neuron, spans)
