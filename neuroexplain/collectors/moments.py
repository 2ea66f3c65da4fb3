"""Running moments of every neuron of a layer, in a form that does not lose digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Moments:
    """Mean, standard deviation, extremes and share of positive activations, [neuron].

    Activations are taken relative to the first batch's mean before they are squared, and what float32 sums up within
    a span is added up in float64, so that neither a large mean nor a long corpus costs precision. Sums over tokens are
    matrix products with ones: several times faster than reductions, and a pass must cost little beside the model.
    """

    def __init__(self, n_neurons: int) -> None:
        self.n_tokens = 0
        self.n_spans = 0
        self.min = np.full(n_neurons, np.inf, dtype=np.float32)
        self.max = np.full(n_neurons, -np.inf, dtype=np.float32)
        self.peaks_excluded = np.zeros(n_neurons, dtype=np.int64)
        self.troughs_excluded = np.zeros(n_neurons, dtype=np.int64)
        self._centre: Tensor | None = None
        self._sums = np.zeros((3, n_neurons))
        """Of x - centre, of its square, and of x > 0."""

    def update(self, counted: Tensor, highest: Tensor, lowest: Tensor) -> None:
        """Add a batch.

        Args:
            counted: [span, token, neuron], float32; tokens that count.
            highest: [span, neuron]; largest activation of every span.
            lowest: the same for the smallest.
        """
        import torch

        if self._centre is None:
            self._centre = counted.mean((0, 1))
        spans, tokens, _ = counted.shape
        ones = counted.new_ones((1, 1, tokens)).expand(spans, 1, tokens)
        work = counted - self._centre
        first = torch.bmm(ones, work)
        second = torch.bmm(ones, work.square_())
        positive = torch.bmm(ones, torch.gt(counted, 0, out=work))
        sums = torch.stack([first, second, positive])
        self._sums += sums.double().sum((1, 2)).cpu().numpy()
        self.max = np.maximum(self.max, highest.amax(0).cpu().numpy())
        self.min = np.minimum(self.min, lowest.amin(0).cpu().numpy())
        self.n_tokens += spans * tokens
        self.n_spans += spans

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean activation."""
        centre = 0.0 if self._centre is None else self._centre.double().cpu().numpy()
        return np.asarray(centre + self._sums[0] / max(self.n_tokens, 1))

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation."""
        n = max(self.n_tokens, 1)
        variance = self._sums[1] / n - (self._sums[0] / n) ** 2
        return np.asarray(np.sqrt(variance.clip(min=0)))

    @property
    def frac_positive(self) -> NDArray[np.float64]:
        """Share of tokens with an activation above 0."""
        return np.asarray(self._sums[2] / max(self.n_tokens, 1))
