"""Where the neurons of a model are: the input of every MLP's output projection.

That input is the post-activation neuron: `gelu(W_in x)` for GPT-2, GPT-NeoX, BERT, OPT and Phi, and
`act(W_gate x) * (W_up x)` for gated MLPs such as Llama's. It is found by shape, not by a list of names: inside a block of
the model's layer list, and outside attention and state-space mixers, a linear map I -> hidden that is fed by one hidden -> I (or 2 I, when gate
and up are one matrix).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuroexplain.errors import SubjectError

if TYPE_CHECKING:
    from torch import nn

_MIXER = re.compile(r"att(n|ention)|mamba|mixer|ssm", re.IGNORECASE)
"""Names of modules that mix positions: their projections look like an MLP's."""


@dataclass(frozen=True)
class Site:
    """One hook point: the module whose input holds the neurons of one layer."""

    layer: int
    module_name: str
    module: nn.Module
    width: int
    """Neurons."""


def find_sites(model: nn.Module, hidden_size: int) -> list[Site]:
    """The MLP output projections of a model, one per layer, in layer order.

    Raises:
        SubjectError: there are none, or a block has several and the rule cannot choose.
    """
    sites = []
    for layer, (name, block) in enumerate(_blocks(model)):
        projections = [] if _MIXER.search(name) else _projections(block, hidden_size)
        if not projections:
            continue
        inner, module, width = projections[-1]
        # Where the MLP is as wide as the model its gate and up maps fit too; the last is the output projection.
        fits = 3 if width == hidden_size else 1
        if len(projections) > fits or any(w != width for _, _, w in projections):
            others = [n for n, _, _ in projections[:-1]]
            raise SubjectError(
                f"{name} of {type(model).__name__} has several MLP projections ({', '.join(others)}, {inner}); "
                "mixtures of experts are not supported yet"
            )
        sites.append(Site(layer, f"{name}.{inner}", module, width))
    if not sites:
        raise SubjectError(
            f"{type(model).__name__} has no MLP projections to take neurons from: no block holds a linear map to the "
            f"hidden size {hidden_size} that is fed by one from it; experts, attention and state spaces do not count"
        )
    return sites


def _blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The entries of the model's outermost, longest module list: its layers."""
    from torch import nn

    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and not re.search(r"\.\d+\.", f".{name}.")
    ]
    if not lists:
        return []
    name, layers = max(lists, key=lambda entry: len(entry[1]))
    return [(f"{name}.{i}", block) for i, block in enumerate(layers)]


def _projections(block: nn.Module, hidden: int) -> list[tuple[str, nn.Module, int]]:
    maps = [
        (name, module, shape)
        for name, module in block.named_modules()
        if (shape := _linear_shape(module)) is not None and not _MIXER.search(name)
    ]
    found = []
    for place, (name, module, (n_in, n_out)) in enumerate(maps):
        feeds = any(
            n_out_b in (n_in, 2 * n_in) and n_in_b == hidden
            for other, (_, _, (n_in_b, n_out_b)) in enumerate(maps)
            if other != place
        )
        if n_out == hidden and feeds:
            found.append((name, module, n_in))
    return found


def _linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """(in, out) of a linear map, whichever class and layout it has."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, Conv1D):
        n_in, n_out = module.weight.shape
        return n_in, n_out
    return None
