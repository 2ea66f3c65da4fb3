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
    top.offer(np.full(len(peaks), neuron), np.array(spans), traces, 0)


def kept(top: TopSpans, neuron: int = 0) -> list[tuple[int, float]]:
    """(span, peak), strongest first."""
    rows = top.kept()
    mine = rows.neuron == neuron
    return list(zip(rows.span[mine].tolist(), rows.peak[mine].tolist(), strict=True))


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
            top.merge()
        assert kept(top) == [(0, 1.5), (1, 1.5)]


def test_peaks_that_round_to_the_same_number_are_equal() -> None:
    top = TopSpans(1, 1, TOKENS, 1, np.arange(2))
    offer(top, 0, [1.5 + 1e-5, 1.5 - 1e-5], [1, 0])
    assert kept(top) == [(0, 1.5)]


def test_one_span_of_a_document_across_merges() -> None:
    top = TopSpans(1, 2, TOKENS, 1, spans_of(0, 0, 1, 1, 2))
    offer(top, 0, [1.0], [2])
    top.merge()
    offer(top, 0, [3.0, 2.0], [1, 0])
    top.merge()
    assert kept(top) == [(1, 3.0), (2, 1.0)]
    offer(top, 0, [5.0], [0])
    top.merge()
    assert kept(top) == [(0, 5.0), (2, 1.0)]
    offer(top, 0, [0.5, 4.0], [4, 3])
    assert kept(top) == [(0, 5.0), (3, 4.0)]


def test_the_lower_side_keeps_the_smallest_and_signed_traces() -> None:
    top = TopSpans(1, 2, TOKENS, -1, np.arange(3))
    offer(top, 0, [-1.0, 2.0, -3.0], [0, 1, 2])
    top.merge()
    rows = top.kept()
    assert rows.span.tolist()[:2] == [2, 0]
    assert rows.peak.tolist()[:2] == [3.0, 1.0]
    assert rows.trace[0].tolist() == [0.0, -3.0, 0.0, 0.0]


def test_leading_tokens_do_not_count() -> None:
    top = TopSpans(1, 1, TOKENS, 1, np.arange(1))
    traces = np.array([[9.0, 1.0, 2.0, 2.0]], dtype=np.float32)
    top.offer(np.array([0]), np.array([0]), traces, 1)
    rows = top.kept()
    assert (rows.peak.tolist(), rows.position.tolist()) == ([2.0], [2])
    assert rows.trace[0].tolist() == [9.0, 1.0, 2.0, 2.0]


def test_nothing_offered() -> None:
    top = TopSpans(3, 2, TOKENS, 1, np.arange(1))
    top.offer(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 2), np.float32), 0)
    assert len(top.kept()) == 0


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
