"""The strongest spans of every neuron of a layer, streaming and exact, at most one of a document.

A span is compared with the weakest that its neuron keeps, and only if it beats that do the activations of its tokens
get copied, straight into the place of the one that goes. A neuron's threshold soon turns nearly everything away, so the
cost falls as the corpus grows, no second pass is needed for the activations, and nothing is stored per span or batch.

Every span has a 64-bit key, the rounded peak above the (inverted) span number: sorting keys sorts by peak, with the
earlier span first among equals. A document's best key only grows, and so does a neuron's threshold, so the spans that are
kept in the end are the same whatever the order of arrival: a function of the corpus alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.traces import from_bits, pack
from neuroexplain.records import Floats

_SPAN_BITS = 32
_SPAN_MASK = (1 << _SPAN_BITS) - 1
_SMALLEST_PEAK = np.float32(2.0**-126)


@dataclass(frozen=True)
class Ranked:
    """The kept spans of every neuron, strongest first; [neuron, rank]."""

    spans: NDArray[np.int64]
    """Span numbers, -1 where there are fewer."""
    peaks: Floats
    """On the polarity's side, rounded as the traces are; 0 where there is no span."""
    positions: NDArray[np.int32]
    """Token of the peak within the span."""
    traces: NDArray[np.float16]
    """[neuron, rank, token]; signed."""
    exponents: NDArray[np.int8]


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
        self._document_of = span_document
        self._keys = np.zeros((n_neurons, k), dtype=np.int64)
        self._documents = np.full((n_neurons, k), -1, dtype=np.int64)
        self._traces = np.zeros((n_neurons, k, seq_len), dtype=np.float16)
        self._exponents = np.zeros((n_neurons, k), dtype=np.int8)
        self._weakest = np.zeros(n_neurons, dtype=np.int64)

    def offer(
        self,
        neurons: NDArray[np.int64],
        spans: NDArray[np.int64],
        peaks: Floats,
        traces: Floats,
    ) -> None:
        """Consider some spans for some neurons.

        Args:
            neurons: [row]
            spans: [row]; span numbers.
            peaks: [row]; largest activation on the polarity's side, above 0.
            traces: [row, token]; signed activations of all tokens of each span.
        """
        if not len(neurons):
            return
        packed, exponents = pack(traces)
        # Rounded as the trace is, so that spans are ranked by what is stored.
        stored = np.ldexp(peaks, -exponents).astype(np.float16).astype(np.float32)
        bits = np.ldexp(stored, exponents).view(np.int32).astype(np.int64)
        keys = np.where(bits > 0, (bits << _SPAN_BITS) | (_SPAN_MASK - spans), 0)
        # One span a neuron at a time, so that each sees what the one before has changed.
        order = np.argsort(neurons, kind="stable")
        ordered = neurons[order]
        turn = np.arange(len(order)) - np.searchsorted(ordered, ordered)
        for now in range(int(turn.max()) + 1):
            rows = order[turn == now]
            self._insert(neurons[rows], spans[rows], keys[rows], packed, exponents, rows)

    def _insert(
        self,
        neurons: NDArray[np.int64],
        spans: NDArray[np.int64],
        keys: NDArray[np.int64],
        packed: NDArray[np.float16],
        exponents: NDArray[np.int8],
        rows: NDArray[np.int64],
    ) -> None:
        """Put one span into each of some neurons, in the place of its document's other span or of the weakest."""
        documents = self._document_of[spans]
        same = self._documents[neurons] == documents[:, None]
        place = np.where(same.any(axis=1), same.argmax(axis=1), self._weakest[neurons])
        better = np.flatnonzero(keys > self._keys[neurons, place])
        neurons, place, rows = neurons[better], place[better], rows[better]
        self._keys[neurons, place] = keys[better]
        self._documents[neurons, place] = documents[better]
        self._traces[neurons, place, : packed.shape[1]] = packed[rows]
        self._traces[neurons, place, packed.shape[1] :] = 0
        self._exponents[neurons, place] = exponents[rows]
        weakest = self._keys[neurons].argmin(axis=1)
        self._weakest[neurons] = weakest
        least = _peaks(self._keys[neurons, weakest])
        self.threshold[neurons] = np.maximum(least, _SMALLEST_PEAK)

    def ranked(self, first: int) -> Ranked:
        """The kept spans, strongest first; peaks are sought behind the `first` leading tokens."""
        order = np.argsort(-self._keys, axis=1)
        keys = np.take_along_axis(self._keys, order, axis=1)
        traces = np.take_along_axis(self._traces, order[:, :, None], axis=1)
        return Ranked(
            spans=np.where(keys > 0, _SPAN_MASK - (keys & _SPAN_MASK), -1),
            peaks=_peaks(keys),
            positions=(_ordered(traces[:, :, first:], self.polarity).argmax(axis=2) + first).astype(
                np.int32
            ),
            traces=traces,
            exponents=np.take_along_axis(self._exponents, order, axis=1),
        )


def _peaks(keys: NDArray[np.int64]) -> Floats:
    return from_bits((keys >> _SPAN_BITS).astype(np.int32))


def _ordered(halves: NDArray[np.float16], polarity: int) -> NDArray[np.int16]:
    """Float16 numbers as integers of which the largest positive one is the largest on the polarity's side."""
    bits = halves.view(np.int16)
    return bits if polarity > 0 else bits ^ np.int16(-0x8000)
