"""`detection`: a language model says on which texts the neuron fires (Paulo et al. 2024).

Measured at natural frequency: a label that is twice too broad looks perfect among as many active as quiet texts, and among
all texts it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuroexplain.llm.base import LLM
from neuroexplain.records import Explanation, Failure, HeldOut, Simulation, SpanSimulation
from neuroexplain.registry import chosen, register
from neuroexplain.scorers.alignment import Aligned
from neuroexplain.scorers.asking import verdicts
from neuroexplain.scorers.verdicts import Items, Verdicts
from neuroexplain.templates import render, template_hash

TEMPLATE = "detection"
FIRES = 0.5
"""Share of the explanation's scale that a span's peak has to reach for the neuron to count as firing on it."""


def _spans(aligned: Aligned) -> Items:
    positive = (aligned.peaks >= FIRES * aligned.scale) & (aligned.peaks > 0)
    return Items(np.arange(len(aligned.spans)), positive, aligned.largest(aligned.expected))


@register("scorer", TEMPLATE)
@dataclass(frozen=True)
class Detection:
    """A language model says on which held-out texts the neuron fires: area under precision-recall, F1, accuracies."""

    name: ClassVar[str] = TEMPLATE
    statistics: ClassVar[tuple[Verdicts, ...]] = (
        Verdicts("detection", "auprc", _spans, natural=True),
        Verdicts("detection_f1", "f1", _spans, natural=True),
        Verdicts("detection_accuracy", "accuracy", _spans, natural=False),
        Verdicts("detection_balanced_accuracy", "balanced_accuracy", _spans, natural=True),
    )
    llm: LLM
    spans_per_call: int = 20

    def __post_init__(self) -> None:
        if self.spans_per_call < 1:
            raise ValueError("spans_per_call must be at least 1")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE)

    async def ask(self, explanation: Explanation, held_out: HeldOut) -> Simulation:
        """Ask how sure the model is that the neuron fires on each span; every token of a span gets that level."""
        spans = [s.span for s in held_out.spans]
        shown = [render(f"{TEMPLATE}/item.jinja", text=span.text) for span in spans]
        calls = await verdicts(
            self.llm, TEMPLATE, explanation.text, shown, per_call=self.spans_per_call
        )
        answered: list[SpanSimulation] = []
        for levels in calls:
            asked = spans[len(answered) : len(answered) + self.spans_per_call]
            for place, span in enumerate(asked):
                if isinstance(levels, Failure):
                    answered.append(SpanSimulation(span, None, levels))
                else:
                    level = np.full(len(span), levels[place], np.float32)
                    answered.append(SpanSimulation(span, level))
        return Simulation(TEMPLATE, tuple(answered), llm=self.llm.spec, settings=chosen(self))
