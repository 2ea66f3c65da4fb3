"""What a neuron can be: the vectors of a site, one site per layer.

    mlp         input of the MLP's output projection: the neuron after its activation, `gelu(W_in x)` in GPT-2 and BERT,
                `act(W_gate x) * (W_up x)` in gated MLPs such as Llama's. In a mixture of experts the same of every routed
                expert, one expert after the other; experts shared by all tokens are reached by a module path.
    resid       the residual stream: what the block hands to the next.
    attention   input of the attention's output projection: its heads side by side, index = head * head_dim + component.
    PATH:input  what goes into a module (or `:output`, what comes out), `{}` in its path for the layer's number.

On any of them a sparse autoencoder may sit, whose latents are then the neurons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from neuroexplain.errors import SubjectError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroexplain.subjects.sae import SparseAutoencoder

Side = Literal["input", "output", "experts"]

NAMED = ("mlp", "resid", "attention")
"""Sites that are found by rule."""
PATH_FORM = "'PATH.{}.TO.MODULE:input' (or :output), with {} for the layer's number"
_PATH = re.compile(r"(?P<path>[^:\s]+):(?P<side>input|output)")


@dataclass(frozen=True)
class Site:
    """One hook point: where the vectors of one layer are."""

    layer: int
    module_name: str
    module: nn.Module
    width: int
    """Neurons; 0 where only a forward pass can tell."""
    side: Side = "input"
    """The module's input or output; `experts`: what goes into the down projections within it."""
    call: int = 0
    """The how manieth call of the module in a forward pass shows this layer."""
    calls: int = 1
    """Calls of the module in a forward pass: several where layers share their weights."""
    decoder: bool = False
    """In the second stack of an encoder-decoder, which reads the text behind a start token."""
    experts: int = 0
    """Experts whose neurons these are, in equal shares; 0: no mixture."""
    heads: int = 0
    """Attention heads whose components these are, in equal shares; 0: no heads."""
    sae: SparseAutoencoder | None = None
    """Its latents are the neurons."""


@dataclass(frozen=True)
class LayerActivations:
    """What one forward pass shows of a layer."""

    layer: int
    neurons: Tensor
    """[batch, position, neuron], special tokens included, in the model's number type; latents in float32."""
    content: slice
    """Positions of the text's own tokens."""
    routed: Tensor | None = None
    """[batch, position, expert], for mixtures of experts: which of them computed the token.

    The neurons of expert e are the e-th equal share of the neuron axis, and 0 where the token was not routed to it.
    None: all neurons were computed for all tokens.
    """


OnLayer = Callable[[LayerActivations], None]
"""Called once per layer."""


@dataclass(frozen=True)
class Path:
    """A site given by the user: a side of a module."""

    text: str
    """Of the module, `{}` for the layer's number; without it there is one layer, 0."""
    side: Literal["input", "output"]


def parse(spec: str) -> str | Path:
    """A site's name, or the path that the user gave.

    Raises:
        SubjectError: it is neither.
    """
    if spec in NAMED:
        return spec
    match = _PATH.fullmatch(spec)
    if match is None or match["path"].count("{}") > 1:
        raise SubjectError(f'unknown site "{spec}"; known: {", ".join(NAMED)}, or {PATH_FORM}')
    return Path(match["path"], "input" if match["side"] == "input" else "output")


def short_name(spec: str, sae: str | None) -> str:
    """What tells a subject at this site from the same at another, for its name; empty for `mlp`.

    >>> short_name("model.layers.{}.mlp.down_proj:input", None)
    'mlp-down_proj-input'
    """
    if sae is not None:
        return "sae"
    if spec == "mlp":
        return ""
    behind = spec.partition("{}.")[2] or spec.replace("{}", "")
    return re.sub(r"[^A-Za-z0-9_]+", "-", behind).strip("-")
