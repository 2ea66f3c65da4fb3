"""Which spans of a split are scored, and how many spans of the corpus each one stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from neuroexplain.config import ScoreConfig
from neuroexplain.levels import side
from neuroexplain.records import Exemplar, HeldOut, HeldOutSpan, Kind, NeuronId, Placed, TokenSpan

Place = TypeVar("Place", Exemplar, Placed)


def held_out(
    neuron: NeuronId,
    exemplars: Sequence[Exemplar],
    config: ScoreConfig,
    *,
    bands: int,
    n_spans: int,
    scale: float = 0.0,
) -> HeldOut:
    """Choose a neuron's scored spans from its exemplars of a split.

    The strongest spans are there for certain (weight 1). Every other span of the split was equally likely to be drawn,
    as a random or as a quantile span, so each drawn one stands for `n_spans / drawn` spans (Horvitz and Thompson 1952).

    Args:
        neuron: whose spans.
        exemplars: of the split and the neuron's polarity.
        config: how many of each kind are scored.
        bands: quantile bands that the collection was asked for; a small split has fewer spans of each.
        n_spans: spans in the split.
        scale: level 10, in the subject's activation units.
    """
    used = _used(exemplars, config, bands)
    drawn = len(used["random"]) + len(used["quantile"])
    spans = tuple(
        HeldOutSpan(
            span=exemplar.span,
            truth=side(exemplar.activations, neuron.polarity),
            kinds=frozenset(kinds),
            weight=1.0 if "top" in kinds else n_spans / drawn,
        )
        for exemplar, kinds in _distinct(used)
    )
    return HeldOut(neuron, spans, scale)


def held_out_spans(
    places: Sequence[Placed], config: ScoreConfig, *, bands: int
) -> tuple[TokenSpan, ...]:
    """The spans that `held_out` chooses, in its order: all that a simulator may see."""
    return tuple(place.span for place, _ in _distinct(_used(places, config, bands)))


def _used(places: Sequence[Place], config: ScoreConfig, bands: int) -> dict[Kind, list[Place]]:
    """Those of each kind that are scored."""
    per_band = sum(p.kind == "quantile" for p in places) // max(bands, 1)
    # The random spans are those of all neurons, so that prompts which show spans in this order begin alike.
    return {
        "random": [p for p in places if p.kind == "random" and p.rank < config.random],
        "top": [p for p in places if p.kind == "top" and p.rank < config.top],
        "quantile": [
            p for p in places if p.kind == "quantile" and p.rank % per_band < config.quantile
        ],
    }


def _distinct(used: dict[Kind, list[Place]]) -> list[tuple[Place, set[Kind]]]:
    """Every span once, with the kinds that it was chosen as."""
    found: dict[int, tuple[Place, set[Kind]]] = {}
    for kind, chosen in used.items():
        for place in chosen:
            found.setdefault(place.span.span, (place, set()))[1].add(kind)
    return list(found.values())
