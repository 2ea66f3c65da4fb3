"""`output-tokens`: a language model reads what the neuron writes towards the vocabulary (Gur-Arieh et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from neuroexplain.explainers.asking import Asking, at_least, drawn
from neuroexplain.explainers.base import Want
from neuroexplain.records import Evidence, Failure
from neuroexplain.registry import register
from neuroexplain.templates import Message, render


@register("explainer", "output-tokens")
@dataclass(frozen=True)
class OutputTokens(Asking):
    """Explain a neuron from the words that it makes more and less likely to come next. Decoders only."""

    name: ClassVar[str] = "output-tokens"
    wants: ClassVar[frozenset[Want]] = frozenset({"output_tokens"})

    promoted: int = 50
    """Tokens shown that it promotes most."""
    suppressed: int = 50
    """Tokens shown that it suppresses most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "promoted")
        at_least(self, 0, "suppressed")

    def lacking(self, evidence: Evidence) -> Failure | None:
        """Fails where the subject has no vocabulary to write to."""
        return without_output_tokens(evidence)

    def messages(self, evidence: Evidence, random: Random | None) -> tuple[Message, ...]:
        """Instructions, then what this neuron promotes and suppresses."""
        written = evidence.output_tokens
        assert written is not None  # else it is lacking
        user = render(
            "output-tokens/user.jinja",
            promoted=drawn(texts(written.promoted), self.promoted, random),
            suppressed=drawn(texts(written.suppressed), self.suppressed, random),
        )
        return Message("system", render("output-tokens/system.jinja")), Message("user", user)


def texts(tokens: Sequence[tuple[str, float]]) -> list[str]:
    """Tokens without their logits."""
    return [text for text, _ in tokens]


def without_output_tokens(evidence: Evidence) -> Failure | None:
    """The failure of a neuron that writes to no vocabulary; None for one that does."""
    if evidence.output_tokens is not None and evidence.output_tokens.promoted:
        return None
    return Failure(
        "explain",
        "no_output_tokens",
        f"{evidence.neuron.subject} has no output tokens for its neurons, as encoders have none; take another explainer",
    )
