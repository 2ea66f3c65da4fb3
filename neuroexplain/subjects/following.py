"""Observes which modules take a module's output on, instead of knowing them by architecture.

What a model does to a vector behind some place in it (a norm behind the MLP, the final norm, a projection) is called right
after that place, with exactly what came out there. Where the vector is added to another, the chain ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neuroexplain.subjects.watching import first_tensor, given

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Following:
    """The modules that took a module's output on, one after the other."""

    modules: list[nn.Module] = field(default_factory=list)
    output: Tensor | None = None
    """What the last of them gave out, or the module itself where there are none; None before it has run."""
    going_on: bool = False
    """Whether the next module may be one of them."""

    def begin(self, output: Any) -> None:
        """The module has run; one that runs several times is followed from its last run on."""
        self.modules, self.output, self.going_on = [], first_tensor(output).clone(), True

    def called(self, module: nn.Module, taken: Any, output: Any) -> None:
        """Another module has run."""
        if self.going_on and same(taken, self.output):
            self.modules.append(module)
            self.output = first_tensor(output).clone()
        else:
            self.going_on = False


def followings(
    model: nn.Module, modules: Sequence[nn.Module], forward: Callable[[], Any]
) -> list[Following]:
    """What follows each of some modules of a model in a forward pass.

    Args:
        model: whose modules without parts are looked at.
        modules: those that are followed.
        forward: runs the model.
    """
    chains = [Following() for _ in modules]
    own = {id(module): chain for module, chain in zip(modules, chains, strict=True)}

    def note(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if _is_leaf(module):
            taken = given(args, kwargs)
            for chain in chains:
                chain.called(module, taken, output)
        if id(module) in own:
            own[id(module)].begin(output)

    watched = [m for m in model.modules() if id(m) in own or _is_leaf(m)]
    handles = [module.register_forward_hook(note, with_kwargs=True) for module in watched]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return chains


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def same(one: Any, other: Any) -> bool:
    """Whether two vectors per token are the same numbers; some models flatten (batch, position) on the way."""
    import torch

    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return False
    return one.numel() == other.numel() and torch.equal(one.flatten(), other.flatten())
