"""Mixtures of experts: neurons against each architecture's formula, one token and one expert at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import LayerActivations, Subject

Make = Callable[..., Any]

IDS = [[5, 40, 7, 300, 12, 260], [9, 9, 100, 2, 31, 8]]
KINDS = ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v3", "gpt_oss", "llama4_text"]


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def neuron(kind: str, experts: Any, expert: int, x: Tensor) -> Tensor:
    """What goes into the down projection of one expert for one token."""
    weight: Tensor = experts.gate_up_proj[expert].detach().double()
    if kind == "gpt_oss":
        both: Tensor = x @ weight + experts.gate_up_proj_bias[expert].detach().double()
        limit = float(experts.limit)
        gate, up = both[::2].clamp(max=limit), both[1::2].clamp(-limit, limit)
        return (up + 1) * gate / (1 + torch.exp(-1.702 * gate))
    both = x @ weight if kind == "llama4_text" else weight @ x
    gate, up = both.chunk(2)
    return silu(gate) * up


def recomputed(subject: Subject, kind: str, layer: int) -> tuple[Tensor, Tensor]:
    """Neurons [batch, position, expert, neuron] and routed [batch, position, expert]."""
    experts: Any = subject.sites[layer].module
    kept: list[tuple[Any, ...]] = []
    handle = experts.register_forward_pre_hook(lambda _, args: kept.append(args))
    with torch.inference_mode():
        subject.model(**subject.inputs(IDS)[0])
    handle.remove()
    count, width = len(experts.down_proj), subject.sites[layer].width // len(experts.down_proj)
    neurons = torch.zeros(12, count, width, dtype=torch.float64)
    routed = torch.zeros(12, count, dtype=torch.bool)
    for token in range(12):
        if kind == "llama4_text":
            states = {e: kept[0][0].view(count, 12, -1)[e, token] for e in range(count)}
            states = {e: x for e, x in states.items() if x.any()}
        else:
            states = {int(e): kept[0][0][token] for e in kept[0][1][token]}
        for expert, x in states.items():
            neurons[token, expert] = neuron(kind, experts, expert, x.double())
            routed[token, expert] = True
    return neurons.view(2, 6, count, width), routed.view(2, 6, count)


@pytest.mark.parametrize("implementation", ["eager", "grouped_mm"])
@pytest.mark.parametrize("kind", KINDS)
def test_neurons_are_those_of_the_experts_formula(
    kind: str, implementation: str, make: Make, tokenizer: Any
) -> None:
    model = make(kind)
    if kind != "llama4_text":
        model.set_experts_implementation(implementation)
    subject = Subject(kind, kind, model, tokenizer, "0")
    with torch.inference_mode():
        before = model(**subject.inputs(IDS)[0]).last_hidden_state
    seen: dict[int, LayerActivations] = {}
    subject.run(IDS, subject.layers, lambda shown: seen.__setitem__(shown.layer, shown))
    assert tuple(seen) == subject.layers == (0, 1)
    layer = subject.sites[1]
    assert (layer.side, layer.experts) == ("experts", len(layer.module.down_proj))  # type: ignore[arg-type]
    neurons, routed = recomputed(subject, kind, 1)
    assert seen[1].routed is not None
    assert torch.equal(seen[1].routed, routed)
    assert routed.any(-1).all() and not routed.all()
    np.testing.assert_allclose(
        seen[1].neurons.numpy(), neurons.flatten(2).numpy(), rtol=1e-5, atol=2e-6
    )
    subject.verify()
    with torch.inference_mode():
        assert torch.equal(model(**subject.inputs(IDS)[0]).last_hidden_state, before)
    assert not any("forward" in vars(module) for module in model.modules())


def test_dense_layers_are_ordinary(make: Make, tokenizer: Any) -> None:
    subject = Subject("deepseek", "deepseek", make("deepseek_v3"), tokenizer, "0")
    assert [site.side for site in subject.sites.values()] == ["input", "experts"]
    assert subject.info.widths == (96, 8 * 24)
    seen: list[LayerActivations] = []
    subject.run(IDS, subject.layers, seen.append)
    assert [shown.routed is None for shown in seen] == [True, False]


def test_a_shared_expert_has_a_path(make: Make, tokenizer: Any) -> None:
    site = "model.layers.{}.mlp.shared_expert.down_proj:input"
    subject = Subject("qwen", "qwen", make("qwen2_moe"), tokenizer, "0", site=site)
    subject.verify()
    assert subject.info.widths == (40, 40)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["mixtral", "gpt_oss"])
def test_half_precision(kind: str, dtype: torch.dtype, make: Make, tokenizer: Any) -> None:
    subject = Subject(kind, kind, make(kind).to(dtype), tokenizer, "0")
    subject.verify()
    seen: list[LayerActivations] = []
    subject.run(IDS, [1], seen.append)
    assert seen[0].neurons.dtype == dtype


def test_nothing_stays_after_an_exception(make: Make, tokenizer: Any) -> None:
    subject = Subject("mixtral", "mixtral", make("mixtral"), tokenizer, "0")

    def on_layer(shown: LayerActivations) -> None:
        raise KeyError(shown.layer)

    with pytest.raises(KeyError):
        subject.run(IDS, subject.layers, on_layer)
    assert not any("forward" in vars(module) for module in subject.model.modules())


def test_experts_that_cannot_be_watched(make: Make, tokenizer: Any) -> None:
    model = make("mixtral")
    model.set_experts_implementation("batched_mm")
    subject = Subject("mixtral", "mixtral", model, tokenizer, "0")
    with pytest.raises(SubjectError, match=r"batched_mm.*eager or grouped_mm"):
        subject.verify()


def test_verify_finds_rows_in_the_wrong_places(make: Make, tokenizer: Any) -> None:
    subject = Subject("mixtral", "mixtral", make("mixtral"), tokenizer, "0")
    experts: Any = subject.sites[0].module
    original = experts.forward
    # Its output is no longer what the down projection of these neurons gives.
    experts.forward = lambda *args: original(*args).flip(0)
    with pytest.raises(SubjectError, match="does not see"):
        subject.verify()


def test_a_stack_of_linear_experts_is_no_fused_one() -> None:
    from neuroexplain.subjects.experts import experts_within

    assert experts_within(nn.ModuleList([nn.Linear(4, 4)])) is None
