"""`embedding`: a token fires as far as it means, where it stands, what the explanation says. No language model is asked.

A sentence model gives the explanation and every token of a text, in its context, a vector; the level is 10 max(0, c)^2 of their
cosine c. The square, because most neurons are silent on most tokens, and the cosine of texts that have nothing in common is
seldom 0. It reads what an explanation is about, not what it says of position, spelling or exceptions: a floor for explanations
in words, and a first sieve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from neuroexplain.levels import MAX_LEVEL
from neuroexplain.recent import Recent
from neuroexplain.records import Explanation, Failure, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.subjects.sentences import SentenceModel
from neuroexplain.subjects.specs import locate

KEPT = 200_000_000
"""Bytes of vectors that are kept with each sentence model: some 4,000 spans of 64 tokens by MiniLM."""
TEXTS = 5_000
"""Explanations whose vectors are kept."""

Halves = np.ndarray[tuple[int, ...], np.dtype[np.float16]]
"""[token, dimension]; the cosines lose less than 0.001 by it."""


@register("simulator", "embedding")
@dataclass(frozen=True)
class EmbeddingSimulator:
    """Predict levels by how near each token is, in its context, to the explanation. Needs no language model."""

    model: str = "minilm"
    """Sentence model: a subject spec. Best an encoder that was trained to compare texts; it runs on the CPU."""

    def __post_init__(self) -> None:
        locate(self.model)  # what does not exist is found before hours of other work

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Compare every token with the explanation; a span fails where the model sees no token in it, or in the explanation."""
        known = embeddings(self.model)
        text = known.text(explanation.text)
        simulated = []
        for span, vectors in zip(spans, known.along(spans), strict=True):
            if text is None or vectors is None:
                what = "text" if vectors is None else "explanation"
                said = f"the {what} has no tokens for {self.model}"
                simulated.append(SpanSimulation(span, None, Failure("simulate", "no_text", said)))
            else:
                cosines = np.maximum(vectors.astype(np.float32) @ text, 0)
                simulated.append(SpanSimulation(span, MAX_LEVEL * cosines**2))
        return Simulation("embedding", tuple(simulated), settings=chosen(self))


class Embeddings:
    """A sentence model with what it has made of texts: neurons share spans, and are compared with each other's explanations.

    Args:
        model: makes what is not there.
    """

    def __init__(self, model: SentenceModel) -> None:
        self._model = model
        self._texts: Recent[str, Floats | None] = Recent(TEXTS)
        self._spans: Recent[tuple[str, ...], Halves] = Recent(KEPT, lambda kept: kept.nbytes)

    def text(self, text: str) -> Floats | None:
        """[dimension], at unit length; None for a text without tokens."""
        return self._texts.get(text, lambda: self._model.text(text))

    def along(self, spans: Sequence[TokenSpan]) -> list[Halves | None]:
        """[token, dimension] of every span; None for one without tokens. Those that are not there are made together."""
        found = {span.tokens: self._spans.find(span.tokens) for span in spans}
        missing = [tokens for tokens, vectors in found.items() if vectors is None]
        for tokens, made in zip(missing, self._model.pieces(missing), strict=True):
            if made is not None:
                found[tokens] = halves = made.astype(np.float16)
                self._spans.put(tokens, halves)
        return [found[span.tokens] for span in spans]


@cache
def embeddings(model: str) -> Embeddings:
    """What a process has of a sentence model: it is loaded once.

    Raises:
        SubjectError: it cannot be loaded or used.
    """
    return Embeddings(SentenceModel.load(model))
