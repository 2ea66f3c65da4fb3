"""`keywords`: the words that a neuron's n-grams have in common, no language model. What SASC's summaries must beat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from neuroexplain.explainers.base import MAX_TEXT, Want, dead
from neuroexplain.levels import MAX_LEVEL, escape
from neuroexplain.records import Evidence, Explanation, Failure, Ngram
from neuroexplain.registry import chosen, register
from neuroexplain.words import words

DECIMALS = 3
"""Of the levels."""


@register("explainer", "keywords")
@dataclass(frozen=True)
class Keywords:
    """Explain a neuron by the words that its n-grams hold more often than others do. Needs no language model."""

    wants: ClassVar[frozenset[Want]] = frozenset({"ngrams"})

    size: int = 5
    """Words listed."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size must be at least 1")

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        """List the words of the highest lift, each with the mean level of the n-grams that hold it."""
        failure = dead(evidence) or _silent(evidence)
        if failure is not None:
            return Explanation(
                evidence.neuron,
                "keywords",
                "",
                evidence.scale,
                settings=chosen(self),
                failure=failure,
            )
        listed = keywords(evidence.ngrams, self.size)
        heights = _heights(evidence.ngrams)
        shown = ", ".join(f"“{escape(word)}”" for word in listed)
        return Explanation(
            neuron=evidence.neuron,
            explainer="keywords",
            text=f"the word{'s' if len(listed) > 1 else ''} {shown}"[:MAX_TEXT],
            scale=evidence.scale,
            data={
                "words": [[w, _level(heights[w], evidence.scale)] for w in listed],
                "cased": any(ngram.text != ngram.text.lower() for ngram in evidence.ngrams),
            },
            settings=chosen(self),
        )


def keywords(ngrams: Sequence[Ngram], size: int) -> list[str]:
    """The words of the highest lift, of equal ones that of the stronger n-gram first.

    Those that are no more common than elsewhere say nothing; where all are such, the first word stays.
    """
    found: dict[str, float] = {}
    for ngram in ngrams:
        parts = words(ngram.text)
        for word, lift in zip(parts, ngram.lifts or [1.0] * len(parts), strict=True):
            found.setdefault(word, lift)
    ordered = sorted(found, key=lambda word: -found[word])
    return [word for word in ordered[:size] if found[word] > 1] or ordered[:1]


def _silent(evidence: Evidence) -> Failure | None:
    if any(ngram.max_response > 0 for ngram in evidence.ngrams):
        return None
    return Failure("explain", "no_ngrams", "the neuron answers to no n-gram by itself on this side")


def _heights(ngrams: Sequence[Ngram]) -> dict[str, float]:
    """Mean of the largest responses of the n-grams that hold each word: the word's own token is diluted in their means."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for ngram in ngrams:
        for word in set(words(ngram.text)):
            found[word].append(ngram.max_response)
    return {word: sum(values) / len(values) for word, values in found.items()}


def _level(response: float, scale: float) -> float:
    return round(min(MAX_LEVEL * response / scale, MAX_LEVEL), DECIMALS)
