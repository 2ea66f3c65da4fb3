"""What the activations of short texts come down to, and running moments of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.recorded import NgramMoments

if TYPE_CHECKING:
    from torch import Tensor

    from neuroexplain.subjects import LayerActivations


@dataclass(frozen=True)
class Responses:
    """Activations of the counted tokens of texts of equal length; all [text, neuron], float32."""

    mean: Tensor
    highest: Tensor
    lowest: Tensor
    over: Tensor
    """Whether a token that does not count has a larger activation than all that do, as 0 or 1."""
    under: Tensor
    """The same for a smaller one."""

    @property
    def finite(self) -> bool:
        """Whether no activation is NaN or infinite."""
        # Of sums over texts few numbers are left to be looked at.
        return bool((self.highest.sum(0) + self.lowest.sum(0)).isfinite().all())


def respond(seen: LayerActivations, first: int) -> Responses:
    """Bring the tokens of every text down to one number, in both ways.

    Args:
        seen: one layer.
        first: leading tokens that count for nothing, beside the special ones.
    """
    import torch

    start, stop = seen.content.start + first, seen.content.stop
    counted = seen.neurons[:, start:stop].float()
    highest, lowest = counted.amax(1), counted.amin(1)
    outside = [*range(start), *range(stop, seen.neurons.shape[1])]
    over, under = torch.zeros_like(highest), torch.zeros_like(highest)
    if outside:
        others = seen.neurons[:, outside].float()
        torch.gt(others.amax(1), highest, out=over)
        torch.lt(others.amin(1), lowest, out=under)
    return Responses(counted.mean(1), highest, lowest, over, under)


class RunningMoments:
    """Moments of the responses of a layer's neurons, batch by batch.

    Within a batch, deviations from the batch's own mean are squared and summed in float32; batches are put together in
    float64 (Chan, Golub and LeVeque 1979), so that neither a large mean nor many n-grams cost precision.
    """

    def __init__(self, width: int) -> None:
        self.n = 0
        self._means = np.zeros((3, width))
        self._squares = np.zeros((3, width))
        self._excluded = np.zeros((2, width), dtype=np.int64)

    def add(self, responses: Responses) -> None:
        """Take in a batch."""
        ones = responses.mean.new_ones(1, len(responses.mean))
        more = ones.shape[1]
        total = self.n + more
        three = (responses.mean, responses.highest, responses.lowest)
        for mean, squares, values in zip(self._means, self._squares, three, strict=True):
            # Sums over texts as matrix products, several times faster than reductions.
            own = (ones @ values) / more
            off = values - own
            spread = ones @ off.mul_(off)
            away = own[0].double().cpu().numpy() - mean
            mean += away * (more / total)
            squares += spread[0].double().cpu().numpy() + away**2 * (self.n * more / total)
        for excluded, which in zip(self._excluded, (responses.over, responses.under), strict=True):
            excluded += (ones @ which)[0].long().cpu().numpy()
        self.n = total

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The state."""
        return {
            "n": np.array(self.n),
            "moment_means": self._means,
            "moment_squares": self._squares,
            "excluded": self._excluded,
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over a state that `arrays` gave."""
        self.n = int(arrays["n"])
        self._means[:], self._squares[:] = arrays["moment_means"], arrays["moment_squares"]
        self._excluded[:] = arrays["excluded"]


def moments_of(arrays: Mapping[str, NDArray[np.generic]]) -> NgramMoments:
    """A saved state as a record; population standard deviations."""
    n = int(arrays["n"])
    means = arrays["moment_means"].astype(np.float64)
    stds = np.sqrt(arrays["moment_squares"].astype(np.float64) / max(n, 1))
    pairs = [array for pair in zip(means, stds, strict=True) for array in pair]
    return NgramMoments(n, *pairs, *arrays["excluded"].astype(np.int64))
