"""`contrastive`: as `highlight`, and beside it texts that look alike and leave the neuron silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import ClassVar

from neuroexplain.explainers.asking import at_least, drawn
from neuroexplain.explainers.base import Want
from neuroexplain.explainers.spans import QUIET, Marking, Runs, around, highlighted, strongest
from neuroexplain.records import Evidence, Exemplar
from neuroexplain.registry import register
from neuroexplain.templates import Message, examples, render


@register("explainer", "contrastive")
@dataclass(frozen=True)
class Contrastive(Marking):
    """Explain a neuron from texts with the strong words marked, beside texts that look alike and leave it silent."""

    name: ClassVar[str] = "contrastive"
    few_shot: ClassVar[tuple[str, ...]] = ("contrasts",)
    wants: ClassVar[frozenset[Want]] = frozenset({"look_alikes"})

    examples: int = 6
    weaker: int = 1
    quiet: int = 5
    """Silent spans shown: look-alikes, then random ones and those of the lowest bands where there are too few."""
    shots: int = 2
    """Few-shot neurons shown before it. Small models copy the last one; try 0 with them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "quiet")
        at_least(self, 0, "shots")

    def messages(self, evidence: Evidence, random: Random | None) -> tuple[Message, ...]:
        """Instructions, few-shot neurons, then this neuron's spans and the silent ones."""
        alike = drawn(evidence.look_alikes, self.quiet, random)
        silent = _distinct([*alike, *_silent(evidence)])[: self.quiet]
        own = _user(self.spans(evidence, random), _cut(silent, evidence, self.window))
        return (*_opening(self.shots, self.quantile), Message("user", own))


def _silent(evidence: Evidence) -> list[Exemplar]:
    """Sampled spans on which the neuron is quiet: random ones, which show what is usual, then those of the lowest bands."""
    sampled = (*evidence.of_kind("random"), *reversed(evidence.of_kind("quantile")))
    return [e for e in sampled if strongest(e, evidence) < QUIET]


def _distinct(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
    """The first of every span."""
    found: dict[int, Exemplar] = {}
    for exemplar in exemplars:
        found.setdefault(exemplar.span.span, exemplar)
    return list(found.values())


def _cut(silent: Sequence[Exemplar], evidence: Evidence, size: int) -> list[Runs]:
    """Windows of silent spans, round a token on which the neuron peaks elsewhere where they have one."""
    peaks = {e.span.token_ids[e.peak_position] for e in evidence.of_kind("top")}
    found: list[Runs] = []
    for exemplar in silent:
        span = exemplar.span
        alike = (i for i in range(span.first, len(span)) if span.token_ids[i] in peaks)
        inside = around(next(alike, exemplar.peak_position), len(span), size)
        found.append([(False, "".join(span.tokens[inside]))])
    return found


@cache
def _opening(shots: int, quantile: float) -> tuple[Message, ...]:
    """What comes before the neuron's own texts, the same for all neurons."""
    messages = [Message("system", render("contrastive/system.jinja"))]
    for shot in examples("contrasts")[:shots]:
        silent: list[Runs] = [[(False, text)] for text in shot["quiet"]]
        messages.append(Message("user", _user(highlighted(shot["spans"], quantile), silent)))
        messages.append(Message("assistant", shot["explanation"]))
    return tuple(messages)


def _user(spans: Sequence[Runs], quiet: Sequence[Runs]) -> str:
    return render("contrastive/user.jinja", spans=spans, quiet=quiet)
