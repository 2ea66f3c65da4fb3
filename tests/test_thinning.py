from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from neuroexplain.records import Ngram
from neuroexplain.thinning import PER_WORD, thinned
from neuroexplain.words import words

LISTS: dict[str, tuple[str, str]] = {
    "a part of a stronger one goes": (
        "the river bank|river bank|river|stream",
        "the river bank|stream",
    ),
    "what holds a stronger one goes": ("river|the river|a wide river|stream", "river|stream"),
    "only runs of words are parts": ("red cold river|red river|cold", "red cold river|red river"),
    "half a word is no part": ("riverbank|river", "riverbank|river"),
    "case does not matter": ("The River|river|RIVER BANK", "The River|RIVER BANK"),
    "a repeated word counts once": ("no no no|no way", "no no no|no way"),
}


def listed(texts: Sequence[str]) -> list[Ngram]:
    """N-grams of falling response."""
    return [Ngram(text, 9.0 - rank, 9.0 - rank, 1) for rank, text in enumerate(texts)]


@pytest.mark.parametrize("case", LISTS)
def test_the_stronger_stays(case: str) -> None:
    given, left = (side.split("|") for side in LISTS[case])
    assert [ngram.text for ngram in thinned(listed(given))] == left


@pytest.mark.parametrize("word", ["the", "river", ","])
def test_no_word_of_any_sort_fills_the_list(word: str) -> None:
    given = listed([f"{word} {letter}x" for letter in "abcdefgh"] + ["last one"])
    assert thinned(given) == [*given[:PER_WORD], given[-1]]
    assert thinned(given, per_word=1) == [given[0], given[-1]]


def test_a_long_list_keeps_its_order_and_every_promise() -> None:
    base = list("abcdefghijklmnopqrstuvwxyz")
    texts = [
        " ".join(base[(start * step) % 26 : (start * step) % 26 + size])
        for step in (1, 3, 7)
        for start in range(26)
        for size in (2, 3, 1)
    ]
    given = listed(list(dict.fromkeys(text for text in texts if text)))
    left = thinned(given)
    assert left == sorted(left, key=lambda ngram: -ngram.mean_response)
    uses = Counter(word for ngram in left for word in set(words(ngram.text)))
    assert max(uses.values()) <= PER_WORD
    spaced = [f" {ngram.text} " for ngram in left]
    assert not any(a in b for a in spaced for b in spaced if a is not b)
    for ngram in set(given) - set(left):
        above = [f" {k.text} " for k in left if k.mean_response > ngram.mean_response]
        own = f" {ngram.text} "
        full = any(sum(word in words(k) for k in above) >= PER_WORD for word in words(ngram.text))
        assert full or any(own in k or k in own for k in above), f"{ngram.text} went for nothing"
