from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroexplain.collectors.blocks import top_blocks
from neuroexplain.collectors.topk import TopSpans
from neuroexplain.recorded import ExemplarBlock

TOKENS = 4
Numbers = NDArray[np.int64]


def offer(top: TopSpans, side: int, peaks: Sequence[float], spans: Sequence[int]) -> None:
    """Spans whose second token has the peak, above 0; `side` is a neuron, or its number plus the width."""
    width = len(top.reaching) // 2
    traces = np.zeros((len(peaks), TOKENS), dtype=np.float32)
    traces[:, 1] = peaks if side < width else -np.array(peaks)
    sides, numbers = np.full(len(peaks), side), np.array(spans, dtype=np.int64)
    top.offer(sides, numbers, np.array(peaks, dtype=np.float32), traces)


def blocks(top: TopSpans, first: int = 0) -> list[ExemplarBlock]:
    """The upper and the lower tails."""
    return top_blocks(top.arrays(), "explain", first)


def kept(top: TopSpans, neuron: int = 0, polarity: int = 1) -> list[tuple[int, float]]:
    """(span, peak), strongest first."""
    made = blocks(top)[0 if polarity > 0 else 1]
    both = zip(made.spans[neuron].tolist(), made.peaks[neuron].tolist(), strict=True)
    return [(span, peak) for span, peak in both if span >= 0]


def passing(top: TopSpans, side: int, peaks: NDArray[np.float32], spans: Numbers) -> Numbers:
    """Which rows the thresholds let through: the others need not be offered."""
    least = np.where(top.weakest[side] < spans, top.beating[side], top.reaching[side])
    return np.flatnonzero(peaks >= least)


def documents(*numbers: int) -> Numbers:
    """Of every span."""
    return np.array(numbers, dtype=np.int64)


def expected(peaks: Sequence[float], document: Numbers, k: int) -> list[tuple[int, float]]:
    """The k strongest, a span a document, the earlier of equal ones."""
    best: dict[int, tuple[int, float]] = {}
    for span in sorted(range(len(peaks)), key=lambda s: (-peaks[s], s)):
        best.setdefault(int(document[span]), (span, float(peaks[span])))
    return list(best.values())[:k]


def test_strongest_first_and_no_more_than_k() -> None:
    top = TopSpans(2, 3, TOKENS, np.arange(6))
    offer(top, 0, [1.0, 5.0, 2.0, 4.0, 3.0], [0, 1, 2, 3, 4])
    offer(top, 1, [0.5], [5])
    assert kept(top) == [(1, 5.0), (3, 4.0), (4, 3.0)]
    assert kept(top, 1) == [(5, 0.5)]
    assert kept(top, 0, -1) == kept(top, 1, -1) == []
    assert 2.99 < top.reaching[0] < 3 < top.beating[0] < 3.01
    assert top.weakest[0] == 4
    assert 0 < top.reaching[1] < 1e-30


def test_the_earlier_of_equal_peaks_wins_in_any_order_of_arrival() -> None:
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        top = TopSpans(1, 2, TOKENS, np.arange(4))
        for span in order:
            offer(top, 0, [1.5], [span])
        assert kept(top) == [(0, 1.5), (1, 1.5)]


def test_peaks_that_round_to_the_same_number_are_equal() -> None:
    top = TopSpans(1, 1, TOKENS, np.arange(2))
    offer(top, 0, [1.5 + 1e-5, 1.5 - 1e-5], [1, 0])
    assert kept(top) == [(0, 1.5)]


def test_one_span_of_a_document_at_most() -> None:
    top = TopSpans(1, 2, TOKENS, documents(0, 0, 1, 1, 2))
    offer(top, 0, [1.0], [2])
    offer(top, 0, [3.0, 2.0], [1, 0])
    assert kept(top) == [(1, 3.0), (2, 1.0)]
    offer(top, 0, [5.0], [0])
    assert kept(top) == [(0, 5.0), (2, 1.0)]
    offer(top, 0, [0.5, 4.0], [4, 3])
    assert kept(top) == [(0, 5.0), (3, 4.0)]


def test_the_lower_side_has_signed_peaks_and_traces() -> None:
    top = TopSpans(2, 2, TOKENS, np.arange(3))
    offer(top, 2, [1.0, 3.0], [0, 2])
    upper, lower = blocks(top)
    assert (upper.polarity, lower.polarity) == (1, -1)
    assert lower.spans.tolist() == [[2, 0], [-1, -1]]
    assert lower.peaks.tolist() == [[-3.0, -1.0], [0.0, 0.0]]
    assert lower.peak_positions[0].tolist() == [1, 1]
    assert lower.activations[0, 0].tolist() == [0.0, -3.0, 0.0, 0.0]
    assert (upper.spans == -1).all() and not upper.activations.any()


