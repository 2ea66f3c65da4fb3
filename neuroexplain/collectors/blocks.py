"""Kept spans as blocks of exemplars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.plan import Numbers, SplitSample
from neuroexplain.collectors.topk import Arrays, peaks_of, spans_of
from neuroexplain.collectors.traces import unpack
from neuroexplain.recorded import ExemplarBlock
from neuroexplain.records import POLARITIES, Floats, Kind, Split

Traces = tuple[NDArray[np.float16], NDArray[np.int8]]
"""[span, neuron, token], and the exponents [span, neuron]."""


def top_blocks(top: Arrays, split: Split, first: int) -> list[ExemplarBlock]:
    """The strongest spans of both polarities, strongest first.

    Args:
        top: state of `TopSpans`, which is in order.
        split: whose spans.
        first: leading tokens that count for nothing.
    """
    keys = np.maximum(top["keys"].astype(np.int64), 0)
    traces, exponents = (
        top["traces"].astype(np.float16, copy=False),
        top["exponents"].astype(np.int8),
    )
    width = len(keys) // len(POLARITIES)
    blocks = []
    for place, polarity in enumerate(POLARITIES):
        side = slice(place * width, (place + 1) * width)
        positions = _ordered(traces[side, :, first:], polarity).argmax(axis=2) + first
        blocks.append(
            ExemplarBlock(
                split,
                "top",
                polarity,
                np.where(keys[side] > 0, spans_of(keys[side]), -1),
                peaks_of(keys[side]) * polarity,
                positions.astype(np.int32),
                traces[side],
                exponents[side],
                1.0,
            )
        )
    return blocks


def random_block(traces: Traces, sample: SplitSample, split: Split, first: int) -> ExemplarBlock:
    """The random spans of a split, the same for all neurons, in sampling order."""
    packed, exponents = traces[0].swapaxes(0, 1).copy(), traces[1].T.copy()
    spans = np.broadcast_to(sample.random, (len(packed), len(sample.random)))
    return _sampled("random", 0, split, spans, packed, exponents, sample.random_probability, first)


def quantile_block(
    traces: Traces, sample: SplitSample, split: Split, first: int, *, layer: int, polarity: int
) -> ExemplarBlock:
    """The spans kept of every band, highest band first; bands are cut by each neuron's own peaks in the pool.

    Args:
        traces: of the pool's spans.
        sample: of the split.
        split: its name.
        first: leading tokens that count for nothing.
        layer: number of the layer.
        polarity: whose peaks.
    """
    keys = _on_side(*traces, polarity, first).max(axis=2)
    # A stable sort on descending keys: equal peaks keep the sampling order.
    order = np.argsort(-keys, axis=0, kind="stable")
    ranks = sample.picks(layer, polarity, keys.shape[1])
    chosen = np.take_along_axis(order.T, ranks, axis=1)
    neurons = np.arange(len(chosen))[:, None]
    packed, exponents = traces[0][chosen, neurons], traces[1][chosen, neurons]
    probability = sample.quantile_probability
    return _sampled(
        "quantile", polarity, split, sample.pool[chosen], packed, exponents, probability, first
    )


def _sampled(
    kind: Kind,
    polarity: int,
    split: Split,
    spans: Numbers,
    packed: NDArray[np.float16],
    exponents: NDArray[np.int8],
    probability: float,
    first: int,
) -> ExemplarBlock:
    """A block of sampled spans; the first counted token is the peak where none is on the side."""
    positions = _on_side(packed, exponents, polarity or 1, first).argmax(axis=2) + first
    peaks = np.take_along_axis(packed, positions[:, :, None], axis=2)
    return ExemplarBlock(
        split,
        kind,
        polarity,
        spans,
        unpack(peaks, exponents)[:, :, 0],
        positions.astype(np.int32),
        packed,
        exponents,
        probability,
    )


def _on_side(
    packed: NDArray[np.float16], exponents: NDArray[np.int8], polarity: int, first: int
) -> NDArray[np.int16] | Floats:
    """Counted activations as numbers of the same order on the polarity's side, and 0 on the other."""
    if exponents.any():
        counted = unpack(packed, exponents)[..., first:] * np.float32(polarity)
        return np.asarray(np.maximum(counted, 0))
    return np.maximum(_ordered(packed[..., first:], polarity), np.int16(0))


def _ordered(halves: NDArray[np.float16], polarity: int) -> NDArray[np.int16]:
    """Float16 numbers as integers of which the largest positive one is the largest on the polarity's side.

    Integers are compared many times faster than float16 numbers.
    """
    bits = halves.view(np.int16)
    return bits if polarity > 0 else bits ^ np.int16(-0x8000)
