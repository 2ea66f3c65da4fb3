"""A neuron's held-out spans from the catalogue, with what it really does on them."""

from __future__ import annotations

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import ScoreConfig
from neuroexplain.heldout import held_out
from neuroexplain.records import HeldOut, NeuronId, Split


def truth_of(
    catalogue: Catalogue,
    collection: Collection,
    neuron: NeuronId,
    split: Split,
    config: ScoreConfig,
    scale: float,
) -> HeldOut:
    """A neuron's held-out spans of a split with what it does on them.

    Args:
        catalogue: has the collection.
        collection: the neuron's activations.
        neuron: which.
        split: of the spans.
        config: how many of each kind.
        scale: level 10, in the subject's activation units.
    """
    return held_out(
        neuron,
        catalogue.exemplars(collection, neuron, split),
        config,
        bands=int(collection.config["quantile_bands"]),
        n_spans=collection.spans[split],
        scale=scale,
    )
