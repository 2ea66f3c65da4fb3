"""What the n-gram pass keeps of one layer while the n-grams go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors import ngram_topk
from neuroexplain.collectors.ngram_responses import Responses, RunningMoments, moments_of, respond
from neuroexplain.collectors.ngram_topk import Numbers, TopNgrams
from neuroexplain.errors import CollectError
from neuroexplain.recorded import AGGREGATORS, Aggregator, LayerNgrams, NgramSet
from neuroexplain.records import POLARITIES, Floats

if TYPE_CHECKING:
    from torch import Tensor

    from neuroexplain.subjects import LayerActivations

Arrays = dict[str, NDArray[np.generic]]
"""State by name, as it is saved."""

LISTS: tuple[tuple[int, Aggregator], ...] = tuple((p, a) for p in POLARITIES for a in AGGREGATORS)
"""Polarity and aggregator of every list of a neuron."""


class NgramLayer:
    """Moments, and the strongest n-grams of both polarities by both aggregators.

    Its size depends on the neurons and on k, not on the n-grams.

    Args:
        layer: number of the layer.
        width: its neurons.
        k: n-grams kept in every list.
        ngrams: what goes by.
    """

    def __init__(self, layer: int, width: int, k: int, ngrams: NgramSet) -> None:
        self.layer = layer
        self._width = width
        self._ngrams = ngrams
        self._moments = RunningMoments(width)
        self._lists = {place: TopNgrams(width, k) for place in LISTS}

    def update(self, seen: LayerActivations, numbers: Numbers, first: int) -> None:
        """Take in a batch of n-grams, [n-gram]; `first` leading tokens of each count for nothing.

        Raises:
            CollectError: an activation is NaN or infinite.
        """
        responses = respond(seen, first)
        if not responses.finite:
            self._refuse(responses, numbers)
        self._moments.add(responses)
        for (polarity, aggregator), kept in self._lists.items():
            peak = responses.highest if polarity > 0 else responses.lowest
            ranked = responses.mean if aggregator == "mean" else peak
            self._offer(kept, polarity, ranked, responses.mean, peak, numbers)

    def _refuse(self, responses: Responses, numbers: Numbers) -> None:
        bad = ~(responses.highest.isfinite() & responses.lowest.isfinite())
        row, neuron = bad.nonzero()[0].tolist()
        raise CollectError(
            f"layer {self.layer}, neuron {neuron}: the activation on “{self._ngrams.texts[numbers[row]]}” is NaN or "
            "infinite; try --dtype float32"
        )

    def _offer(
        self,
        kept: TopNgrams,
        polarity: int,
        ranked: Tensor,
        mean: Tensor,
        peak: Tensor,
        numbers: Numbers,
    ) -> None:
        import torch

        least = torch.from_numpy(kept.reaching).to(ranked.device)
        passing = ranked >= least if polarity > 0 else ranked <= -least
        # NumPy finds the few that pass several times faster.
        hits = np.flatnonzero(passing.cpu().numpy())
        if not len(hits):
            return
        places = torch.from_numpy(hits).to(ranked.device)

        def taken(values: Tensor) -> Floats:
            found: Floats = values.flatten()[places].cpu().numpy()
            return found if polarity > 0 else -found

        rows, neurons = np.divmod(hits, self._width)
        means = taken(mean)
        maxima = taken(peak)
        kept.offer(neurons, numbers[rows], means if ranked is mean else maxima, means, maxima)

    def arrays(self) -> Arrays:
        """The state, as `restore` takes it."""
        state = self._moments.arrays()
        for place, kept in zip(LISTS, self._lists.values(), strict=True):
            state |= {_name(place, name): array for name, array in kept.arrays().items()}
        return state

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a state that was saved."""
        self._moments.restore(arrays)
        for place, kept in self._lists.items():
            kept.restore({name: arrays[_name(place, name)] for name in ("keys", "means", "maxima")})


def finished(layer: int, arrays: Mapping[str, NDArray[np.generic]]) -> LayerNgrams:
    """A saved state as the record of a layer."""
    lists = [
        ngram_topk.in_order(
            {name: arrays[_name(place, name)] for name in ("keys", "means", "maxima")}
        )
        for place in LISTS
    ]
    numbers, means, maxima = (
        np.stack(arrays_).reshape(len(POLARITIES), len(AGGREGATORS), *arrays_[0].shape)
        for arrays_ in zip(*lists, strict=True)
    )
    return LayerNgrams(layer, moments_of(arrays), numbers, means, maxima)


def state_bytes(width: int, k: int) -> int:
    """Memory that the state of one layer takes at most."""
    return width * (len(LISTS) * ngram_topk.state_bytes(k) + 64)


def _name(place: tuple[int, Aggregator], name: str) -> str:
    polarity, aggregator = place
    return f"{aggregator}{polarity:+d}_{name}"
