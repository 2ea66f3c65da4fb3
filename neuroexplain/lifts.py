"""How telling the words of a neuron's n-grams are: how much more common they are there than elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from neuroexplain.words import words

PRIOR = 2.0
"""N-grams' worth of doubt: without it the rarest words would come first, whichever they are."""


def holding(texts: Iterable[str]) -> Counter[str]:
    """How many of some n-grams hold each word.

    >>> holding(["the river", "the the", "river bank"]).most_common(1)
    [('the', 2)]
    """
    found: Counter[str] = Counter()
    for text in texts:
        found.update(
            list(dict.fromkeys(words(text)))
        )  # no set: its order is another in every process
    return found


def lifts(
    texts: Sequence[str], common: Mapping[str, int], n: int, *, prior: float = PRIOR
) -> dict[str, float]:
    """Of every word of a list of n-grams, how many times as often it is there as chance would have it.

    `(found + prior) / (expected + prior)`, where as many n-grams drawn at random would have `expected` with the word.

    >>> lifts(["the river", "the stream"], {"the": 50, "river": 1, "stream": 1}, 100)["the"]
    1.3333333333333333

    Args:
        texts: the neuron's n-grams.
        common: n-grams of the whole set that hold each word; of one that is missing, those of the list.
        n: n-grams of the whole set.
        prior: draws what is rare towards 1.
    """
    share = len(texts) / n
    return {
        word: (found + prior) / (share * common.get(word, found) + prior)
        for word, found in holding(texts).items()
    }