def test_leading_tokens_do_not_count() -> None:
    top = TopSpans(1, 1, TOKENS, np.arange(1))
    traces = np.array([[9.0, 1.0, 2.0, 2.0]], dtype=np.float32)
    top.offer(np.array([0]), np.array([0]), np.array([2.0], np.float32), traces)
    made = blocks(top, first=1)[0]
    assert (made.peaks.tolist(), made.peak_positions.tolist()) == ([[2.0]], [[2]])
    assert made.activations[0, 0].tolist() == [9.0, 1.0, 2.0, 2.0]


def test_peaks_beyond_float16_are_ranked_and_kept() -> None:
    top = TopSpans(1, 2, TOKENS, np.arange(4))
    offer(top, 0, [7e4, 1e30, 5.0, 3e38], [0, 1, 2, 3])
    made = blocks(top)[0]
    assert made.spans.tolist() == [[3, 1]]
    np.testing.assert_allclose(made.peaks, [[3e38, 1e30]], rtol=2**-11)
    np.testing.assert_array_equal(
        np.ldexp(made.activations[..., 1].astype(np.float64), made.exponents), made.peaks
    )


def test_what_rounds_to_nothing_is_not_kept() -> None:
    top = TopSpans(1, 2, TOKENS, np.arange(2))
    offer(top, 0, [1e-8, 1e-6], [0, 1])
    assert [span for span, _ in kept(top)] == [1]


def test_nothing_offered() -> None:
    top = TopSpans(3, 2, TOKENS, np.arange(1))
    none = np.empty(0, np.int64)
    top.offer(none, none, np.empty(0, np.float32), np.empty((0, 2), np.float32))
    assert all(made.spans.tolist() == [[-1, -1]] * 3 for made in blocks(top))


@pytest.mark.parametrize("batch", [1, 13, 400])
def test_streaming_is_exact(batch: int) -> None:
    rng = np.random.default_rng(1)
    document = np.sort(rng.integers(0, 90, 400))
    # Few distinct values, so that ties abound; the lower tails of three neurons, the upper ones of two.
    peaks = rng.integers(1, 30, (5, 400)).astype(np.float32)
    top = TopSpans(3, 7, TOKENS, document)
    order = rng.permutation(400)
    sides = [0, 2, 3, 4, 5]
    for at in range(0, 400, batch):
        spans = order[at : at + batch]
        for row, side in enumerate(sides):
            useful = spans[passing(top, side, peaks[row, spans], spans)]
            offer(top, side, peaks[row, useful].tolist(), useful.tolist())
    for row, side in enumerate(sides):
        found = kept(top, side % 3, 1 if side < 3 else -1)
        assert [(s, abs(p)) for s, p in found] == expected(peaks[row].tolist(), document, 7)


@pytest.mark.parametrize("scale", [1.0, 2e-5, 3e4, 1e6])
def test_thresholds_turn_nothing_away_that_belongs(scale: float) -> None:
    """Peaks a hair apart around every rounding: what a threshold turns away must not have been kept."""
    rng = np.random.default_rng(2)
    document = np.arange(3000)
    peaks = (scale * (1 + rng.integers(0, 40, 3000) * 2.0**-13)).astype(np.float32)
    everything, filtered = (TopSpans(1, 9, TOKENS, document) for _ in range(2))
    for at in range(0, 3000, 50):
        spans = rng.permutation(document[at : at + 50])
        offer(everything, 0, peaks[spans].tolist(), spans.tolist())
        useful = spans[passing(filtered, 0, peaks[spans], spans)]
        offer(filtered, 0, peaks[useful].tolist(), useful.tolist())
        filtered.settle()
    assert kept(filtered) == kept(everything)


def test_a_saved_state_goes_on_as_if_nothing_had_been() -> None:
    rng = np.random.default_rng(3)
    document = np.sort(rng.integers(0, 60, 300))
    peaks = rng.integers(1, 20, 300).astype(np.float32)
    whole, half = (TopSpans(1, 8, TOKENS, document) for _ in range(2))
    order = rng.permutation(300)
    offer(whole, 0, peaks[order].tolist(), order.tolist())
    offer(half, 0, peaks[order[:150]].tolist(), order[:150].tolist())
    again = TopSpans(1, 8, TOKENS, document)
    again.restore(half.arrays())
    for name in ("weakest", "reaching", "beating"):
        assert getattr(again, name)[0] == getattr(half, name)[0]
    offer(again, 0, peaks[order[150:]].tolist(), order[150:].tolist())
    assert kept(again) == kept(whole) == expected(peaks.tolist(), document, 8)


def test_shards_of_one_document_are_put_together() -> None:
    rng = np.random.default_rng(4)
    document = np.sort(rng.integers(0, 25, 200))
    peaks = rng.integers(1, 20, 200).astype(np.float32)
    shards = []
    for number in range(3):
        shard = TopSpans(1, 8, TOKENS, document)
        spans = np.arange(number, 200, 3)
        offer(shard, 0, peaks[spans].tolist(), spans.tolist())
        shards.append(shard.arrays())
    for order in ([0, 1, 2], [2, 0, 1]):
        top = TopSpans(1, 8, TOKENS, document)
        for number in order:
            top.merge(shards[number])
        assert kept(top) == expected(peaks.tolist(), document, 8)
