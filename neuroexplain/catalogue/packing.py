"""Exemplars of a neuron as the blobs of one row, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue import codec
from neuroexplain.recorded import ExemplarBlock
from neuroexplain.records import Exemplar, Floats, Kind, Split, TokenSpan

COLUMNS = ("n", "spans", "peaks", "peak_positions", "exponents", "activations")
"""Of a row, in the order in which `packed` gives them."""


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
    n = kept.sum(axis=1).tolist()
    positions = block.peak_positions[some][kept]
    activations = block.activations[some][kept].astype("<f2", copy=False)
    inside = np.arange(activations.shape[1]) < lengths[some][kept][:, None]
    # The stored peak is the stored activation, so that the two always agree.
    peaks = activations[np.arange(len(positions)), positions].view("<u2")
    tokens = np.where(kept, lengths[some], 0).sum(axis=1)
    return zip(
        n,
        codec.cut(codec.fixed(block.spans[some][kept], 4), n, 4),
        codec.cut(codec.fixed(peaks, 2), n, 2),
        codec.cut(codec.fixed(positions, 2), n, 2),
        codec.cut(codec.fixed(block.exponents[some][kept], 1), n, 1),
        map(codec.deflate, codec.cut(activations[inside].tobytes(), tokens.tolist(), 2)),
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
        row: has `polarity`, `peak_positions`, `exponents` and `activations`.
        spans: of the row, in order.
        split: of the spans.
        kind: of the exemplars.
        polarity: the side that is asked for; a row of polarity 0 serves both.
        probability: of inclusion.
    """
    lengths = [len(span.token_ids) for span in spans]
    values, exponents = codec.unhalves(row.activations), codec.unfixed(row.exponents, 1)
    if exponents.any():
        values = np.ldexp(values, np.repeat(exponents, lengths))
    pieces = codec.split(values, lengths)
    if row.polarity:
        positions = codec.unfixed(row.peak_positions, 2).tolist()
    else:  # where they peak depends on the side
        positions = [_peak(p, s.first, polarity) for p, s in zip(pieces, spans, strict=True)]
    return [
        Exemplar(
            span=span,
            activations=piece,
            split=split,
            kind=kind,
            rank=rank,
            peak=float(piece[position]),
            peak_position=position,
            inclusion_probability=probability,
        )
        for rank, (span, piece, position) in enumerate(zip(spans, pieces, positions, strict=True))
    ]


def _peak(activations: Floats, first: int, polarity: int) -> int:
    counted = activations[first:]
    return first + int(counted.argmax() if polarity > 0 else counted.argmin())
