"""Exemplar rows: float16 comes back exactly, int8 within half a step of the peak of its side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue.collections import packing, steps
from neuroexplain.catalogue.storage import codec
from neuroexplain.recorded import ExemplarBlock
from neuroexplain.records import Exemplar, Floats, TokenSpan

HALF_STEP = 1 / 254
"""Of a side's strongest activation: 0.39 %."""
ROUNDING = 1 + 1e-5
COLUMNS = ("polarity", *packing.DISPLAY_COLUMNS)


def make_block(
    values: Sequence[Sequence[Floats]], polarity: int, first: int, exponent: int = 0
) -> tuple[ExemplarBlock, np.ndarray[Any, np.dtype[np.int64]]]:
    """A block of some neurons' spans, with the lengths of these; spans are numbered as they come."""
    ranks = max(map(len, values))
    width = max(len(span) for spans in values for span in spans)
    spans = np.full((len(values), ranks), -1, np.int64)
    lengths = np.zeros_like(spans)
    activations = np.zeros((len(values), ranks, width), np.float16)
    positions = np.zeros((len(values), ranks), np.int32)
    for neuron, own in enumerate(values):
        for rank, span in enumerate(own):
            spans[neuron, rank], lengths[neuron, rank] = 100 * neuron + rank, len(span)
            activations[neuron, rank, : len(span)] = span
            counted = np.maximum(span[first:] * (polarity or 1), 0)
            positions[neuron, rank] = first + counted.argmax()  # as collectors have it
    exponents = np.full(spans.shape, exponent, np.int8)
    block = ExemplarBlock(
        split="explain",
        kind="top" if polarity else "random",
        polarity=polarity,
        spans=spans,
        peaks=np.zeros(spans.shape, np.float32),
        peak_positions=positions,
        activations=activations,
        exponents=exponents,
        inclusion_probability=1.0,
    )
    return block, lengths


def as_row(polarity: int, columns: Iterable[object]) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(COLUMNS, (polarity, *columns), strict=True)))


def read(row: Any, lengths: Sequence[int], first: int, polarity: int) -> list[Exemplar]:
    spans = [
        TokenSpan(n, 0, 0, tuple(range(length)), ("x",) * length, first)
        for n, length in enumerate(lengths)
    ]
    return packing.unpacked(row, spans, "explain", "top", polarity, 1.0)


def round_trip(
    values: Sequence[Sequence[Floats]], polarity: int, first: int = 0, exponent: int = 0
) -> list[Any]:
    """Rows of int8, as they are written."""
    block, lengths = make_block(values, polarity, first, exponent)
    return [
        as_row(polarity, columns) for columns in packing.packed_for_display(block, lengths, first)
    ]


def halves(values: Floats, exponent: int = 0) -> Floats:
    """What float16 makes of them."""
    found: Floats = np.ldexp(values.astype(np.float16).astype(np.float32), exponent)
    return found


def gelu(random: np.random.Generator, length: int) -> Floats:
    """Activations as those of an encoder: the lower side is a twentieth of the upper one."""
    inputs = random.normal(-1, 2, length)
    found: Floats = (inputs / (1 + np.exp(-1.702 * inputs))).astype(np.float32)
    return found


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("exponent", [0, 9])
@pytest.mark.parametrize("row_polarity", [1, -1, 0])
def test_no_activation_is_off_by_more_than_half_a_step_of_its_side(
    row_polarity: int, exponent: int, first: int
) -> None:
    random = np.random.default_rng([row_polarity + 1, exponent, first])
    lengths = [[64, 7, 3, 64], [64], [5, 64, 3]]
    values = [[gelu(random, length) for length in own] for own in lengths]
    for own in values:
        for span in own:
            span[:first] = 900  # what does not count may outshine all others
    rows = round_trip(values, row_polarity, first, exponent)
    for polarity in (row_polarity,) if row_polarity else (1, -1):
        for row, own, sizes in zip(rows, values, lengths, strict=True):
            found = read(row, sizes, first, polarity)
            wanted = [halves(span, exponent) for span in own]
            counted = np.concatenate([span[first:] for span in wanted])
            most = {sign: max((counted * sign).max(), 0.0) for sign in (1, -1)}
            if row_polarity:  # the other side's steps are no smaller than those of the row's own
                most[-row_polarity] = max(most.values())
            for exemplar, exact in zip(found, wanted, strict=True):
                assert exemplar.activations.dtype == np.float32
                assert exemplar.activations[:first].tolist() == exact[:first].tolist()
                error = np.abs(exemplar.activations - exact)[first:]
                bound = np.where(exact[first:] > 0, most[1], most[-1]) * HALF_STEP * ROUNDING
                assert (error <= bound).all()


