"""Mixtures of experts whose weights are one tensor per matrix, with the expert as its first axis.

A neuron of expert e is a component of what goes into that expert's down projection. There is no module to hook: the
calls within the experts' forward are watched for the one that multiplies by the down projection's weights, one call per
expert (eager) or one for all (grouped), and its rows are put back in their tokens' places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError

if TYPE_CHECKING:
    from torch import Tensor, nn

OnExperts = Callable[["Tensor", "Tensor"], None]
"""Called with neurons [token, expert * neuron] and routed [token, expert]."""


def experts_within(block: nn.Module) -> tuple[str, nn.Module, int, int] | None:
    """Name and module of a block's experts, how many they are and the neurons of each; None for a dense block."""
    for name, module in block.named_modules():
        down: Any = getattr(module, "down_proj", None)
        if getattr(down, "ndim", 0) == 3:
            return name, module, down.shape[0], down.shape[1 if _transposed(module) else 2]
    return None


def _transposed(experts: Any) -> bool:
    """Whether the down projections are [neuron, hidden]; else [hidden, neuron]."""
    if hasattr(experts, "is_transposed"):
        return bool(experts.is_transposed)
    # The map before has its own output, the neurons twice, on its other axis.
    return bool(experts.gate_up_proj.shape[1] == experts.down_proj.shape[2])


def expert_rows(experts: Any, indices: Sequence[int]) -> Tensor | None:
    """Weights of neurons in their experts' down projections, [neuron, hidden]; None where they are packed.

    Args:
        experts: the module.
        indices: neurons of all experts, one expert after the other.
    """
    down = experts.down_proj
    if not down.is_floating_point():
        return None
    width = down.shape[1 if _transposed(experts) else 2]
    picked = [divmod(index, width) for index in indices]
    expert, neuron = ([pair[part] for pair in picked] for part in (0, 1))
    rows: Tensor = down[expert, neuron] if _transposed(experts) else down[expert, :, neuron]
    return rows


@contextmanager
def watching(experts: nn.Module, width: int, on_experts: OnExperts) -> Iterator[None]:
    """Show the neurons of an experts module at every call of it.

    Args:
        experts: the module.
        width: neurons of one expert.
        on_experts: told after the experts have run.
    """
    original = experts.forward
    before = vars(experts).get("forward")

    def forward(*args: Any, **kwargs: Any) -> Any:
        watch = _watch(experts.down_proj, width)
        with watch:
            output = original(*args, **kwargs)
        states, *routing = (*args, *kwargs.values())
        on_experts(*_placed(experts, watch, states, routing[0] if routing else None))
        return output

    experts.forward = forward
    try:
        yield
    finally:
        del experts.forward
        if before is not None:
            experts.forward = before


def _watch(down: Any, width: int) -> Any:
    """A mode that keeps what is multiplied by the down projection: `rows`, and whether `at_once` for all experts."""
    import torch
    from torch.overrides import TorchFunctionMode

    start, size = down.data_ptr(), down.nbytes

    class Watch(TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[Tensor] = []
            self.at_once = False

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if (
                len(args) > 1
                and isinstance(args[0], torch.Tensor)
                and isinstance(args[1], torch.Tensor)
                and 0 <= args[1].data_ptr() - start < size
                and args[0].is_floating_point()
                and args[0].shape[-1] == width
            ):
                self.rows.append(args[0])
                self.at_once = args[1].dim() == 3
            return func(*args, **(kwargs or {}))

    return Watch()


def _placed(
    experts: Any, watch: Any, states: Tensor, index: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Neurons [token, expert * neuron] and routed [token, expert] from the rows that the experts computed."""
    import torch

    count, rows = experts.down_proj.shape[0], watch.rows
    if not rows:
        implementation = getattr(getattr(experts, "config", None), "_experts_implementation", None)
        raise SubjectError(
            f"{type(experts).__name__} computes its experts in a way that cannot be watched ({implementation}); "
            "set experts_implementation to eager or grouped_mm in the model's config.json"
        )
    if index is None:
        # Llama 4: every expert computes every token, with zeros where it was not chosen.
        neurons = rows[0].transpose(0, 1)
        routed = states.view(count, -1, states.shape[-1]).any(-1).t()
        return neurons.flatten(1), routed
    tokens, chosen = index.shape
    if watch.at_once:
        computed, (expert, order) = rows[0], torch.sort(index.reshape(-1))
        token = order // chosen
    else:
        # One expert after the other, each over its tokens by their rank among the token's choices.
        computed = torch.cat(rows)
        expert, order = torch.sort(index.t().reshape(-1), stable=True)
        token = order % tokens
    # Numbers beyond the experts stand for none.
    expert, token = expert[: len(computed)], token[: len(computed)]
    neurons = computed.new_zeros(tokens, count, computed.shape[-1])
    neurons[token, expert] = computed
    routed = torch.zeros(tokens, count, dtype=torch.bool, device=index.device)
    routed[token, expert] = True
    return neurons.flatten(1), routed


def recomputed(experts: Any, neurons: Tensor, args: tuple[Any, ...]) -> Tensor:
    """What the experts give for such neurons, from the down projection's weights alone: [token, hidden], float32."""
    import torch

    states, *routing = args
    down = experts.down_proj.float()
    if _transposed(experts):
        down = down.transpose(1, 2)
    by_expert = neurons.float().reshape(len(neurons), len(down), -1)
    each = torch.einsum("tei,ehi->teh", by_expert, down)
    if not routing:
        return each.transpose(0, 1).flatten(0, 1)
    bias = getattr(experts, "down_proj_bias", None)
    if bias is not None:
        each = each + bias.float()
    if getattr(experts, "has_post_expert_norm", False):
        each = experts.post_expert_norm(each.to(states.dtype)).float()
    index, weights = routing[:2]
    # An expert that does nothing hands its token on (LongCat).
    nothing = (index >= len(down)).unsqueeze(-1)
    picked = each.gather(
        1, index.clamp(max=len(down) - 1).unsqueeze(-1).expand(-1, -1, each.shape[-1])
    )
    identity = states.float().unsqueeze(1) if hasattr(experts, "identity_expert") else 0.0
    picked = torch.where(nothing, identity, picked)
    together: Tensor = (picked * weights.float().unsqueeze(-1)).sum(1)
    return together
