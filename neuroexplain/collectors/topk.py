"""The strongest spans of every neuron of a layer, streaming and exact, at most one of a document.

A span is compared with the weakest that its neuron keeps, and only if it beats that are the activations of its tokens
copied. They wait in a buffer until there are enough of them to be sorted in together, into the places of those that go.
A neuron's threshold soon turns nearly everything away, so the cost falls as the corpus grows, no second pass is needed
for the activations, and nothing is stored per span or batch.

Every span has a 64-bit key, the peak rounded to float16's 11 digits above the (inverted) span number: sorting keys sorts
by peak, with the earlier span first among equals. Rounded, because the same text in a batch of another shape gives
activations that differ by a few millionths: such noise must not order them. A document's best key only grows, and so does a neuron's threshold, so the spans that are
kept in the end are the same whatever the order of arrival: a function of the corpus alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.traces import LARGEST, pack, unpack
from neuroexplain.records import POLARITIES, Floats

Arrays = dict[str, NDArray[np.generic]]
"""State by name, as it is saved."""

_SPAN_BITS = 32
_SPAN_MASK = (1 << _SPAN_BITS) - 1
_SMALLEST_PEAK = np.float32(2.0**-126)
_NOTHING = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Candidates:
    """Spans that may be among the strongest of some sides; arrays are [row]."""

    sides: NDArray[np.int64]
    """A neuron's upper tail has the neuron's number; its lower tail that number plus the layer's width."""
    keys: NDArray[np.int64]
    traces: NDArray[np.float16]
    """[row, token]; signed."""
    exponents: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, rows: NDArray[np.bool_] | slice) -> Candidates:
        """Some of the rows."""
        return Candidates(
            self.sides[rows], self.keys[rows], self.traces[rows], self.exponents[rows]
        )


