from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import LayerActivations, Subject
from neuroexplain.subjects.search import find_sites

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


def gated(activation: Callable[[Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    return lambda m, x: activation(apply(m.gate_proj, x)) * apply(m.up_proj, x)


def fused(activation: Callable[[Tensor], Tensor], name: str) -> Callable[[Any, Tensor], Tensor]:
    def formula(m: Any, x: Tensor) -> Tensor:
        first, second = apply(getattr(m, name), x).chunk(2, dim=-1)
        return activation(first) * second

    return formula


# The modules whose input feeds the neurons, by layer, and the neurons as a function of it.
FORMULAS: dict[str, tuple[str, Callable[[Any, Tensor], Tensor]]] = {
    "gpt2": (
        "h.{}.mlp",
        lambda m, x: gelu_tanh(x @ m.c_fc.weight.double() + m.c_fc.bias.double()),
    ),
    "gpt_neox": ("layers.{}.mlp", lambda m, x: gelu(apply(m.dense_h_to_4h, x))),
    "llama": ("layers.{}.mlp", gated(silu)),
    "qwen2": ("layers.{}.mlp", gated(silu)),
    "mistral": ("layers.{}.mlp", gated(silu)),
    "gemma": ("layers.{}.mlp", gated(gelu_tanh)),
    "gemma2": ("layers.{}.mlp", gated(gelu_tanh)),
    "phi3": ("layers.{}.mlp", fused(silu, "gate_up_proj")),
    "modernbert": ("layers.{}.mlp", fused(gelu, "Wi")),
    "bert": ("encoder.layer.{}.intermediate", lambda m, x: gelu(apply(m.dense, x))),
    "roberta": ("encoder.layer.{}.intermediate", lambda m, x: gelu(apply(m.dense, x))),
    "distilbert": ("transformer.layer.{}.ffn.lin1", lambda m, x: gelu(apply(m, x))),
    "falcon": ("h.{}.mlp", lambda m, x: gelu(apply(m.dense_h_to_4h, x))),
    "opt": ("decoder.layers.{}.fc1", lambda m, x: relu(apply(m, x))),
    "phi": ("layers.{}.mlp", lambda m, x: gelu_tanh(apply(m.fc1, x))),
    "albert": (
        "encoder.albert_layer_groups.0.albert_layers.0.ffn",
        lambda m, x: gelu_tanh(apply(m, x)),
    ),
    "t5": ("encoder.block.{}.layer.1.DenseReluDense", lambda m, x: relu(apply(m.wi, x))),
    "bart": ("encoder.layers.{}.fc1", lambda m, x: gelu(apply(m, x))),
}
# The second stack of those that have two: layers behind those of the first.
DECODERS = {
    "t5": "decoder.block.{}.layer.2.DenseReluDense",
    "bart": "decoder.layers.{}.fc1",
}
WIDTHS = {"falcon": (128, 128), "albert": (96,) * 3, "t5": (96,) * 5, "bart": (96, 96, 80, 80, 80)}
WIDE: dict[str, dict[str, Any]] = {
    "gpt2": {"n_inner": 32},
    "opt": {"ffn_dim": 32},
    "distilbert": {"hidden_dim": 32},
    "falcon": {"ffn_hidden_size": 32},
    "t5": {"d_ff": 32},
    "bart": {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
}
IDS = [[5, 40, 7, 300, 12, 260], [9, 9, 100, 2, 31, 8]]


def shown(subject: Subject) -> dict[int, LayerActivations]:
    neurons: dict[int, LayerActivations] = {}
    subject.run(IDS, subject.layers, lambda seen: neurons.__setitem__(seen.layer, seen))
    return neurons


def recomputed(subject: Subject, kind: str, layer: int) -> Tensor:
    """Neurons of a layer, from what goes into its MLP and from its weights."""
    place, formula = FORMULAS[kind]
    if kind in DECODERS and layer > 1:
        place, layer = DECODERS[kind], layer - 2
    module = subject.model.get_submodule(place.format(layer))
    inputs: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.inference_mode():
        subject.model(**subject.inputs(IDS)[0])
        handle.remove()
        call = layer if kind == "albert" else 0
        return formula(module, inputs[call].double()).reshape(2, inputs[call].numel() // 64, -1)


@pytest.mark.parametrize("kind", FORMULAS)
def test_neurons_are_those_of_the_layers_own_formula(kind: str, make: Make, save: Save) -> None:
    subject = Subject.load(str(save(make(kind))))
    neurons = shown(subject)
    assert subject.info.widths == WIDTHS.get(kind, (96, 96))
    assert subject.layers == tuple(neurons) == tuple(range(len(subject.info.widths)))
    for layer, seen in neurons.items():
        expected = recomputed(subject, kind, layer)
        assert expected.abs().max() > 0.05
        np.testing.assert_allclose(seen.neurons.numpy(), expected.numpy(), rtol=1e-6, atol=2e-6)
        assert seen.routed is None


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("site", ["mlp", "resid", "attention"])
def test_verify_passes_and_leaves_no_hooks(
    kind: str, site: str, make: Make, tokenizer: Any
) -> None:
    subject = Subject(kind, kind, make(kind), tokenizer, "0", site=site)
    before = output(subject)
    subject.verify()
    subject.run(IDS, subject.layers, lambda _: None)
    assert torch.equal(output(subject), before)
    assert not any(module._forward_pre_hooks for module in subject.model.modules())
    assert not any(module._forward_hooks for module in subject.model.modules())


def output(subject: Subject) -> Tensor:
    with torch.inference_mode():
        states: Tensor = subject.model(**subject.inputs(IDS)[0]).last_hidden_state
    return states


@pytest.mark.parametrize("kind", FORMULAS)
def test_an_mlp_as_wide_as_the_model(kind: str, make: Make, tokenizer: Any) -> None:
    model = make(kind, **WIDE.get(kind, {"intermediate_size": 32}))
    subject = Subject(kind, kind, model, tokenizer, "0")
    assert set(subject.info.widths) == {32}
    expected = recomputed(subject, kind, 1)
    np.testing.assert_allclose(
        shown(subject)[1].neurons.numpy(), expected.numpy(), rtol=1e-6, atol=2e-6
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "mamba",
            r"MambaModel has no MLP projections.* --site 'layers\.\{\}\.mixer\.out_proj:input'",
        ),
        (
            "switch_transformers",
            r"several MLP projections.*experts in a list.* --site 'encoder\.block\.\{\}\.layer\.1\.mlp.*:output'",
        ),
    ],
)
def test_models_without_such_neurons(kind: str, message: str, make: Make, tokenizer: Any) -> None:
    with pytest.raises(SubjectError, match=message) as caught:
        Subject(kind, kind, make(kind), tokenizer, "0")
    site = str(caught.value).rpartition("--site ")[2].strip("'")
    subject = Subject(kind, kind, make(kind), tokenizer, "0", site=site)
    subject.verify()
    assert set(subject.info.widths) <= {0, 32, 96}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(8, 8)
        self.output = nn.Linear(8, 8)


def blocks(**parts: Callable[[], nn.Module]) -> nn.Module:
    """A toy of two equal blocks."""
    layers = [nn.ModuleDict({name: part() for name, part in parts.items()}) for _ in range(2)]
    return nn.ModuleDict({"layers": nn.ModuleList(layers)})


def sized(toy: nn.Module) -> nn.Module:
    model: Any = toy
    model.config = SimpleNamespace(hidden_size=8)
    return toy


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
        find_sites(sized(toy))


@pytest.mark.parametrize("width", [8, 12])
def test_experts_in_a_list_are_refused(width: int) -> None:
    def experts() -> nn.Module:
        return nn.ModuleList(
            nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8)) for _ in range(3)
        )

    with pytest.raises(SubjectError, match=r"experts in a list.*'layers\.{}\.mlp:output'"):
        find_sites(sized(blocks(mlp=experts)))


def test_layers_without_an_mlp_have_no_neurons(make: Make, tokenizer: Any) -> None:
    model = make("gpt2", num_hidden_layers=3)
    model.h[1].mlp = nn.Identity()
    subject = Subject("gpt2", "gpt2", model, tokenizer, "0")
    assert subject.layers == (0, 2)
    assert subject.info.widths == (96, 0, 96)
    subject.verify()


def test_a_subset_of_layers_that_share_their_weights(make: Make, tokenizer: Any) -> None:
    subject = Subject("albert", "albert", make("albert"), tokenizer, "0")
    every = shown(subject)
    kept: list[LayerActivations] = []
    subject.run(IDS, [1], kept.append)
    assert [seen.layer for seen in kept] == [1]
    assert torch.equal(kept[0].neurons, every[1].neurons)
    assert not torch.equal(kept[0].neurons, every[2].neurons)


def test_a_module_that_runs_more_often_than_it_has_layers(make: Make, tokenizer: Any) -> None:
    site = "encoder.albert_layer_groups.{}.albert_layers.0.ffn_output:input"
    subject = Subject("albert", "albert", make("albert"), tokenizer, "0", site=site)
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
        assert how == "altered"
        first.module.register_forward_pre_hook(lambda _, args: (args[0] + 1,))
    return subject


@pytest.mark.parametrize("how", ["detached", "swapped", "twice", "attention", "altered"])
def test_verify_finds_a_hook_in_the_wrong_place(how: str, make: Make, tokenizer: Any) -> None:
    subject = sabotaged(Subject("llama", "llama", make("llama"), tokenizer, "0"), how)
    with pytest.raises(
        SubjectError, match=r"places of its neurons|does not see the module's input|has the shape"
    ):
        subject.verify()


def test_verify_finds_a_watcher_that_changes_the_output(make: Make, tokenizer: Any) -> None:
    subject = Subject("llama", "llama", make("llama"), tokenizer, "0")
    calls = iter(range(9))
    subject.model.norm.register_forward_hook(lambda _, __, output: output + next(calls))
    with pytest.raises(SubjectError, match="output changes"):
        subject.verify()
