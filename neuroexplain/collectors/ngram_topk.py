"""The strongest n-grams of every neuron of a layer by one aggregator and on one side, streaming and exact.

A response is compared with the weakest that its neuron keeps. The few that pass wait until there are enough of them to be
merged together; a neuron's threshold soon turns nearly everything away.

Every n-gram has a 64-bit key, the response rounded to float16's 11 digits above the (inverted) number of the n-gram, so
that sorting keys sorts by response, with the commoner n-gram first among equals. Rounded, because the same text in a batch
of another shape gives activations that differ by a few millionths: such noise must not order them. What is kept in the
end is a function of the n-grams alone, whatever the order in which they come and are merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import Floats

Numbers = NDArray[np.int64]

_BITS = 32
_MASK = (1 << _BITS) - 1
_DROPPED = 13
"""Binary digits of float32 that float16 lacks."""
_SMALLEST = np.float32(2.0**-126)
_WAITING = 32
"""Rows per neuron, on average, that wait before they are merged."""


@dataclass(frozen=True)
class Rows:
    """N-grams that may be among the strongest of some neurons; arrays are [row]."""

    neurons: Numbers
    keys: Numbers
    means: Floats
    """Of the counted tokens' activations, on the polarity's side."""
    maxima: Floats

    def at(self, rows: NDArray[np.bool_] | Numbers) -> Rows:
        """Some of the rows."""
        return Rows(self.neurons[rows], self.keys[rows], self.means[rows], self.maxima[rows])


class TopNgrams:
    """The k strongest n-grams of every neuron; only responses above 0 count.

    Args:
        width: neurons of the layer.
        k: n-grams kept of each.
    """

    def __init__(self, width: int, k: int) -> None:
        self.k = k
        self.reaching = np.full(width, _SMALLEST)
        """[neuron]; smallest response that may be rounded to that of the weakest kept n-gram."""
        self._keys = np.zeros((width, k), dtype=np.int64)
        self._means = np.zeros((width, k), dtype=np.float32)
        self._maxima = np.zeros((width, k), dtype=np.float32)
        self._least = np.zeros(width, dtype=np.int64)
        self._waiting: list[Rows] = []
        self._n_waiting = 0

    def offer(
        self, neurons: Numbers, numbers: Numbers, ranked: Floats, means: Floats, maxima: Floats
    ) -> None:
        """Consider some n-grams for some neurons; all [row].

        Args:
            neurons: indices.
            numbers: of the n-grams.
            ranked: the responses that they are ordered by, above 0: `means` or `maxima`.
            means: responses by the mean.
            maxima: responses by the maximum.
        """
        rows = Rows(neurons, _keys(ranked, numbers), means, maxima)
        rows = rows.at(rows.keys > self._least[neurons])
        self._waiting.append(rows)
        self._n_waiting += len(rows.keys)
        if self._n_waiting >= _WAITING * len(self._keys):
            self.settle()

    def settle(self) -> None:
        """Merge what is waiting, and raise the thresholds."""
        if not self._n_waiting:
            return
        rows, rank, starts = _by_neuron(_joined(self._waiting))
        self._waiting, self._n_waiting = [], 0
        # Of more than k rows of a neuron the others cannot stay.
        hopeful = rank < self.k
        touched = rows.neurons[starts]
        place = np.cumsum(np.append(False, np.diff(rows.neurons) != 0))[hopeful], rank[hopeful]
        shape = len(touched), int(rank[hopeful].max()) + 1
        some = rows.at(hopeful)
        keys = np.concatenate([self._keys[touched], _spread(some.keys, place, shape)], axis=1)
        kept = np.argpartition(keys, -self.k, axis=1)[:, -self.k :]
        self._keys[touched] = np.take_along_axis(keys, kept, axis=1)
        for own, new in ((self._means, some.means), (self._maxima, some.maxima)):
            both = np.concatenate([own[touched], _spread(new, place, shape)], axis=1)
            own[touched] = np.take_along_axis(both, kept, axis=1)
        self._raise_thresholds()

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The state, with nothing waiting."""
        self.settle()
        return {"keys": self._keys, "means": self._means, "maxima": self._maxima}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over a state that `arrays` gave."""
        self._keys[:], self._means[:] = arrays["keys"], arrays["means"]
        self._maxima[:] = arrays["maxima"]
        self._raise_thresholds()

    def _raise_thresholds(self) -> None:
        self._least = self._keys.min(axis=1)
        # Half a step below; what is rounded to less is turned away by its key.
        bits = np.maximum((self._least >> _BITS) - (1 << (_DROPPED - 1)), 0)
        self.reaching = np.maximum(bits.astype(np.int32).view(np.float32), _SMALLEST)


def in_order(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[Numbers, Floats, Floats]:
    """A saved state as numbers, means and maxima, [neuron, rank], strongest first; number -1 where there is none."""
    order = np.argsort(-arrays["keys"].astype(np.int64), axis=1)
    keys = np.take_along_axis(arrays["keys"].astype(np.int64), order, axis=1)
    means, maxima = (
        np.take_along_axis(arrays[name].astype(np.float32), order, axis=1)
        for name in ("means", "maxima")
    )
    return np.where(keys > 0, _MASK - (keys & _MASK), -1), means, maxima


def state_bytes(k: int) -> int:
    """Memory that one neuron takes at most, waiting rows included."""
    return 16 * k + 2 * _WAITING * 24


def _keys(ranked: Floats, numbers: Numbers) -> Numbers:
    bits = ranked.view(np.int32).astype(np.int64)
    half = (1 << (_DROPPED - 1)) - 1
    rounded = ((bits + half + ((bits >> _DROPPED) & 1)) >> _DROPPED) << _DROPPED
    return (rounded << _BITS) | (_MASK - numbers)


def _joined(waiting: list[Rows]) -> Rows:
    return Rows(
        np.concatenate([rows.neurons for rows in waiting]),
        np.concatenate([rows.keys for rows in waiting]),
        np.concatenate([rows.means for rows in waiting]),
        np.concatenate([rows.maxima for rows in waiting]),
    )


def _by_neuron(rows: Rows) -> tuple[Rows, Numbers, Numbers]:
    """Rows by neuron, the largest key of each first; their ranks; and where each neuron begins."""
    order = np.argsort(-rows.keys)
    neurons = rows.neurons[order]
    # Numbers of 16 bits are sorted by their digits, in a fraction of the time.
    small = neurons.astype(np.uint16) if neurons.max() < 1 << 16 else neurons
    ordered = rows.at(order[small.argsort(kind="stable")])
    starts = np.flatnonzero(np.diff(ordered.neurons, prepend=-1))
    counts = np.diff(starts, append=len(ordered.neurons))
    return ordered, np.arange(len(ordered.neurons)) - np.repeat(starts, counts), starts


def _spread(
    values: NDArray[np.generic], place: tuple[Numbers, Numbers], shape: tuple[int, int]
) -> NDArray[np.generic]:
    """Values in a matrix [neuron, rank] that is 0 elsewhere."""
    matrix = np.zeros(shape, dtype=values.dtype)
    matrix[place] = values
    return matrix
