"""Activations that are kept to be looked at, as int8: a third of what float16 takes.

The positive values of a row are so many steps of one size, the negative ones of another. On the row's own side 127 steps are
its strongest counted activation, so a level 0-10 is off by 0.04 at most. On the other side, which is read less, a step is no
smaller than that, and 127 of them are the strongest activation there. Random spans serve both sides: each has its own
steps. Leading tokens that count for nothing may outshine all others a hundredfold; they stay float16.

A blob is zlib of: the other side's step, little-endian float32; the steps of every token, int8; leading tokens, little-endian
float16.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue.storage import codec
from neuroexplain.records import Floats

STEPS = 127
"""From 0 to the strongest activation."""
_ZERO = np.float32(0)


@dataclass(frozen=True)
class Spans:
    """Spans of several neurons, one neuron after another; arrays are [span, ...]."""

    n: Sequence[int]
    """[neuron]; spans of each."""
    activations: NDArray[np.float16]
    """[span, token]; times `2 ** exponents`."""
    exponents: NDArray[np.int8]
    lengths: NDArray[np.int64]
    """Tokens."""
    polarity: int
    """Side that they were kept for; 0 for both."""
    first: int
    """Leading tokens of every span that count for nothing."""


def packed(spans: Spans) -> Iterator[tuple[float, bytes]]:
    """The step on the neuron's own side (the upper one where spans serve both), and the blob; of every neuron."""
    values = np.ldexp(spans.activations.astype(np.float32), spans.exponents[:, None])
    place = np.arange(values.shape[1])
    inside = place < spans.lengths[:, None]
    leading = inside[:, : spans.first]
    owner = np.repeat(np.arange(len(spans.n)), spans.n)
    upper, lower = _steps(np.where(inside & (place >= spans.first), values, 0), owner, spans)
    step = np.where(values > 0, upper[owner, None], lower[owner, None])
    codes = np.rint(np.divide(values, step, where=step > 0, out=np.zeros_like(values)))
    codes[:, : spans.first] = 0
    tokens, leaders = (
        np.bincount(owner, mask.sum(axis=1), len(spans.n)).astype(int).tolist()
        for mask in (inside, leading)
    )
    own, other = (lower, upper) if spans.polarity < 0 else (upper, lower)
    parts = zip(
        codec.cut(other.astype("<f4").tobytes(), [1] * len(spans.n), 4),
        codec.cut(codes.astype(np.int8)[inside].tobytes(), tokens, 1),
        codec.cut(spans.activations[:, : spans.first][leading].astype("<f2").tobytes(), leaders, 2),
        strict=True,
    )
    return zip(own.tolist(), map(_deflate, map(b"".join, parts)), strict=True)


def _steps(counted: Floats, owner: NDArray[np.int64], spans: Spans) -> tuple[Floats, Floats]:
    """Steps of the upper and of the lower side, [neuron]; 0 where there is nothing to step to."""
    found = np.zeros((2, len(spans.n)), np.float32)
    for side, sign in enumerate((1, -1)):
        np.maximum.at(found[side], owner, (counted * sign).max(axis=1, initial=0))
    found /= STEPS
    if spans.polarity:
        own, other = found[::1] if spans.polarity > 0 else found[::-1]
        np.maximum(own, other, out=other)
    return found[0], found[1]


def unpacked(row: Any, lengths: Sequence[int], first: int) -> Floats:
    """[token]; the activations of a row's spans, one after another. Peaks are as exact as they are stored.

    Args:
        row: has `polarity`, `unit`, `peaks`, `peak_positions`, `exponents` and `activations`.
        lengths: tokens of its spans.
        first: leading tokens of every span that count for nothing.
    """
    raw, n = codec.inflate(row.activations), np.array(lengths, np.int64)
    own, other = np.float32(row.unit), np.frombuffer(raw, "<f4", 1)[0]
    codes = np.frombuffer(raw, np.int8, sum(lengths), 4)
    values = np.multiply(codes, own, dtype=np.float32)
    if own != other:
        away = codes > 0 if row.polarity < 0 else codes < 0
        np.multiply(codes, other, out=values, where=away, dtype=np.float32)
    starts, peaks = n.cumsum() - n, codec.unhalf(row.peaks)
    exponents = codec.unfixed(row.exponents, 1) if any(row.exponents) else None
    if exponents is not None:
        peaks = np.ldexp(peaks, exponents)
    # Half a step above the peak of a span would be another peak, and 0 is above all where the side has none.
    bound = np.maximum if row.polarity < 0 else np.minimum
    over = np.minimum if row.polarity < 0 else np.maximum
    bound(values, over(np.nextafter(peaks, _ZERO), _ZERO).repeat(n), out=values)
    if first:
        places = _leading(lengths, first)
        leaders = np.frombuffer(raw, "<f2", offset=4 + len(codes)).astype(np.float32)
        if exponents is not None:
            leaders = np.ldexp(leaders, exponents.repeat(np.minimum(n, first)))
        values[places] = leaders
    values[starts + codec.unfixed(row.peak_positions, 2)] = peaks
    return values


def _leading(lengths: Sequence[int], first: int) -> list[int]:
    """Where leading tokens are among the tokens of all spans."""
    ends = accumulate(lengths)
    return [e - n + p for e, n in zip(ends, lengths, strict=True) for p in range(min(first, n))]


def _deflate(packed: bytes) -> bytes:
    # Levels of activations hardly ever repeat: looking for repetitions makes the blobs a twentieth larger.
    made = zlib.compressobj(6, strategy=zlib.Z_FILTERED)
    return made.compress(packed) + made.flush()
