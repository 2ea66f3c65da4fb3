"""`token-activation`: a language model reads token/level pairs and says what they share (Bills et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from random import Random
from typing import ClassVar

from neuroexplain.explainers.asking import Asking, at_least, drawn
from neuroexplain.explainers.spans import Pairs, characters, windows
from neuroexplain.records import Evidence
from neuroexplain.registry import register
from neuroexplain.templates import Message, examples, render

TEMPLATE = "token-activation"
EXAMPLES = "neurons"
SPARSE = 0.2
"""Below this share of non-zero tokens the non-zero pairs are repeated."""


@register("explainer", "token-activation")
@dataclass(frozen=True)
class TokenActivation(Asking):
    """Explain a neuron from its strongest texts, shown to a language model as token/level pairs."""

    name: ClassVar[str] = TEMPLATE
    few_shot: ClassVar[tuple[str, ...]] = (EXAMPLES,)

    examples: int = 5
    """Top spans shown."""
    window: int = 32
    """Tokens shown of each span, around its peak."""
    shots: int = 3
    """Few-shot neurons shown before it. Small models copy the last one; try 0 with them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "examples", "window")
        at_least(self, 0, "shots")

    def messages(self, evidence: Evidence, random: Random | None) -> tuple[Message, ...]:
        """Instructions, few-shot neurons, then this neuron's spans."""
        top = drawn(evidence.of_kind("top"), self.examples, random)
        own = windows(top, evidence, self.window)
        return (*_opening(self.shots), Message("user", _user(own)))


@cache
def _opening(shots: int) -> tuple[Message, ...]:
    """What comes before the neuron's own texts, the same for all neurons: instructions and few-shot neurons."""
    messages = [Message("system", render(f"{TEMPLATE}/system.jinja"))]
    for shot in examples(EXAMPLES)[:shots]:
        messages.append(Message("user", _user(shot["spans"])))
        messages.append(Message("assistant", shot["explanation"]))
    return tuple(messages)


def _user(spans: Sequence[Pairs]) -> str:
    shown = [characters(span) for span in spans]
    flat = list(chain.from_iterable(shown))
    active = [pair for pair in flat if pair[1] > 0]
    return render(
        f"{TEMPLATE}/user.jinja",
        spans=[tuple(zip(*span, strict=True)) for span in shown],
        repeated=tuple(zip(*active, strict=True)) if len(active) < SPARSE * len(flat) else (),
    )
