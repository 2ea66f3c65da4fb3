"""What is sampled of one layer, on disk until the collection is put together.

Sampled spans are kept for all neurons, so they would be most of a collector's memory. Every slot has its place in the
files, so that a batch that is run again after an interruption writes the same bytes to the same place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.traces import pack
from neuroexplain.records import Floats

if TYPE_CHECKING:
    from torch import Tensor


class Spool:
    """The files of one layer.

    Args:
        folder: where they are.
        layer: number of the layer.
        width: its neurons.
        seq_len: longest span, in tokens.
    """

    def __init__(self, folder: Path, layer: int, width: int, seq_len: int) -> None:
        self._width = width
        self._seq_len = seq_len
        self._paths = [
            folder / f"{name}-{layer:04d}" for name in ("spans.f16", "spans.exp", "tokens.f32")
        ]
        self._files: list[int] = []

    def open(self) -> None:
        """Get ready to write; what is there already stays."""
        self._files = [os.open(p, os.O_RDWR | os.O_CREAT, 0o644) for p in self._paths]

    def close(self) -> None:
        """Close the files; to be opened again for more."""
        while self._files:
            os.close(self._files.pop())

    def sync(self) -> None:
        """Wait until all is on the disk."""
        for file in self._files:
            os.fsync(file)

    def write_spans(self, slot: int, activations: Tensor) -> None:
        """Put spans into consecutive slots; activations are [span, token, neuron]."""
        n, tokens, _ = activations.shape
        traces = np.zeros((n, self._width, self._seq_len), dtype=np.float32)
        traces[:, :, :tokens] = activations.transpose(1, 2).float().cpu().numpy()
        packed, exponents = pack(traces)
        _write(self._files[0], slot, packed)
        _write(self._files[1], slot, exponents)

    def write_tokens(self, slot: int, activations: Tensor) -> None:
        """Put tokens into consecutive slots; activations are [token, neuron]."""
        _write(self._files[2], slot, activations.float().cpu().numpy())

    def read_spans(self, n: int) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
        """The first `n` slots: traces [span, neuron, token], zeros beyond a span's end, and their exponents."""
        shape = (n, self._width, self._seq_len)
        packed = np.fromfile(self._paths[0], np.float16, n * self._width * self._seq_len)
        exponents = np.fromfile(self._paths[1], np.int8, n * self._width)
        return packed.reshape(shape), exponents.reshape(shape[:2])

    def read_tokens(self, n: int) -> Floats:
        """The first `n` slots, [token, neuron]."""
        values = np.fromfile(self._paths[2], np.float32, n * self._width)
        return values.reshape(n, self._width)


def _write(file: int, slot: int, rows: NDArray[np.generic]) -> None:
    """Write rows of equal size to the place of a slot."""
    data = np.ascontiguousarray(rows).data.cast("B")
    place = slot * (len(data) // max(len(rows), 1))
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written
