"""The strongest spans of every neuron of a layer, streaming and exact, at most one of a document.

A span is compared with the weakest that its neuron keeps, and only if it beats that is it buffered, with the activations of
its tokens. Buffers are merged when they have grown, not after every batch: a neuron's threshold soon turns nearly
everything away, so the cost falls as the corpus grows, and no second pass is needed for the activations.

Every candidate has a 64-bit key, the rounded peak above the (inverted) span number: sorting keys sorts by peak, with the
earlier span first among equals. No two keys of a neuron are equal, so the result is a function of the corpus alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.traces import from_bits, pack, rounded_bits
from neuroexplain.records import Floats

_SPAN_BITS = 32
_SPAN_MASK = (1 << _SPAN_BITS) - 1
_SMALLEST_PEAK = np.float32(2.0**-126)
_MERGE_AT = 8
"""Merge when this many candidates per neuron have gathered."""


@dataclass(frozen=True)
class Candidates:
    """Spans that may enter, one row each, or the spans that are in."""

    neuron: NDArray[np.int64]
    key: NDArray[np.int64]
    position: NDArray[np.int16]
    """Token of the peak within the span."""
    trace: NDArray[np.float16]
    """[row, token]"""
    exponent: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.neuron)

    def take(self, rows: NDArray[np.int64]) -> Candidates:
        """Some rows, in the order given."""
        return Candidates(
            self.neuron[rows],
            self.key[rows],
            self.position[rows],
            self.trace[rows],
            self.exponent[rows],
        )

    @property
    def span(self) -> NDArray[np.int64]:
        """Span number of every row."""
        return _SPAN_MASK - (self.key & _SPAN_MASK)

    @property
    def peak(self) -> Floats:
        """Rounded peak on the polarity's side, above 0."""
        return from_bits((self.key >> _SPAN_BITS).astype(np.int32))


class TopSpans:
    """The k strongest spans of every neuron of one layer, split and polarity.

    Args:
        n_neurons: width of the layer.
        k: spans kept per neuron.
        seq_len: longest span, in tokens.
        polarity: +1 keeps the largest activations, -1 the smallest.
        span_document: document of every span of the corpus, [span].
    """

    def __init__(
        self, n_neurons: int, k: int, seq_len: int, polarity: int, span_document: NDArray[np.int64]
    ) -> None:
        self.polarity = polarity
        self.threshold = np.full(n_neurons, _SMALLEST_PEAK, dtype=np.float32)
        """[neuron]; peaks below it on the polarity's side need not be offered."""
        self._k = k
        self._seq_len = seq_len
        self._documents = span_document
        self._kept = _empty(seq_len)
        self._buffer: list[Candidates] = []
        self._buffered = 0

    def offer(
        self, neurons: NDArray[np.int64], spans: NDArray[np.int64], traces: Floats, first: int
    ) -> None:
        """Consider some spans for some neurons.

        Args:
            neurons: [row]
            spans: [row]; span numbers.
            traces: [row, token]; signed activations of all tokens of each span.
            first: leading tokens that do not count for the peak.
        """
        if not len(neurons):
            return
        counted = rounded_bits(np.maximum(traces[:, first:] * np.float32(self.polarity), 0))
        place = counted.argmax(axis=1)
        bits = counted[np.arange(len(place)), place].astype(np.int64)
        packed, exponent = pack(traces)
        padded = np.zeros((len(packed), self._seq_len), dtype=np.float16)
        padded[:, : packed.shape[1]] = packed
        self._buffer.append(
            Candidates(
                neuron=neurons,
                key=(bits << _SPAN_BITS) | (_SPAN_MASK - spans),
                position=(place + first).astype(np.int16),
                trace=padded,
                exponent=exponent,
            )
        )
        self._buffered += len(neurons)
        if self._buffered > _MERGE_AT * len(self.threshold):
            self.merge()

    def merge(self) -> None:
        """Bring the buffered candidates in, and raise the thresholds."""
        if not self._buffer:
            return
        everything = _concatenate([self._kept, *self._buffer])
        self._buffer, self._buffered = [], 0
        # Strongest first within each neuron; then the best span of each document; then the best k.
        order = np.lexsort((-everything.key, everything.neuron))
        neuron = everything.neuron[order]
        document = self._documents[everything.span[order]]
        pair = neuron * (int(self._documents.max()) + 1) + document
        _, best = np.unique(pair, return_index=True)
        best.sort()
        order, neuron = order[best], neuron[best]
        begins = np.searchsorted(neuron, neuron)
        rank = np.arange(len(neuron)) - begins
        self._kept = everything.take(order[rank < self._k])
        weakest = rank == self._k - 1
        self.threshold[neuron[weakest]] = everything.take(order[weakest]).peak

    def kept(self) -> Candidates:
        """The spans that are in, sorted by neuron and then strongest first."""
        self.merge()
        return self._kept


def _empty(seq_len: int) -> Candidates:
    return Candidates(
        np.empty(0, np.int64),
        np.empty(0, np.int64),
        np.empty(0, np.int16),
        np.empty((0, seq_len), np.float16),
        np.empty(0, np.int8),
    )


def _concatenate(parts: list[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([p.neuron for p in parts]),
        np.concatenate([p.key for p in parts]),
        np.concatenate([p.position for p in parts]),
        np.concatenate([p.trace for p in parts]),
        np.concatenate([p.exponent for p in parts]),
    )
