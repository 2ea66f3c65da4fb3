from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from neuroexplain.collectors.topk import TopSpans

TOKENS = 4


def offer(top: TopSpans, neuron: int, peaks: Sequence[float], spans: Sequence[int]) -> None:
    """Spans whose second token has the peak."""
    traces = np.zeros((len(peaks), TOKENS), dtype=np.float32)
    traces[:, 1] = peaks
    side = np.array(peaks, dtype=np.float32) * top.polarity
    up = side > 0
    top.offer(np.full(len(peaks), neuron)[up], np.array(spans)[up], side[up], traces[up])


def kept(top: TopSpans, neuron: int = 0) -> list[tuple[int, float]]:
    """(span, peak), strongest first."""
    rows = top.ranked(0)
    both = zip(rows.spans[neuron].tolist(), rows.peaks[neuron].tolist(), strict=True)
    return [(span, peak) for span, peak in both if span >= 0]


def spans_of(*documents: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(documents, dtype=np.int64)


def test_strongest_first_and_no_more_than_k() -> None:
    top = TopSpans(2, 3, TOKENS, 1, np.arange(6))
    offer(top, 0, [1.0, 5.0, 2.0, 4.0, 3.0], [0, 1, 2, 3, 4])
    offer(top, 1, [0.5], [5])
    assert kept(top) == [(1, 5.0), (3, 4.0), (4, 3.0)]
    assert kept(top, 1) == [(5, 0.5)]
    assert top.threshold[0] == 3.0
    assert 0 < top.threshold[1] < 1e-30


def test_the_earlier_of_equal_peaks_wins_in_any_order_of_arrival() -> None:
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        top = TopSpans(1, 2, TOKENS, 1, np.arange(4))
        for span in order:
            offer(top, 0, [1.5], [span])
        assert kept(top) == [(0, 1.5), (1, 1.5)]


def test_peaks_that_round_to_the_same_number_are_equal() -> None:
    top = TopSpans(1, 1, TOKENS, 1, np.arange(2))
    offer(top, 0, [1.5 + 1e-5, 1.5 - 1e-5], [1, 0])
    assert kept(top) == [(0, 1.5)]


def test_one_span_of_a_document_at_most() -> None:
    top = TopSpans(1, 2, TOKENS, 1, spans_of(0, 0, 1, 1, 2))
    offer(top, 0, [1.0], [2])
    offer(top, 0, [3.0, 2.0], [1, 0])
    assert kept(top) == [(1, 3.0), (2, 1.0)]
    offer(top, 0, [5.0], [0])
    assert kept(top) == [(0, 5.0), (2, 1.0)]
    offer(top, 0, [0.5, 4.0], [4, 3])
    assert kept(top) == [(0, 5.0), (3, 4.0)]


def test_the_lower_side_keeps_the_smallest_and_signed_traces() -> None:
    top = TopSpans(1, 2, TOKENS, -1, np.arange(3))
    offer(top, 0, [-1.0, 2.0, -3.0], [0, 1, 2])
    rows = top.ranked(0)
    assert rows.spans.tolist() == [[2, 0]]
    assert rows.peaks.tolist() == [[3.0, 1.0]]
    assert rows.positions.tolist() == [[1, 1]]
    assert rows.traces[0, 0].tolist() == [0.0, -3.0, 0.0, 0.0]


def test_leading_tokens_do_not_count() -> None:
    top = TopSpans(1, 1, TOKENS, 1, np.arange(1))
    traces = np.array([[9.0, 1.0, 2.0, 2.0]], dtype=np.float32)
    top.offer(np.array([0]), np.array([0]), np.array([2.0], np.float32), traces)
    rows = top.ranked(1)
    assert (rows.peaks.tolist(), rows.positions.tolist()) == ([[2.0]], [[2]])
    assert rows.traces[0, 0].tolist() == [9.0, 1.0, 2.0, 2.0]


def test_nothing_offered() -> None:
    top = TopSpans(3, 2, TOKENS, 1, np.arange(1))
    none = np.empty(0, np.int64)
    top.offer(none, none, np.empty(0, np.float32), np.empty((0, 2), np.float32))
    assert top.ranked(0).spans.tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize("batch", [1, 13, 400])
def test_streaming_is_exact(batch: int) -> None:
    rng = np.random.default_rng(1)
    documents = np.sort(rng.integers(0, 90, 400))
    # Few distinct values, so that ties abound.
    peaks = rng.integers(1, 30, (5, 400)).astype(np.float32)
    top = TopSpans(5, 7, TOKENS, 1, documents)
    order = rng.permutation(400)
    for at in range(0, 400, batch):
        spans = order[at : at + batch]
        for neuron in range(5):
            useful = spans[peaks[neuron, spans] >= top.threshold[neuron]]
            if len(useful):
                offer(top, neuron, peaks[neuron, useful].tolist(), useful.tolist())
    for neuron in range(5):
        expected: dict[int, tuple[int, float]] = {}
        for span in sorted(range(400), key=lambda s: (-peaks[neuron, s], s)):
            expected.setdefault(int(documents[span]), (span, float(peaks[neuron, span])))
        assert kept(top, neuron) == list(expected.values())[:7]
