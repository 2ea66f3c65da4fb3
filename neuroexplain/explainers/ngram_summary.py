"""`ngram-summary`: a language model says what the neuron's strongest n-grams share (SASC, Singh et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from neuroexplain.explainers.asking import Asking, at_least, drawn
from neuroexplain.explainers.base import Want, phrases
from neuroexplain.records import Evidence, Failure
from neuroexplain.registry import register
from neuroexplain.templates import Message, render


@register("explainer", "ngram-summary")
@dataclass(frozen=True)
class NgramSummary(Asking):
    """Explain a neuron from the n-grams to which it responds most when they stand alone (SASC).

    As in SASC, every candidate sees 30 of the first 50, in order, but the first candidate sees the first 30.
    """

    name: ClassVar[str] = "ngram-summary"
    wants: ClassVar[frozenset[Want]] = frozenset({"ngrams"})

    use: int = 30
    """N-grams shown."""
    consider: int = 50
    """The strongest, of which those shown are drawn for the second candidate and all that follow."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "use")
        at_least(self, self.use, "consider")

    def lacking(self, evidence: Evidence) -> Failure | None:
        """Fails without n-grams."""
        if phrases(evidence):
            return None
        return Failure(
            "explain", "no_ngrams", "no n-gram that stands alone makes the neuron respond"
        )

    def messages(self, evidence: Evidence, random: Random | None) -> tuple[Message, ...]:
        """Instructions, then this neuron's n-grams."""
        shown = drawn(phrases(evidence), self.use, random, of=self.consider)
        return (
            Message("system", render("ngram-summary/system.jinja")),
            Message("user", render("ngram-summary/user.jinja", phrases=shown)),
        )
