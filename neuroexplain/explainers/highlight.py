"""`highlight`: a language model reads texts with the strong words marked, and says what they share (Choi et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import ClassVar

from neuroexplain.explainers.asking import at_least
from neuroexplain.explainers.spans import Marking, Runs, highlighted
from neuroexplain.records import Evidence
from neuroexplain.registry import register
from neuroexplain.templates import Message, examples, render


@register("explainer", "highlight")
@dataclass(frozen=True)
class Highlight(Marking):
    """Explain a neuron from its strongest texts, shown to a language model with the strong words marked."""

    name: ClassVar[str] = "highlight"
    few_shot: ClassVar[tuple[str, ...]] = ("neurons",)

    shots: int = 3
    """Few-shot neurons shown before it. Small models copy the last one; try 0 with them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "shots")

    def messages(self, evidence: Evidence, random: Random | None) -> tuple[Message, ...]:
        """Instructions, few-shot neurons, then this neuron's spans."""
        own = _user(self.spans(evidence, random))
        return (*_opening(self.shots, self.quantile), Message("user", own))


@cache
def _opening(shots: int, quantile: float) -> tuple[Message, ...]:
    """What comes before the neuron's own texts, the same for all neurons."""
    messages = [Message("system", render("highlight/system.jinja"))]
    for shot in examples("neurons")[:shots]:
        messages.append(Message("user", _user(highlighted(shot["spans"], quantile))))
        messages.append(Message("assistant", shot["explanation"]))
    return tuple(messages)


def _user(spans: Sequence[Runs]) -> str:
    return render("highlight/user.jinja", spans=spans)
