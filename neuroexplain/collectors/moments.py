"""Running moments of every neuron of a layer, that lose no digits and do not depend on the order of batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.reductions import Reduced

if TYPE_CHECKING:
    from torch import Tensor

Doubles = NDArray[np.float64]

_UNITS = (2.0**20, 2.0**-20, 2.0**-60)
_ROUNDING = 2.0**-46
"""Of a variance, relative to the square of the mean: what is below it is rounding."""


class ExactSum:
    """Sums of float64 numbers, kept as integers in three units.

    Integers add up to the same whatever the order, so shards and resumed runs give the very same sums. A number may be
    as large as 2^60, and what is below 2^-60 of it is dropped; eight million numbers fit.
    """

    def __init__(self, *shape: int) -> None:
        self.digits = np.zeros((len(_UNITS), *shape), dtype=np.int64)

    def add(self, values: Doubles) -> None:
        """Add numbers, elementwise."""
        for digit, unit in zip(self.digits, _UNITS, strict=True):
            whole = np.trunc(values / unit)
            digit += whole.astype(np.int64)
            values = values - whole * unit

    @property
    def value(self) -> Doubles:
        """The sums."""
        return np.asarray(sum(d * u for d, u in zip(self.digits, _UNITS, strict=True)))


class Moments:
    """Mean, standard deviation, extremes and share of positive activations; arrays are [neuron].

    Within a span, deviations from the span's own mean are squared and summed in float32; spans are put together in
    float64 (Chan, Golub and LeVeque 1979), so that neither a large mean nor a long corpus costs precision.
    """

    def __init__(self, width: int) -> None:
        self.n_spans = 0
        self.n_tokens = np.zeros(width, dtype=np.int64)
        self.min = np.full(width, np.inf, dtype=np.float32)
        self.max = np.full(width, -np.inf, dtype=np.float32)
        self.n_positive = np.zeros(width, dtype=np.int64)
        self.peaks_excluded = np.zeros(width, dtype=np.int64)
        self.troughs_excluded = np.zeros(width, dtype=np.int64)
        self._sums = ExactSum(2, width)
        """Of the activations and of their squares."""

    def add(self, batch: Reduced, tokens: Tensor | int) -> None:
        """Add a batch.

        Args:
            batch: by span and neuron.
            tokens: counted tokens of every span and neuron, [span, neuron]; or one number for all.
        """
        import torch

        assert batch.sums is not None and batch.deviations is not None
        assert batch.positive is not None
        sums = batch.sums.double()
        counts = tokens.double().clamp(min=1) if isinstance(tokens, torch.Tensor) else tokens
        squares = batch.deviations.double() + sums.square() / counts
        self._sums.add(torch.stack([sums.sum(0), squares.sum(0)]).cpu().numpy())
        self.n_positive += batch.positive.sum(0).long().cpu().numpy()
        if isinstance(tokens, torch.Tensor):
            self.n_tokens += tokens.sum(0).long().cpu().numpy()
        else:
            self.n_tokens += tokens * len(sums)
        self.n_spans += len(sums)
        np.maximum(self.max, batch.highest.amax(0).cpu().numpy(), out=self.max)
        np.minimum(self.min, batch.lowest.amin(0).cpu().numpy(), out=self.min)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The state."""
        return {
            "n_spans": np.array(self.n_spans),
            "n_tokens": self.n_tokens,
            "min": self.min,
            "max": self.max,
            "n_positive": self.n_positive,
            "peaks_excluded": self.peaks_excluded,
            "troughs_excluded": self.troughs_excluded,
            "digits": self._sums.digits,
        }

    def merge(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Add another state of the same layer; to a new one, that is to restore it."""
        self.n_spans += int(arrays["n_spans"])
        for name in ("n_tokens", "n_positive", "peaks_excluded", "troughs_excluded"):
            getattr(self, name)[...] += arrays[name]
        self._sums.digits += arrays["digits"].astype(np.int64)
        np.minimum(self.min, arrays["min"], out=self.min)
        np.maximum(self.max, arrays["max"], out=self.max)

    @property
    def mean(self) -> Doubles:
        """Mean activation; 0 where no token counted."""
        return np.asarray(self._sums.value[0] / np.maximum(self.n_tokens, 1))

    @property
    def std(self) -> Doubles:
        """Population standard deviation."""
        squares = self._sums.value[1] / np.maximum(self.n_tokens, 1)
        level = self.mean**2
        variance = squares - level
        return np.asarray(np.sqrt(np.where(variance > _ROUNDING * level, variance, 0)))

    @property
    def frac_positive(self) -> Doubles:
        """Share of tokens with an activation above 0."""
        return np.asarray(self.n_positive / np.maximum(self.n_tokens, 1))
