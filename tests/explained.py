"""A small catalogue of a real model: thirty neurons of MiniLM, explained twice and scored by simulators that ask nobody."""

from __future__ import annotations

from pathlib import Path

from neuroexplain import api
from neuroexplain.catalogue import Catalogue
from neuroexplain.records import NeuronId
from tests.program import TEXT

LAYER = 2
NEURONS = f"{LAYER}:0-29"
NEURON = NeuronId("minilm", LAYER, 7)


def make(path: Path) -> None:
    """Collect, explain and score: `ngram` by its own simulator, `token-table` by `embedding`."""
    with Catalogue(path) as catalogue:
        api.collect(
            *("minilm",),
            corpus=str(TEXT),
            catalogue=catalogue,
            tokens=4000,
            layers=str(LAYER),
            seq_len=32,
        )
        for explainer, simulator in (("ngram", "ngram"), ("token-table", "embedding")):
            api.sweep(
                catalogue,
                neurons=NEURONS,
                explainer=explainer,
                simulator=simulator,
                bootstrap=200,
                top=4,
                random=6,
            )
