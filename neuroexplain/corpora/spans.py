"""Documents' tokens → spans of up to `seq_len` consecutive tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spans:
    """Spans in corpus order; arrays are [span]."""

    document: NDArray[np.int64]
    start: NDArray[np.int64]
    """First token within the document."""
    length: NDArray[np.int64]
    """Tokens."""


def cut(lengths: Sequence[int], seq_len: int, first: int) -> Spans:
    """Cut every document from its start; a last piece too short to count for anything is dropped.

    >>> cut([5, 1], seq_len=3, first=0).length.tolist()
    [3, 2]

    Args:
        lengths: [document]; tokens.
        seq_len: tokens of a span.
        first: leading tokens of a span that count for nothing; a span has at least one more, and two in all.
    """
    least = max(2, first + 1)
    rows = [
        (document, start, min(seq_len, tokens - start))
        for document, tokens in enumerate(lengths)
        for start in range(0, tokens - least + 1, seq_len)
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Spans(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())
