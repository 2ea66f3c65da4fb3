"""Layers of a generated catalogue: neurons that answer to a few tokens each, as records of a collection.

Spans and tokens are real; activations are drawn. A neuron has some favourite tokens, its strongest spans hold one of
them, and there it peaks. Elsewhere it has GELU of a normal variable, so that most activations are small and many slightly
negative. Kept as int8 and compressed, 20 spans of 64 tokens take 740 bytes; those of MiniLM take 890, of SmolLM2 950.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from neuroexplain.recorded import (
    QUANTILE_LEVELS,
    ExemplarBlock,
    LayerCollection,
    LayerSketch,
    TokenCorpus,
    TokenTable,
)
from neuroexplain.records import SPLITS, Floats, Kind, Split
from neuroexplain.testing.catalogue_corpus import SEQ_LEN

TOP = 20
"""Spans kept of the explain split."""
HELD_OUT = 10
"""Spans of each kind kept of the others, for neurons that can be scored."""
RESPONSES = 32
"""Token ids in a row of token responses."""
_FAVOURITES = 32
_STEEP = 0.07
"""Chance that a span holds a neuron's first favourite token, and so on among the others."""
_DIRECTIONS = 256
_CLUSTERS = 64
_SAMPLED = 8192
"""Tokens that quantiles and responses are said to be taken over."""
_GRID = ndtri((np.arange(512) + 0.5) / 512).astype(np.float32)


@dataclass(frozen=True)
class Neurons:
    """What decides the activations of a layer's neurons; arrays are [neuron]."""

    centre: Floats
    """Mean before the nonlinearity."""
    spread: Floats
    """Standard deviation before it."""
    peak: Floats
    """Largest activation."""

    @classmethod
    def drawn(cls, n: int, rng: np.random.Generator) -> Neurons:
        """Density between 3 % and 40 % of tokens."""
        centre = rng.uniform(-1.8, -0.3, n)
        spread = rng.uniform(0.9, 1.5, n)
        peak = np.exp(rng.normal(1.2, 0.3, n))
        return cls(*(a.astype(np.float32) for a in (centre, spread, peak)))


