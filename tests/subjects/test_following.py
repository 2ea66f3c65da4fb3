"""Which modules take a module's output on, observed in models made for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from neuroexplain.subjects.following import followings, same


class Block(nn.Module):
    """Norm and dropout behind a projection; what they give is added to what came in."""

    def __init__(self, *, flat: bool = False, between: bool = False) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        self.norm, self.drop = nn.LayerNorm(4), nn.Dropout(0.5)
        self.other = nn.Linear(4, 4)
        self.flat, self.between = flat, between

    def forward(self, states: torch.Tensor) -> Any:
        made = self.down(self.up(states).relu())
        if self.flat:
            made = made.reshape(-1, 4)
        if self.between:
            states = states + self.other(states)
        return states + self.drop(self.norm(made)).reshape(states.shape)


class Model(nn.Module):
    """Two blocks, of which the second may be the first again; then a norm and a map."""

    def __init__(self, first: Block, second: Block) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.final, self.out = nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, states: torch.Tensor) -> Any:
        return {"logits": self.out(self.final(self.second(self.first(states))))}


def observed(model: Model, *modules: nn.Module) -> list[Any]:
    torch.manual_seed(0)
    states = torch.randn(2, 3, 4)
    with torch.inference_mode():
        return followings(model.eval(), modules, lambda: model(states))


def test_a_chain_ends_where_the_vector_is_added_to_another() -> None:
    first, second = Block(), Block(flat=True)
    model = Model(first, second)
    one, other, last = observed(model, first.down, second.down, second)
    assert one.modules == [first.norm, first.drop]
    assert other.modules == [second.norm, second.drop], "in another shape too"
    assert last.modules == [model.final, model.out]
    torch.manual_seed(0)
    with torch.inference_mode():
        assert same(last.output, model(torch.randn(2, 3, 4))["logits"])


def test_another_module_in_between_ends_it_too() -> None:
    first = Block(between=True)
    (one,) = observed(Model(first, Block()), first.down)
    assert one.modules == []


def test_a_module_that_runs_twice_is_followed_from_its_last_run() -> None:
    block = Block()
    model = Model(block, block)
    own, inner = observed(model, block, block.down)
    assert own.modules == [model.final, model.out]
    assert inner.modules == [block.norm, block.drop]


def test_hooks_are_gone_afterwards() -> None:
    model = Model(Block(), Block())
    observed(model, model.first)
    assert not any(module._forward_hooks for module in model.modules())


def test_same_numbers() -> None:
    states = torch.randn(2, 3, 4)
    assert same(states, states.reshape(6, 4).clone())
    assert not same(states, states[:1])
    assert not same(states, states + 1)
    assert not same(states, None)
    assert not same("states", states)
