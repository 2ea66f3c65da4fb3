from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import Subject
from neuroexplain.subjects.sites import find_sites

Make = Callable[..., Any]
Save = Callable[..., Path]


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def apply(linear: Any, x: Tensor) -> Tensor:
    """A linear map in double precision, by its weights alone."""
    weight: Tensor = linear.weight.double()
    return x @ weight.T if linear.bias is None else x @ weight.T + linear.bias.double()


# The module whose input feeds the neurons, and the neurons as a function of it.
FORMULAS: dict[str, tuple[str, Callable[[Any, Tensor], Tensor]]] = {
    "gpt2": (
        "h.{}.mlp",
        lambda m, x: gelu_tanh(x @ m.c_fc.weight.double() + m.c_fc.bias.double()),
    ),
    "gpt_neox": ("layers.{}.mlp", lambda m, x: gelu(apply(m.dense_h_to_4h, x))),
    "llama": ("layers.{}.mlp", lambda m, x: silu(apply(m.gate_proj, x)) * apply(m.up_proj, x)),
    "qwen2": ("layers.{}.mlp", lambda m, x: silu(apply(m.gate_proj, x)) * apply(m.up_proj, x)),
    "gemma": ("layers.{}.mlp", lambda m, x: gelu_tanh(apply(m.gate_proj, x)) * apply(m.up_proj, x)),
    "bert": ("encoder.layer.{}.intermediate", lambda m, x: gelu(apply(m.dense, x))),
    "opt": ("decoder.layers.{}.fc1", lambda m, x: relu(apply(m, x))),
    "phi": ("layers.{}.mlp", lambda m, x: gelu_tanh(apply(m.fc1, x))),
}
WIDE = {"gpt2": {"n_inner": 32}, "opt": {"ffn_dim": 32}}
IDS = [[5, 40, 7, 300, 12, 260], [9, 9, 100, 2, 31, 8]]


def shown(subject: Subject) -> dict[int, Tensor]:
    neurons: dict[int, Tensor] = {}
    subject.run(IDS, subject.layers, neurons.__setitem__)
    return neurons


def recomputed(subject: Subject, kind: str, layer: int) -> Tensor:
    """Neurons of a layer, from what goes into its MLP and from its weights."""
    place, formula = FORMULAS[kind]
    module = subject.model.get_submodule(place.format(layer))
    inputs: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.inference_mode():
        subject.model(input_ids=torch.tensor(IDS))
        handle.remove()
        return formula(module, inputs[0].double()).reshape(2, 6, -1)


@pytest.mark.parametrize("kind", FORMULAS)
def test_neurons_are_those_of_the_layers_own_formula(kind: str, make: Make, save: Save) -> None:
    subject = Subject.load(str(save(make(kind, num_hidden_layers=3))))
    neurons = shown(subject)
    assert subject.layers == tuple(neurons) == (0, 1, 2)
    assert subject.info.widths == (96, 96, 96)
    for layer, values in neurons.items():
        expected = recomputed(subject, kind, layer)
        assert expected.abs().max() > 0.05
        np.testing.assert_allclose(values.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [*FORMULAS, "phi3", "falcon", "modernbert", "gemma3_text"])
def test_verify_passes(kind: str, make: Make, tokenizer: Any) -> None:
    subject = Subject(kind, kind, make(kind), tokenizer, "0")
    subject.verify()
    assert not any(module._forward_pre_hooks for module in subject.model.modules())
    assert not any(module._forward_hooks for module in subject.model.modules())


@pytest.mark.parametrize("kind", FORMULAS)
def test_an_mlp_as_wide_as_the_model(kind: str, make: Make, tokenizer: Any) -> None:
    model = make(kind, **WIDE.get(kind, {"intermediate_size": 32}))
    subject = Subject(kind, kind, model, tokenizer, "0")
    assert subject.info.widths == (32, 32)
    expected = recomputed(subject, kind, 1)
    np.testing.assert_allclose(shown(subject)[1].numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mixtral", "MixtralModel has no MLP projections.*experts"),
        ("mamba", "MambaModel has no MLP projections"),
        ("t5", "encoder-decoder"),
    ],
)
def test_models_without_such_neurons(kind: str, message: str, make: Make, tokenizer: Any) -> None:
    with pytest.raises(SubjectError, match=message):
        Subject(kind, kind, make(kind), tokenizer, "0")


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(8, 8)
        self.output = nn.Linear(8, 8)


def blocks(**parts: Callable[[], nn.Module]) -> nn.Module:
    """A toy of two equal blocks."""
    layers = [nn.ModuleDict({name: part() for name, part in parts.items()}) for _ in range(2)]
    return nn.ModuleDict({"layers": nn.ModuleList(layers)})


@pytest.mark.parametrize(
    "toy",
    [
        nn.Linear(8, 8),
        blocks(attention=Attention),
        nn.ModuleDict({"attentions": nn.ModuleList([Attention()])}),
    ],
)
def test_attention_alone_is_no_mlp(toy: nn.Module) -> None:
    with pytest.raises(SubjectError, match="no MLP projections"):
        find_sites(toy, 8)


@pytest.mark.parametrize("width", [8, 12])
def test_experts_in_a_list_are_refused(width: int) -> None:
    def experts() -> nn.Module:
        return nn.ModuleList(
            nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8)) for _ in range(3)
        )

    with pytest.raises(SubjectError, match="mixtures of experts"):
        find_sites(blocks(mlp=experts), 8)


def test_layers_without_an_mlp_have_no_neurons(make: Make, tokenizer: Any) -> None:
    model = make("gpt2", num_hidden_layers=3)
    model.h[1].mlp = nn.Identity()
    subject = Subject("gpt2", "gpt2", model, tokenizer, "0")
    assert subject.layers == (0, 2)
    assert subject.info.widths == (96, 0, 96)
    subject.verify()


def test_layers_that_share_their_weights_are_refused(make: Make, tokenizer: Any) -> None:
    subject = Subject("albert", "albert", make("albert"), tokenizer, "0")
    with pytest.raises(SubjectError, match="runs several times"):
        subject.verify()


def sabotaged(subject: Subject, how: str) -> Subject:
    first, second = subject.sites[0], subject.sites[1]
    other: Any = subject.model.get_submodule("layers.0.self_attn.o_proj")
    if how == "detached":
        subject.sites[0] = replace(first, module=copy.deepcopy(first.module))
    elif how == "swapped":
        subject.sites = {0: replace(second, layer=0), 1: replace(first, layer=1)}
    elif how == "twice":
        subject.sites[0] = replace(second, layer=0)
    elif how == "attention":
        subject.sites[0] = replace(first, module=other)
    else:
        first.module.register_forward_pre_hook(lambda _, args: (args[0] + 1,))
    return subject


@pytest.mark.parametrize("how", ["detached", "swapped", "twice", "attention", "altered"])
def test_verify_finds_a_hook_in_the_wrong_place(how: str, make: Make, tokenizer: Any) -> None:
    subject = sabotaged(Subject("llama", "llama", make("llama"), tokenizer, "0"), how)
    with pytest.raises(
        SubjectError, match=r"places of its neurons|does not see the module's input"
    ):
        subject.verify()


def test_verify_finds_a_watcher_that_changes_the_output(make: Make, tokenizer: Any) -> None:
    subject = Subject("llama", "llama", make("llama"), tokenizer, "0")
    calls = iter(range(9))
    subject.model.norm.register_forward_hook(lambda _, __, output: output + next(calls))
    with pytest.raises(SubjectError, match="output changes"):
        subject.verify()
