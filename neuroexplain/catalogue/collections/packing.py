"""Exemplars of a neuron as the blobs of one row, and back: float16 where they are scored, int8 where they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue.collections import steps
from neuroexplain.catalogue.storage import codec
from neuroexplain.recorded import ExemplarBlock
from neuroexplain.records import Exemplar, Floats, Kind, Split, TokenSpan

COLUMNS = ("n", "spans", "peaks", "peak_positions", "exponents", "activations")
"""Of a row, in the order in which `packed` gives them."""
DISPLAY_COLUMNS = (*COLUMNS, "unit")
"""The same of `packed_for_display`."""


def packed(
    block: ExemplarBlock, lengths: NDArray[np.int64], some: slice = slice(None)
) -> Iterator[tuple[object, ...]]:
    """The columns of some neurons' exemplars, packed together and then cut.

    Args:
        block: the exemplars.
        lengths: [neuron, rank]; tokens of their spans; anything where there is none.
        some: of the neurons.
    """
    kept = block.spans[some] >= 0
    activations = block.activations[some][kept].astype("<f2", copy=False)
    inside = np.arange(activations.shape[1]) < lengths[some][kept][:, None]
    tokens = np.where(kept, lengths[some], 0).sum(axis=1)
    blobs = map(codec.deflate, codec.cut(activations[inside].tobytes(), tokens.tolist(), 2))
    for columns, blob in zip(_places(block, kept, some), blobs, strict=True):
        yield *columns, blob


def packed_for_display(
    block: ExemplarBlock, lengths: NDArray[np.int64], first: int, some: slice = slice(None)
) -> Iterator[tuple[object, ...]]:
    """As `packed`, with activations as `steps` has them, and the unit behind.

    Args:
        block: the exemplars.
        lengths: [neuron, rank]; tokens of their spans; anything where there is none.
        first: leading tokens of every span that count for nothing.
        some: of the neurons.
    """
    kept = block.spans[some] >= 0
    spans = steps.Spans(
        n=kept.sum(axis=1).tolist(),
        activations=block.activations[some][kept],
        exponents=block.exponents[some][kept],
        lengths=lengths[some][kept],
        polarity=block.polarity,
        first=first,
    )
    for columns, (unit, blob) in zip(_places(block, kept, some), steps.packed(spans), strict=True):
        yield *columns, blob, unit


def _places(
    block: ExemplarBlock, kept: NDArray[np.bool_], some: slice
) -> Iterator[tuple[object, ...]]:
    """All columns but the activations."""
    n = kept.sum(axis=1).tolist()
    positions = block.peak_positions[some][kept]
    activations = block.activations[some][kept].astype("<f2", copy=False)
    # The stored peak is the stored activation, so that the two always agree.
    peaks = activations[np.arange(len(positions)), positions].view("<u2")
    return zip(
        n,
        codec.cut(codec.fixed(block.spans[some][kept], 4), n, 4),
        codec.cut(codec.fixed(peaks, 2), n, 2),
        codec.cut(codec.fixed(positions, 2), n, 2),
        codec.cut(codec.fixed(block.exponents[some][kept], 1), n, 1),
        strict=True,
    )


def unpacked(
    row: Any,
    spans: Sequence[TokenSpan],
    split: Split,
    kind: Kind,
    polarity: int,
    probability: float,
) -> list[Exemplar]:
    """The exemplars of a row.

    Args:
        row: as `activations` takes it.
        spans: of the row, in order.
        split: of the spans.
        kind: of the exemplars.
        polarity: the side that is asked for; a row of polarity 0 serves both.
        probability: of inclusion.
    """
    lengths = [len(span.token_ids) for span in spans]
    found = activations(row, lengths, spans[0].first if spans else 0, polarity)
    return [
        Exemplar(
            span=span,
            activations=values,
            split=split,
            kind=kind,
            rank=rank,
            peak=float(values[position]),
            peak_position=position,
            inclusion_probability=probability,
        )
        for rank, (span, (values, position)) in enumerate(zip(spans, found, strict=True))
    ]


def activations(
    row: Any, lengths: Sequence[int], first: int, polarity: int
) -> list[tuple[Floats, int]]:
    """The activations [token] of every span of a row, and the place of the peak.

    Args:
        row: has `polarity`, `peak_positions`, `exponents`, `activations`, and `unit`; where that is not None, `peaks` too.
        lengths: tokens of its spans, in order.
        first: leading tokens of every span that count for nothing.
        polarity: the side that is asked for; a row of polarity 0 serves both.
    """
    values = _halves(row, lengths) if row.unit is None else steps.unpacked(row, lengths, first)
    pieces = codec.split(values, lengths)
    if row.polarity:
        positions = codec.unfixed(row.peak_positions, 2).tolist()
    else:  # where they peak depends on the side
        positions = [_peak(piece, first, polarity) for piece in pieces]
    return list(zip(pieces, positions, strict=True))


def _halves(row: Any, lengths: Sequence[int]) -> Floats:
    values, exponents = codec.unhalves(row.activations), codec.unfixed(row.exponents, 1)
    return np.ldexp(values, np.repeat(exponents, lengths)) if exponents.any() else values


def _peak(activations: Floats, first: int, polarity: int) -> int:
    counted = activations[first:]
    return first + int(counted.argmax() if polarity > 0 else counted.argmin())
