"""`fixed`: a text given by a person."""

from __future__ import annotations

from dataclasses import dataclass

from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import chosen, register


@register("explainer", "fixed")
@dataclass(frozen=True)
class Fixed:
    """Use a given text as the explanation, for example a hypothesis of your own."""

    text: str
    """The explanation."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("text is empty")

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        """Return the text."""
        return Explanation(
            neuron=evidence.neuron,
            explainer="fixed",
            text=self.text.strip(),
            scale=evidence.scale,
            settings=chosen(self),
        )
