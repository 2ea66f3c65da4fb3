"""Hypotheses, and n-grams of the corpus that hold their words."""

from __future__ import annotations

from typing import Any

import pytest

from neuroexplain.catalogue import ExplanationRef
from neuroexplain.matching import Hypothesis, NgramIndex
from neuroexplain.records import Explanation, NeuronId
from neuroexplain.words import words

NGRAMS = [
    "ice", "the ice", "ice melts", "thin ice", "frost", "a frost", "hard frost came", "frost and ice", "river",
    "rice", "icy road", "the U.S.", "U.S. dollars", "in the 1990s", "snow",
]  # fmt: skip


def hypothesis(text: str, data: Any = None, index: int = 0) -> Hypothesis:
    neuron = NeuronId("tiny", 0, index)
    ref = ExplanationRef(index, neuron, "made", None, f"{index} {text}", "{}")
    return Hypothesis.of(ref, Explanation(neuron, "made", text, 1.0, data=data))


def test_ngrams_hold_one_of_the_words_and_no_other_word_like_it() -> None:
    found = NgramIndex(NGRAMS, 0).holding(["ice", "frost"], 20)
    assert sorted(found) == sorted(t for t in NGRAMS if {"ice", "frost"} & set(words(t)))
    assert set(NgramIndex(NGRAMS, 0).holding(["U.S."], 20)) == {"the U.S.", "U.S. dollars"}
    assert NgramIndex(NGRAMS, 0).holding(["hail", "1990s"], 20) == ("in the 1990s",)
    assert NgramIndex(NGRAMS, 0).holding([], 20) == ()


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_words_take_turns_and_no_ngram_comes_twice(n: int) -> None:
    found = NgramIndex(NGRAMS, 3).holding(["ice", "frost", "snow"], n)
    assert len(found) == len(set(found)) == n
    held = {word for text in found for word in words(text)}
    assert {"ice", "frost", "snow"} & held == {*("ice", "frost", "snow")[:n]}


def test_the_lot_is_drawn_by_the_seed() -> None:
    many = [f"ice {n}" for n in range(200)]
    drawn = [NgramIndex(many, seed).holding(["ice"], 20) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (hypothesis("Words about ice."), hypothesis(" words  about ice", index=1), True),
        (hypothesis("words about ice"), hypothesis("words about snow"), False),
        (
            hypothesis("a", {"words": [["ice", 9], ["snow", 2]]}),
            hypothesis("b", {"words": [["snow", 5], ["ice", 1]]}),
            True,
        ),
        (
            hypothesis("a", {"words": [["ice", 9]]}),
            hypothesis("a", {"words": [["snow", 9]]}),
            False,
        ),
    ],
)
def test_the_same_words_are_the_same_explanation(
    one: Hypothesis, other: Hypothesis, same: bool
) -> None:
    assert (one.identity == other.identity) is same


@pytest.mark.parametrize("data", [None, {}, {"tokens": [1]}, {"words": []}])
def test_a_sentence_has_no_list_of_words(data: Any) -> None:
    assert hypothesis("words about ice", data).words == ()
