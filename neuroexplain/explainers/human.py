"""`human`: a text written by a person whose name is kept, most often an edit on the review page."""

from __future__ import annotations

from dataclasses import dataclass

from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import register


@register("explainer", "human")
@dataclass(frozen=True)
class Human:
    """Use a person's text, and keep who wrote it. What the review page makes of an edit."""

    text: str
    """The explanation."""
    author: str
    """Who wrote it."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("text is empty")
        if not self.author.strip():
            raise ValueError("author is empty")

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        """Return the text."""
        # Its texts are as many as its explanations; the author is what they have in common.
        return Explanation(
            neuron=evidence.neuron,
            explainer="human",
            text=self.text.strip(),
            scale=evidence.scale,
            settings={"author": self.author.strip()},
        )
