"""A list of n-grams as evidence: without the many that say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from neuroexplain.records import Ngram
from neuroexplain.words import words

PER_WORD = 5
"""N-grams of a list that may hold the same word."""

Gram = tuple[str, ...]


def thinned(ngrams: Sequence[Ngram], per_word: int = PER_WORD) -> list[Ngram]:
    """What is left of a list, strongest first, when nothing in it repeats what stands above; see `left`.

    >>> found = [Ngram(text, 1.0, 1.0, 1) for text in ("the river", "river", "the river bank", "the stream")]
    >>> [ngram.text for ngram in thinned(found, per_word=2)]
    ['the river', 'the stream']
    """
    return [ngrams[place] for place in left([ngram.text for ngram in ngrams], per_word)]


def left(texts: Iterable[str], per_word: int = PER_WORD) -> list[int]:
    """Places of the n-grams of a list that repeat nothing that stands above, in order.

    An n-gram goes if one of its words stands in `per_word` kept ones already, whatever the word, or if a kept one is part
    of it, or it of a kept one. Without the first a reader sees thirty times the same word; without the second one phrase
    in all its pieces.
    """
    kept: list[int] = []
    uses: Counter[str] = Counter()
    worn: set[str] = set()  # words that no further n-gram may hold
    grams: set[Gram] = set()
    inside: set[Gram] = set()
    for place, text in enumerate(texts):
        gram, parts = _parts(text)
        if gram in inside or not worn.isdisjoint(gram) or not grams.isdisjoint(parts):
            continue
        kept.append(place)
        for word in set(gram):
            uses[word] += 1
            if uses[word] >= per_word:
                worn.add(word)
        grams.add(gram)
        inside.update(parts)
    return kept


@lru_cache(1 << 14)
def _parts(text: str) -> tuple[Gram, tuple[Gram, ...]]:
    """The words of an n-gram, and every run of them, all of them too."""
    gram = tuple(word.casefold() for word in words(text))
    size = len(gram)
    runs = (gram[start:stop] for start in range(size) for stop in range(start + 1, size + 1))
    return gram, tuple(runs)
