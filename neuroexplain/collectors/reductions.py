"""What a batch of activations comes down to per span and neuron: extremes, sums, spread.

A pass must cost little beside the model. On a processor a few spans at a time go through all reductions while they are
in its cache, and sums over tokens are matrix products with ones, several times faster than reductions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_IN_CACHE = 600_000
"""Activations of a block: these and as much scratch space fit into a processor core's own cache."""


@dataclass(frozen=True)
class Reduced:
    """A batch by span and neuron; all [span, neuron], float32 or better."""

    highest: Tensor
    lowest: Tensor
    sums: Tensor | None = None
    """Of the activations; None where only extremes were asked for."""
    deviations: Tensor | None = None
    """Of the squared differences from the span's mean."""
    positive: Tensor | None = None
    """Tokens above 0."""


def extremes(counted: Tensor) -> Reduced:
    """Largest and smallest activations of [span, token, neuron]."""
    return Reduced(counted.amax(1).float(), counted.amin(1).float())


def reduce(counted: Tensor) -> Reduced:
    """All reductions of [span, token, neuron]."""
    return _reduce_in_cache(counted) if counted.device.type == "cpu" else reduce_whole(counted)


def reduce_whole(counted: Tensor) -> Reduced:
    """All reductions, each of the whole batch: on an accelerator, where memory traffic is what counts.

    Nothing as large as the batch is written, but for one byte per activation.
    """
    import torch

    tokens = counted.shape[1]
    lowest, highest = torch.aminmax(counted, dim=1)
    sums = counted.sum(1, dtype=torch.float32)
    squares = torch.linalg.vector_norm(counted, dim=1, dtype=torch.float32).double().square()
    deviations = (squares - sums.double().square() / tokens).clamp(min=0)
    positive = (counted > 0).sum(1)
    return Reduced(highest.float(), lowest.float(), sums, deviations, positive)


def _reduce_in_cache(counted: Tensor) -> Reduced:
    """All reductions, a few spans at a time."""
    import torch

    spans, tokens, width = counted.shape
    step = max(1, _IN_CACHE // (tokens * width))
    highest, lowest, sums, deviations, positive = torch.empty(
        (5, spans, width), dtype=torch.float32, device=counted.device
    )
    ones = highest.new_ones((1, 1, tokens)).expand(step, 1, tokens)
    scratch = highest.new_empty((step, tokens, width))
    for start in range(0, spans, step):
        rows = slice(start, start + step)
        # A model's own dtype may be too coarse to be added up in.
        block = counted[rows].float()
        n = len(block)
        work, one = scratch[:n], ones[:n]
        torch.amax(block, 1, out=highest[rows])
        torch.amin(block, 1, out=lowest[rows])
        total = torch.bmm(one, block)
        sums[rows] = total[:, 0]
        torch.sub(block, total.div_(tokens), out=work)
        deviations[rows] = torch.bmm(one, work.mul_(work))[:, 0]
        positive[rows] = torch.bmm(one, torch.gt(block, 0, out=work))[:, 0]
    return Reduced(highest, lowest, sums, deviations, positive)


def reduce_routed(counted: Tensor, routed: Tensor) -> tuple[Reduced, Tensor]:
    """The same over the tokens that each neuron's expert computed, and their number, [span, neuron].

    Args:
        counted: [span, token, neuron]; 0 where a token was not routed.
        routed: [span, token, expert], bool.
    """
    import torch

    on = routed.repeat_interleave(counted.shape[2] // routed.shape[2], dim=2)
    values = counted.float()
    tokens = on.sum(1).float()
    sums = values.sum(1)
    deviations = (values - (sums / tokens.clamp(min=1)).unsqueeze(1)).mul(on).square().sum(1)
    highest = values.masked_fill(~on, -torch.inf).amax(1)
    lowest = values.masked_fill(~on, torch.inf).amin(1)
    return Reduced(highest, lowest, sums, deviations, (values > 0).sum(1).float()), tokens