@pytest.mark.parametrize("polarity", [1, -1])
def test_peaks_are_as_exact_as_they_are_stored(polarity: int) -> None:
    """Also where another token of the span is so near that its step is the same, or the one above."""
    spans = [
        np.array([0.1, 9.0, 3.0], np.float32),
        np.array([0.5329, 0.533, 0.5328], np.float32),  # 7.52 steps: all would be 8
        np.array([0.4, 0.2, 0.4], np.float32),
        np.array([1e-6, 2e-6, 0.0], np.float32),
    ]
    for row_polarity in (polarity, *(() if polarity < 0 else (0,))):
        (row,) = round_trip([[span * polarity for span in spans]], row_polarity)
        found = read(row, [3] * 4, 0, polarity)
        assert [e.peak_position for e in found] == [1, 1, 0, 1]
        for exemplar, span in zip(found, spans, strict=True):
            assert exemplar.peak == halves(span * polarity)[exemplar.peak_position]
            assert exemplar.activations[exemplar.peak_position] == exemplar.peak
            assert (exemplar.activations * polarity).max() == exemplar.peak * polarity


def test_the_lower_side_of_random_spans_peaks_where_it_peaked() -> None:
    span = np.array([-0.5, 3.0, -1.25, -1.0, 127.0], np.float32)
    (row,) = round_trip([[span]], 0, first=1)
    (found,) = read(row, [5], 1, -1)
    assert found.peak_position == 2
    assert abs(found.peak + 1.25) <= 1.25 * HALF_STEP * ROUNDING


@pytest.mark.parametrize("polarity", [1, -1, 0])
@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("silent", [0.0, 0.0, 0.0]),
        ("on the other side alone", [-3.0, -0.5, -1.0]),
        ("on this side alone", [3.0, 0.5, 1.0]),
        ("smallest of float16", [6e-8, -6e-8, 0.0]),
        ("largest of float16", [65504.0, -65504.0, 1.0]),
    ],
)
def test_rows_at_the_ends_of_the_range(polarity: int, what: str, values: list[float]) -> None:
    span = np.array(values, np.float32) * (polarity or 1)
    (row,) = round_trip([[span, span]], polarity)
    found = read(row, [3, 3], 0, polarity or 1)
    most = np.abs(span).max()
    for exemplar in found:
        assert np.isfinite(exemplar.activations).all(), what
        error = np.abs(exemplar.activations - halves(span))
        assert error.max() <= most * HALF_STEP * ROUNDING, what
        assert (np.sign(exemplar.activations) * np.sign(span) >= 0).all(), what


def test_neurons_without_spans_have_rows_of_none() -> None:
    values = [[np.ones(4, np.float32)], [], [np.full(2, -2.0, np.float32)]]
    rows = round_trip(values, 1, first=1)
    assert [row.n for row in rows] == [1, 0, 1]
    assert read(rows[1], [], 1, 1) == []
    assert read(rows[2], [2], 1, 1)[0].activations.tolist() == [-2.0, -2.0]


def test_some_of_the_neurons_are_packed_as_all_are() -> None:
    random = np.random.default_rng(3)
    values = [[gelu(random, 9), gelu(random, 6)] for _ in range(5)]
    block, lengths = make_block(values, -1, 1)
    every = list(packing.packed_for_display(block, lengths, 1))
    assert every[1:4] == list(packing.packed_for_display(block, lengths, 1, slice(1, 4)))


@pytest.mark.parametrize("polarity", [1, -1, 0])
def test_float16_comes_back_exactly(polarity: int) -> None:
    """What is scored, and every row of catalogues that older versions wrote."""
    random = np.random.default_rng(4)
    values = [[gelu(random, 9), gelu(random, 64)], [gelu(random, 3)]]
    block, lengths = make_block(values, polarity, 1, exponent=5)
    for columns, own in zip(packing.packed(block, lengths), values, strict=True):
        row = as_row(polarity, (*columns, None))
        for side in (polarity,) if polarity else (1, -1):
            found = read(row, [len(span) for span in own], 1, side)
            for exemplar, span in zip(found, own, strict=True):
                exact = halves(span, 5)
                assert exemplar.activations.tolist() == exact.tolist()
                assert exemplar.peak == (exact[1:] * side).max() * side


def test_int8_takes_half_of_what_float16_takes() -> None:
    random = np.random.default_rng(5)
    values = [[gelu(random, 64) for _ in range(20)] for _ in range(8)]
    block, lengths = make_block(values, 1, 0)
    sizes = [
        [sum(len(c) for c in row if isinstance(c, bytes)) - 9 * 20 for row in rows]
        for rows in (
            packing.packed(block, lengths),
            packing.packed_for_display(block, lengths, 0),
        )
    ]
    exact, shown = map(sum, sizes)
    assert shown < exact / 2
    assert shown / len(values) + 9 * 20 < 1024, "bytes of 20 spans of 64 tokens, on average"


def test_steps_of_a_blob_are_what_its_description_says() -> None:
    span = np.array([300.0, 127.0, -63.5, 0.4, -0.2], np.float32)
    (row,) = round_trip([[span]], 1, first=1)
    raw = codec.inflate(row.activations)
    assert row.unit == 1.0
    assert np.frombuffer(raw, "<f4", 1).tolist() == [1.0]
    assert np.frombuffer(raw, np.int8, 5, 4).tolist() == [0, 127, -64, 0, 0]
    assert np.frombuffer(raw, "<f2", offset=9).tolist() == [300.0]
    assert steps.unpacked(row, [5], 1).tolist() == [300.0, 127.0, -64.0, 0.0, 0.0]
