"""Activations of whole spans in float16, scaled by a power of two where they would overflow it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import Floats

_LARGEST = 60_000.0
"""float16 ends at 65,504."""
_DROPPED_BITS = 13
"""float32 has 23 bits of mantissa, float16 has 10."""


def pack(traces: Floats) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
    """Traces [..., token] as float16 and the exponents [...] to multiply them by: `x = packed * 2 ** exponent`."""
    import torch

    exponents = np.zeros(traces.shape[:-1], dtype=np.int8)
    if traces.size and max(traces.max(), -traces.min()) > _LARGEST:
        largest = np.abs(traces).max(axis=-1)
        exponents = np.ceil(np.log2(np.maximum(largest / _LARGEST, 1.0))).astype(np.int8)
        traces = traces * np.exp2(-exponents.astype(np.float32))[..., None]
    # The same rounding as astype(np.float16), many times faster.
    return torch.from_numpy(np.ascontiguousarray(traces)).half().numpy(), exponents


def rounded_bits(values: Floats) -> NDArray[np.int32]:
    """Positive float32 values, rounded to float16's 11 significant bits, as integers of the same order.

    The same text in a batch of another shape gives activations that differ by a few millionths. Ranks are taken
    over these rounded values, with corpus position to decide between equals, so that such noise does not order them.
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32)
    half = np.int32(1 << (_DROPPED_BITS - 1))
    return (bits + half) & ~np.int32((1 << _DROPPED_BITS) - 1)


def from_bits(bits: NDArray[np.int32]) -> Floats:
    """The values behind `rounded_bits`."""
    return np.ascontiguousarray(bits, dtype=np.int32).view(np.float32)
