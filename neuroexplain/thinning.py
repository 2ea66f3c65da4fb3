"""A list of n-grams as evidence: without the many that say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from neuroexplain.records import Ngram
from neuroexplain.words import words

PER_WORD = 5
"""N-grams of a list that may hold the same word."""

Gram = tuple[str, ...]


def thinned(ngrams: Iterable[Ngram], per_word: int = PER_WORD) -> list[Ngram]:
    """What is left of a list, strongest first, when nothing in it repeats what stands above.

    An n-gram goes if one of its words stands in `per_word` kept ones already, whatever the word, or if a kept one is part
    of it, or it of a kept one. Without the first a reader sees thirty times the same word; without the second one phrase
    in all its pieces.

    >>> found = [Ngram(text, 1.0, 1.0, 1) for text in ("the river", "river", "the river bank", "the stream")]
    >>> [ngram.text for ngram in thinned(found, per_word=2)]
    ['the river', 'the stream']
    """
    kept: list[Ngram] = []
    uses: Counter[str] = Counter()
    grams: set[Gram] = set()
    inside: set[Gram] = set()
    for ngram in ngrams:
        gram = tuple(word.casefold() for word in words(ngram.text))
        full = any(uses[word] >= per_word for word in gram)
        if full or gram in inside or not grams.isdisjoint(_parts(gram)):
            continue
        kept.append(ngram)
        uses.update(set(gram))
        grams.add(gram)
        inside.update(_parts(gram))
    return kept


def _parts(gram: Gram) -> Iterator[Gram]:
    """Every run of words of an n-gram, itself among them."""
    for start in range(len(gram)):
        for stop in range(start + 1, len(gram) + 1):
            yield gram[start:stop]