class TopSpans:
    """The k strongest spans of both polarities of every neuron of one layer and split.

    Args:
        width: neurons of the layer.
        k: spans kept per neuron and polarity.
        seq_len: longest span, in tokens.
        span_document: document of every span of the corpus, [span].
    """

    def __init__(self, width: int, k: int, seq_len: int, span_document: NDArray[np.int64]) -> None:
        sides = len(POLARITIES) * width
        self.k = k
        self.weakest = np.full(sides, _SPAN_MASK)
        """[side]; number of the weakest kept span, which wins against later ones of the same rounded peak."""
        self.reaching = np.full(sides, _SMALLEST_PEAK, dtype=np.float32)
        """[side]; smallest peak that may be rounded to that of the weakest kept span."""
        self.beating = self.reaching.copy()
        """[side]; smallest peak that may be rounded to a larger one. Where activations saturate (GELU never falls below
        -0.17), nearly every span reaches the same rounded peak, and only this keeps later ones from being offered."""
        self._document_of = span_document
        # Empty places have negative keys, each another, so that no two keys of a side are ever equal.
        self._keys = np.tile(-np.arange(1, k + 1), (sides, 1))
        self._documents = np.full((sides, k), -1, dtype=np.int32)
        self._traces = np.zeros((sides, k, seq_len), dtype=np.float16)
        self._exponents = np.zeros((sides, k), dtype=np.int8)
        # A buffer for good: chunks that wait for a while among large arrays that come and go leave holes in memory.
        self._waiting = _room_for(2 * sides, seq_len)
        self._n_waiting = 0
        self._span_of: dict[int, int] = {}
        """Of every document that is waiting, one span."""
        self._repeated = False
        """Whether several spans of one document may be waiting."""

    def offer(
        self,
        sides: NDArray[np.int64],
        spans: NDArray[np.int64],
        peaks: Floats,
        traces: Floats,
    ) -> None:
        """Consider some spans for some sides.

        Args:
            sides: [row]
            spans: [row]; span numbers, ascending.
            peaks: [row]; largest activation on the polarity's side, above 0.
            traces: [row, token]; signed activations of all tokens of each span.
        """
        packed, exponents = pack(traces)
        # Rounded as the trace is, so that spans are ranked by what is stored.
        halves, _ = pack(np.ldexp(peaks, -exponents)[:, None])
        bits = unpack(halves, exponents)[:, 0].view(np.int32).astype(np.int64)
        keys = (bits << _SPAN_BITS) | (_SPAN_MASK - spans)
        offered = Candidates(sides, keys, packed, exponents)
        if not bits.all():
            offered = offered.at(bits > 0)  # the others round to 0
        for start in range(0, len(offered), len(self._keys)):
            self._wait(offered.at(slice(start, start + len(self._keys))))

    def settle(self) -> None:
        """Sort in what is waiting, and raise the thresholds."""
        if self._n_waiting:
            self._sort_in(self._waiting.at(slice(self._n_waiting)))
            self._n_waiting, self._span_of, self._repeated = 0, {}, False

    def _wait(self, offered: Candidates) -> None:
        """Put some rows, at most one a side on average, where they wait; traces get zeros beyond a span's end."""
        spans = spans_of(offered.keys)
        self._note(spans[np.flatnonzero(np.diff(spans, prepend=-1))])
        start, tokens = self._n_waiting, offered.traces.shape[1]
        self._n_waiting += len(offered)
        place = self._waiting.at(slice(start, self._n_waiting))
        place.sides[:], place.keys[:] = offered.sides, offered.keys
        place.traces[:, :tokens], place.exponents[:] = offered.traces, offered.exponents
        place.traces[:, tokens:] = 0
        if self._n_waiting >= len(self._keys):
            self.settle()

    def _sort_in(self, waiting: Candidates) -> None:
        documents = self._document_of[spans_of(waiting.keys)]
        rows = _in_order(waiting)
        if self._repeated:
            rows = rows[_first_of_document(waiting.sides[rows], documents[rows])]
        rows = self._improve(waiting, documents, rows)
        if len(rows):
            self._insert(waiting, documents, rows)

    def arrays(self) -> Arrays:
        """The state, once nothing is waiting: the same whenever it was asked for before."""
        self.settle()
        self._rank()
        return {"keys": self._keys, "traces": self._traces, "exponents": self._exponents}

    def _rank(self) -> None:
        """Put every side's spans in order, strongest first."""
        order = np.argsort(-self._keys, axis=1)
        sides = np.arange(len(order))[:, None]
        for array in (self._keys, self._documents, self._traces, self._exponents):
            array[:] = array[sides, order]  # in place: large arrays that come and go leave holes

    def restore(self, arrays: Arrays) -> None:
        """Take over a state that `arrays` gave."""
        self._keys = arrays["keys"].astype(np.int64)
        self._traces = arrays["traces"].astype(np.float16)
        self._exponents = arrays["exponents"].astype(np.int8)
        taken = self._keys > 0
        documents = self._document_of[np.where(taken, spans_of(self._keys), 0)]
        self._documents = np.where(taken, documents, -1).astype(np.int32)
        self._raise_thresholds(np.arange(len(self._keys)), self._keys.min(axis=1))

    def merge(self, arrays: Arrays) -> None:
        """Consider all that another state of the same layer and split keeps."""
        keys = arrays["keys"].astype(np.int64)
        sides, places = np.nonzero(keys > 0)
        traces = arrays["traces"][sides, places].astype(np.float16)
        exponents = arrays["exponents"][sides, places].astype(np.int8)
        self.settle()
        self._repeated = True
        if len(sides):
            self._sort_in(Candidates(sides, keys[sides, places], traces, exponents))
        self._repeated = False

    def _note(self, spans: NDArray[np.int64]) -> None:
        """Find out whether a document has another span waiting: looking for such pairs takes time."""
        for span, document in zip(spans.tolist(), self._document_of[spans].tolist(), strict=True):
            if self._span_of.setdefault(document, span) != span:
                self._repeated = True

    def _improve(
        self, waiting: Candidates, documents: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Take the better span of every document that its side has already; returns the other rows."""
        same = self._documents[waiting.sides[rows]] == documents[rows, None]
        known = same.any(axis=1)
        if known.any():
            again, places = rows[known], same[known].argmax(axis=1)
            better = waiting.keys[again] > self._keys[waiting.sides[again], places]
            self._put(waiting, documents, again[better], places[better])
            rows = rows[~known]
        return rows

    def _insert(
        self, waiting: Candidates, documents: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> None:
        """Let new documents' spans, in order, take the places of weaker ones.

        Of a side's kept and new keys, all different, the k largest stay: as many new ones come in as old ones go.
        """
        of_row = waiting.sides[rows]
        starts = np.flatnonzero(np.diff(of_row, prepend=-1))
        counts = np.diff(starts, append=len(rows))
        sides = of_row[starts]
        rank = np.arange(len(rows)) - np.repeat(starts, counts)
        side = np.repeat(np.arange(len(sides)), counts)
        hopeful = rank < self.k
        rows, rank, side = rows[hopeful], rank[hopeful], side[hopeful]
        width = min(int(counts.max()), self.k)
        new = np.full((len(sides), width), _NOTHING)
        new[side, rank] = waiting.keys[rows]
        old = self._keys[sides]
        least = np.partition(np.concatenate([old, new], axis=1), width, axis=1)[:, width]
        places = np.nonzero(old < least[:, None])[1]
        coming = new[side, rank] >= least[side]
        self._put(waiting, documents, rows[coming], places)
        self._raise_thresholds(sides, least)

    def _put(
        self,
        waiting: Candidates,
        documents: NDArray[np.int64],
        rows: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> None:
        sides = waiting.sides[rows]
        self._keys[sides, places] = waiting.keys[rows]
        self._documents[sides, places] = documents[rows]
        self._traces[sides, places] = waiting.traces[rows]
        self._exponents[sides, places] = waiting.exponents[rows]

    def _raise_thresholds(self, sides: NDArray[np.int64], least: NDArray[np.int64]) -> None:
        keys = np.maximum(least, 0)
        peaks = np.maximum(peaks_of(keys), _SMALLEST_PEAK)
        self.weakest[sides] = np.where(keys > 0, spans_of(keys), _SPAN_MASK)
        self.reaching[sides], self.beating[sides] = _rounded_to(peaks)


def _room_for(rows: int, seq_len: int) -> Candidates:
    return Candidates(
        np.empty(rows, dtype=np.int64),
        np.empty(rows, dtype=np.int64),
        np.empty((rows, seq_len), dtype=np.float16),
        np.empty(rows, dtype=np.int8),
    )


def spans_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Span numbers of keys above 0."""
    return _SPAN_MASK - (keys & _SPAN_MASK)


def peaks_of(keys: NDArray[np.int64]) -> Floats:
    """Peaks of keys, on the polarity's side, rounded as the traces are."""
    return (keys >> _SPAN_BITS).astype(np.int32).view(np.float32)


def _rounded_to(peaks: Floats) -> tuple[Floats, Floats]:
    """The smallest float32 that may be rounded to each peak, and the smallest that may be rounded to more."""
    plain = peaks < LARGEST
    halves = np.where(plain, peaks, 1).astype(np.float16)
    below, above = (
        np.nextafter(halves, np.float16(end)).astype(np.float32) for end in (-np.inf, np.inf)
    )
    # Halfway to its neighbours; peaks that are stored with an exponent are left to the exact comparison.
    coarse = peaks * np.float32(1 - 2**-10)
    reaching = np.where(plain, (peaks + below) / 2, coarse)
    beating = np.where(plain, (peaks + above) / 2, coarse)
    return np.maximum(reaching, _SMALLEST_PEAK), np.maximum(beating, _SMALLEST_PEAK)


def _in_order(waiting: Candidates) -> NDArray[np.int64]:
    """Rows by side, the largest key of each first."""
    rows = np.argsort(-waiting.keys)
    sides = waiting.sides[rows]
    # Numbers of 16 bits are sorted by their digits, in a fraction of the time.
    small = sides.astype(np.uint16) if sides.max() < 1 << 16 else sides
    return rows[small.argsort(kind="stable")]


def _first_of_document(sides: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ordered rows are the first of their side and document."""
    pair = sides << _SPAN_BITS | documents
    order = pair.argsort(kind="stable")
    first = np.empty(len(pair), dtype=bool)
    first[order] = np.diff(pair[order], prepend=-1) != 0
    return first
