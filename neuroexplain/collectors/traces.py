"""Activations of whole spans in float16, scaled by a power of two where they would overflow it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import Floats

LARGEST = 60_000.0
"""float16 ends at 65,504."""


def pack(traces: Floats) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
    """Traces [..., token] as float16 and the exponents [...] to multiply them by: `x = packed * 2 ** exponent`."""
    import torch

    exponents = np.zeros(traces.shape[:-1], dtype=np.int8)
    if traces.size and max(traces.max(), -traces.min()) > LARGEST:
        largest = np.abs(traces).max(axis=-1)
        exponents = np.ceil(np.log2(np.maximum(largest / LARGEST, 1.0))).astype(np.int8)
        traces = traces * np.exp2(-exponents.astype(np.float32))[..., None]
    # The same rounding as astype(np.float16), many times faster.
    return torch.from_numpy(np.ascontiguousarray(traces)).half().numpy(), exponents


def unpack(packed: NDArray[np.float16], exponents: NDArray[np.int8]) -> Floats:
    """The reverse of `pack`, but for what was rounded off."""
    import torch

    # The same as astype(np.float32), several times faster.
    values: Floats = torch.from_numpy(packed).float().numpy()
    return np.ldexp(values, exponents[..., None]) if exponents.any() else values