class Places:
    """Where the tokens of a split's full spans are."""

    def __init__(self, corpus: TokenCorpus, split: Split) -> None:
        inside = corpus.span_split == SPLITS.index(split)
        self.spans = np.flatnonzero(inside & (corpus.span_length == SEQ_LEN))
        ids = np.concatenate([self._ids(corpus, n) for n in self.spans.tolist()])
        self._order = np.argsort(ids, kind="stable")
        self.token_ids, self._starts, self._counts = np.unique(
            ids[self._order], return_index=True, return_counts=True
        )
        weights = np.sqrt(self._counts)
        self._cumulative = np.cumsum(weights / weights.sum())

    @staticmethod
    def _ids(corpus: TokenCorpus, span: int) -> NDArray[np.uint32]:
        start = int(corpus.span_start[span])
        return corpus.documents[int(corpus.span_document[span])].token_ids[start : start + SEQ_LEN]

    def tokens(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
        """Places in `token_ids`, frequent ones more often, by the square root of their frequency."""
        found = np.searchsorted(self._cumulative, rng.random(shape, np.float32))
        return np.minimum(found, len(self.token_ids) - 1)

    def occurrences(
        self, tokens: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """A span and a position for every token, at random among those that hold it."""
        nth = (rng.random(tokens.shape) * self._counts[tokens]).astype(np.int64)
        spans, positions = np.divmod(self._order[self._starts[tokens] + nth], SEQ_LEN)
        return self.spans[spans], positions.astype(np.int32)


class Layers:
    """The layers of a subject, made one at a time.

    Args:
        corpus: whose spans are kept.
        widths: neurons of every layer.
        seed: decides everything.
        scored: how many neurons, from the first of layer 0 on, have float16 spans of the select and test splits.
        sketched: how many layers, from 0 on, have token responses and directions.
    """

    def __init__(
        self, corpus: TokenCorpus, widths: tuple[int, ...], *, seed: int, scored: int, sketched: int
    ) -> None:
        self._widths, self._seed = widths, seed
        self._scored, self._sketched = scored, sketched
        self._places = {split: Places(corpus, split) for split in SPLITS}
        self._n_spans = len(corpus.span_length)
        self._n_tokens = corpus.info.n_tokens

    def __iter__(self) -> Iterator[LayerCollection]:
        for layer in range(len(self._widths)):
            yield self._layer(layer)

    def _layer(self, layer: int) -> LayerCollection:
        n = self._widths[layer]
        rng = np.random.default_rng([self._seed, 2, layer])
        neurons = Neurons.drawn(n, rng)
        favourites = self._places["explain"].tokens((n, _FAVOURITES), rng)
        blocks = [self._top("explain", TOP, neurons, favourites, rng)]
        if layer == 0 and self._scored:
            blocks += self._held_out(neurons, rng)
        grid = gelu(neurons.centre[:, None] + neurons.spread[:, None] * _GRID)
        grid.sort(axis=1)
        counted = np.zeros(n, np.int64)
        return LayerCollection(
            layer=layer,
            n_tokens=counted + self._n_tokens,
            n_spans=self._n_spans,
            mean=grid.mean(axis=1, dtype=np.float64),
            std=grid.std(axis=1, dtype=np.float64),
            min=grid[:, 0],
            max=blocks[0].peaks[:, 0],
            frac_positive=(grid > 0).mean(axis=1),
            peaks_excluded=counted,
            troughs_excluded=counted,
            blocks=tuple(blocks),
            sketch=self._sketch(layer, favourites, neurons, grid, rng),
        )

    def _held_out(self, neurons: Neurons, rng: np.random.Generator) -> list[ExemplarBlock]:
        """Spans that the first neurons can be scored on; the others have none."""
        n, blocks = len(neurons.peak), []
        for split in ("select", "test"):
            tokens = self._places[split].tokens((n, _FAVOURITES), rng)
            blocks += [
                self._top(split, HELD_OUT, neurons, tokens, rng),
                self._random(split, neurons, rng),
            ]
        without = np.arange(n)[:, None] >= self._scored
        return [replace(block, spans=np.where(without, -1, block.spans)) for block in blocks]

    def _top(
        self,
        split: Split,
        kept: int,
        neurons: Neurons,
        favourites: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> ExemplarBlock:
        """The strongest spans: each holds one of a neuron's favourite tokens, and peaks there."""
        n, several = favourites.shape
        which = np.minimum(rng.geometric(_STEEP, (n, 2 * kept)) - 1, several - 1)
        tokens = np.take_along_axis(favourites, which, axis=1)
        spans, positions = _distinct(*self._places[split].occurrences(tokens, rng), kept)
        ranks = np.sqrt(np.arange(kept) / kept)
        peaks = (neurons.peak[:, None] * (1 - 0.45 * ranks)).astype(np.float32)
        return _block(split, "top", 1, spans, positions, peaks, neurons, rng)

    def _random(self, split: Split, neurons: Neurons, rng: np.random.Generator) -> ExemplarBlock:
        spans = rng.permutation(self._places[split].spans)[:HELD_OUT]
        shape = (len(neurons.peak), len(spans))
        positions = rng.integers(0, SEQ_LEN, shape, dtype=np.int32)
        peaks = rng.uniform(0, 0.3, shape).astype(np.float32) * neurons.peak[:, None]
        return _block(
            split, "random", 0, np.broadcast_to(spans, shape), positions, peaks, neurons, rng
        )

    def _sketch(
        self,
        layer: int,
        favourites: NDArray[np.int64],
        neurons: Neurons,
        grid: Floats,
        rng: np.random.Generator,
    ) -> LayerSketch:
        places = (np.array(QUANTILE_LEVELS) * grid.shape[1]).astype(np.int64)
        n, kept = len(grid), 0
        directions = np.zeros((0, _DIRECTIONS), np.int8)
        if layer < self._sketched:
            kept = RESPONSES
            directions = _clustered(n, rng)
        token_ids = np.zeros((2, n, kept), np.uint32)
        token_ids[:] = self._places["explain"].token_ids[
            np.resize(favourites, (n, kept)) if kept else np.zeros((n, 0), np.int64)
        ]
        ranks = np.linspace(1, 0.2, kept, dtype=np.float32)
        upper = neurons.peak[:, None] * ranks
        means = np.stack([upper * 0.5, np.broadcast_to(-0.1 * ranks, upper.shape)])
        extremes = np.stack([upper, np.broadcast_to(-0.17 * ranks, upper.shape)])
        counts = np.full((2, n, kept), 5, np.int32)
        table = TokenTable(token_ids, means, extremes, counts)
        return LayerSketch(_SAMPLED, grid[:, places], table, directions)


def gelu(x: Floats) -> Floats:
    """By the usual tanh."""
    inner = 0.7978845608 * (x + 0.044715 * x * x * x)
    return (x * (0.5 + 0.5 * np.tanh(inner))).astype(np.float32, copy=False)


def _distinct(
    spans: NDArray[np.int64], positions: NDArray[np.int32], kept: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The first spans of every row that differ from those before them, -1 where there are fewer."""
    order = np.argsort(spans, axis=1, kind="stable")
    ordered = np.take_along_axis(spans, order, axis=1)
    again = np.zeros(spans.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    first = np.argsort(again, axis=1, kind="stable")[:, :kept]
    spans, positions, again = (
        np.take_along_axis(a, first, axis=1) for a in (spans, positions, again)
    )
    return np.where(again, -1, spans), np.where(again, 0, positions)


def _block(
    split: Split,
    kind: Kind,
    polarity: int,
    spans: NDArray[np.int64],
    positions: NDArray[np.int32],
    peaks: Floats,
    neurons: Neurons,
    rng: np.random.Generator,
) -> ExemplarBlock:
    values = rng.standard_normal((*spans.shape, SEQ_LEN), np.float32)
    values *= neurons.spread[:, None, None]
    values += neurons.centre[:, None, None]
    values = gelu(values)
    np.minimum(values, 0.9 * peaks[..., None], out=values)
    np.put_along_axis(values, positions[..., None].astype(np.int64), peaks[..., None], axis=2)
    values[spans < 0] = 0
    found = values.astype(np.float16)
    return ExemplarBlock(
        split=split,
        kind=kind,
        polarity=polarity,
        spans=np.asarray(spans),
        peaks=np.where(spans < 0, 0, peaks.astype(np.float16)).astype(np.float32),
        peak_positions=positions,
        activations=found,
        exponents=np.zeros(spans.shape, np.int8),
        inclusion_probability=1.0,
    )


def _clustered(n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Directions of equal length, around some that they have in common."""
    centres = rng.standard_normal((_CLUSTERS, _DIRECTIONS), np.float32)
    found = centres[rng.integers(0, _CLUSTERS, n)] + rng.standard_normal(
        (n, _DIRECTIONS), np.float32
    )
    found *= 400 / np.linalg.norm(found, axis=1, keepdims=True)
    steps: NDArray[np.int8] = np.rint(found).clip(-127, 127).astype(np.int8)
    return steps
