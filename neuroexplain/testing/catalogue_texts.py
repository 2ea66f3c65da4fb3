"""Explanations in made-up English: sentences as language models write them, with words that follow Zipf's law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.testing.catalogue_corpus import Vocabulary

BOILERPLATE = "words"
"""In a third of the sentences."""
_WITH_IT = (
    "words related to {} and {}, particularly in the context of {} or {}",
    "words that describe {} or {}, especially next to {}",
    "words and phrases about {} {} in technical documentation, such as {} and {}",
    "words meaning {} or {} when they follow the name of a {}",
    "plural words for kinds of {} and {}, and adjectives before {}",
    "words starting a clause on {}, mostly in sentences with {} and {}",
)
_OTHERS = (
    "mentions of {} and {}, and to a lesser degree of {}",
    "mentions of a {} that is {} by another {} in the same sentence",
    "references to {} {} and to the {} that they belong to",
    "the word {} and its inflections, usually before {} or {}",
    "phrases that state what a {} does when the {} is {}",
    "verbs of {} and {} in the passive, with {} as their subject",
    "the preposition after {}, {} or {} in instructions to the reader",
    "numbers and units of {} beside {}, for example in a {} of {}",
    "terms from {} such as {}, {} and {}, but not {}",
    "ends of sentences about {}, where the next one begins with {}",
    "names of people and places near {}, {} and {}",
    "conditions on {}: if, unless and whether, followed by {} or {}",
)
_OWN = 0.5
"""Share of the places that hold a word of the neuron's own."""
_TOPICS = 4
_AT_ONCE = 50_000


@dataclass(frozen=True)
class Sentences:
    """Writes explanations of neurons.

    Explanations of one neuron share words, as those of one real neuron do.
    """

    vocabulary: Vocabulary
    seed: int

    def about(self, neurons: NDArray[np.int64], nth: int) -> Iterator[str]:
        """A sentence of 8 to 20 words for every neuron, [neuron]; `nth` tells one set of them from another."""
        rng = np.random.default_rng([self.seed, 3, nth])
        cumulative = np.cumsum(self.vocabulary.counts / self.vocabulary.counts.sum())
        for start in range(0, len(neurons), _AT_ONCE):
            some = neurons[start : start + _AT_ONCE]
            shape = (len(some), 5)
            any_word = np.searchsorted(cumulative, rng.random(shape))
            own = np.searchsorted(cumulative, _chances(some, rng.integers(0, _TOPICS, shape)))
            chosen = np.where(rng.random(shape) < _OWN, own, any_word)
            words = self.vocabulary.words[np.minimum(chosen, len(self.vocabulary.words) - 1)]
            with_it = rng.random(len(some)) < 1 / 3
            patterns = np.where(
                with_it,
                rng.integers(0, len(_WITH_IT), len(some)),
                len(_WITH_IT) + rng.integers(0, len(_OTHERS), len(some)),
            )
            known = (*_WITH_IT, *_OTHERS)
            for pattern, row in zip(patterns.tolist(), words.tolist(), strict=True):
                yield known[pattern].format(*row)


def _chances(neurons: NDArray[np.int64], topics: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers between 0 and 1 that a neuron and a topic decide (the finaliser of SplitMix64)."""
    z = (neurons[:, None] * _TOPICS + topics).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) / 2**64
