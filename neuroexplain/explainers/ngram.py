"""`ngram`: the words and phrases that a neuron answers to, no language model. The offline default."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from neuroexplain.explainers.base import MAX_TEXT, dead, levels, quoted, weighted
from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import chosen, register

Gram = tuple[str, ...]

SHOWN = 30
"""N-grams listed with their responses in the catalogue; the others only serve the simulator."""


@dataclass(slots=True)
class _Tally:
    """Weighted responses to one n-gram, at its last token."""

    weight: float = 0.0
    sum: float = 0.0
    highest: float = 0.0
    count: int = 0
    text: str = ""


@register("explainer", "ngram")
@dataclass(frozen=True)
class Ngrams:
    """Explain a neuron by its strongest n-grams in context, longest match first. Needs no language model."""

    orders: int = 3
    """Longest n-gram, in tokens."""
    size: int = 200
    """N-grams kept: those that explain most of the activation's variance."""
    prior: float = 2.0
    """Occurrences' worth of doubt: means of rare n-grams are drawn towards what their last tokens alone predict."""

    def __post_init__(self) -> None:
        if self.orders < 1 or self.size < 1 or self.prior < 0:
            raise ValueError("orders and size must be at least 1, prior at least 0")

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        """Choose the n-grams whose mean level departs most from what the shorter n-gram inside them predicts."""
        failure = dead(evidence)
        if failure is not None:
            return Explanation(
                evidence.neuron, "ngram", "", evidence.scale, settings=chosen(self), failure=failure
            )
        tallies = self._tally(evidence)
        root = tallies.pop(())
        default = root.sum / root.weight if root.weight else 0.0
        means: dict[Gram, float] = {(): default}
        gains: dict[Gram, float] = {}
        for gram in sorted(tallies, key=len):
            tally = tallies[gram]
            # The suffix predicts the response already; a longer n-gram has to earn its place beside it.
            expected = means[gram[1:]]
            doubt = self.prior * tally.weight / tally.count
            means[gram] = (tally.sum + doubt * expected) / (tally.weight + doubt)
            if len(gram) == 1 or tally.count > 1:
                gains[gram] = tally.weight * (means[gram] - expected) ** 2
        kept = sorted(gains, key=lambda g: (-gains[g], g))[: self.size]
        strongest = sorted(kept, key=lambda g: (-means[g], g))
        # Others are kept because they are silent, or little different from their ending: no news for a reader.
        telling = [g for g in strongest if means[g] - means[g[1:]] > (1.0 if len(g) > 1 else 0.0)]
        shown = [(tallies[g].text, means[g]) for g in telling[:8] or strongest[:1]]
        return Explanation(
            neuron=evidence.neuron,
            explainer="ngram",
            text=f"the n-grams {quoted(shown)}"[:MAX_TEXT],
            scale=evidence.scale,
            data={
                "ngrams": [[list(g), round(means[g], 3)] for g in strongest],
                "strongest": [_response(tallies[g], evidence.scale) for g in telling[:SHOWN]],
                "default": round(default, 3),
            },
            settings=chosen(self),
        )

    def _tally(self, evidence: Evidence) -> defaultdict[Gram, _Tally]:
        tallies: defaultdict[Gram, _Tally] = defaultdict(_Tally)
        tallies[()] = _Tally()
        for exemplar, weight in weighted(evidence):
            span = exemplar.span
            values = levels(exemplar.activations, evidence).tolist()
            words = tuple(map(normal, span.tokens))
            for end in range(span.first, len(span)):
                value = values[end]
                for order in range(min(self.orders, end + 1) + 1):
                    tally = tallies[words[end + 1 - order : end + 1]]
                    tally.weight += weight
                    tally.sum += weight * value
                    tally.count += 1
                    if value > tally.highest:
                        tally.highest = value
                    if not tally.text:
                        tally.text = "".join(span.tokens[end + 1 - order : end + 1])
        return tallies


def normal(token: str) -> str:
    """A token as n-grams compare it: without case and surrounding spaces."""
    return token.strip().casefold()


def _response(tally: _Tally, scale: float) -> dict[str, object]:
    """What the catalogue keeps of an n-gram for readers, in the subject's activation units."""
    return {
        "text": tally.text.strip(),
        "mean_response": tally.sum / tally.weight * scale / 10,
        "max_response": tally.highest * scale / 10,
        "count": tally.count,
    }
