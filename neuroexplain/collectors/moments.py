"""Running moments of every neuron of a layer, in a form that does not lose digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Moments:
    """Mean, standard deviation, extremes and share of positive activations, [neuron].

    Batches are reduced in float32 around their own mean and combined in float64 (Chan, Golub and LeVeque 1979), so
    that neither a large mean nor a long corpus costs precision.
    """

    def __init__(self, n_neurons: int) -> None:
        self.n_tokens = 0
        self.n_spans = 0
        self.mean = np.zeros(n_neurons)
        self._squares = np.zeros(n_neurons)
        self._positive = np.zeros(n_neurons, dtype=np.int64)
        self.min = np.full(n_neurons, np.inf, dtype=np.float32)
        self.max = np.full(n_neurons, -np.inf, dtype=np.float32)
        self.peaks_excluded = np.zeros(n_neurons, dtype=np.int64)
        self.troughs_excluded = np.zeros(n_neurons, dtype=np.int64)

    def update(self, counted: Tensor, highest: Tensor, lowest: Tensor) -> None:
        """Add a batch.

        Args:
            counted: [span, token, neuron], float32; tokens that count.
            highest: [span, neuron]; largest activation of every span.
            lowest: the same for the smallest.
        """
        import torch

        n = counted.shape[0] * counted.shape[1]
        variance, mean = torch.var_mean(counted, dim=(0, 1), correction=0)
        batch_mean = mean.cpu().numpy().astype(np.float64)
        delta = batch_mean - self.mean
        total = self.n_tokens + n
        self._squares += variance.cpu().numpy().astype(np.float64) * n
        self._squares += delta**2 * (self.n_tokens * n / total)
        self.mean += delta * (n / total)
        self._positive += torch.count_nonzero(counted > 0, dim=(0, 1)).cpu().numpy()
        self.max = np.maximum(self.max, highest.amax(0).cpu().numpy())
        self.min = np.minimum(self.min, lowest.amin(0).cpu().numpy())
        self.n_tokens = total
        self.n_spans += counted.shape[0]

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation."""
        return np.sqrt(self._squares / max(self.n_tokens, 1))

    @property
    def frac_positive(self) -> NDArray[np.float64]:
        """Share of tokens with an activation above 0."""
        return self._positive / max(self.n_tokens, 1)
