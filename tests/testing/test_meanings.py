"""What every planted meaning fires on, word by word."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest

from neuroexplain.testing.meanings import (
    DEAD,
    After,
    Anywhere,
    Constant,
    Meaning,
    Near,
    Noise,
    Pattern,
    Position,
    WordSet,
)
from neuroexplain.testing.texts import Texts, split

A, B = WordSet(["a"]), WordSet(["b"])


@pytest.mark.parametrize(
    ("meaning", "text", "strengths"),
    [
        (WordSet(["May", "june"]), "may June, mayor", [1, 1, 0, 0]),
        (WordSet([","]), "a, b", [0, 1, 0]),
        (WordSet(["don't"]), "I don't do", [0, 1, 0]),
        (WordSet(["河"]), "the 河", [0, 1]),
        (WordSet([]), "a b", [0, 0]),
        (Pattern(r"\b\w+ing\b"), "singing in spring, sings", [1, 0, 1, 0, 0]),
        (Pattern(r"(?i)a B"), "a b a c", [1, 1, 0, 0]),
        (Pattern(r"in (\d{4})"), "in 1912 and 1913", [0, 1, 0, 0]),
        (Pattern(r" b "), "a b c", [0, 1, 0]),
        (Pattern(r"x?"), "a x", [0, 1]),
        (Pattern(r"a|(b)"), "a b", [0, 1]),
        (After(A, B), "a b a a b c a", [0, 0, 1, 0, 0, 0, 0]),
        (After(A, B, within=2), "a b a a b c a", [0, 0, 1, 1, 0, 0, 1]),
        (Near(A, B, within=1), "a b a a c b", [1, 0, 1, 0, 0, 0]),
        (Near(A, B, within=2), "a c b c c a", [1, 0, 0, 0, 0, 0]),
        (Near(A, B, within=99), "a c b c c a", [1, 0, 0, 0, 0, 1]),
        (A & Anywhere(B), "a c a b", [1, 0, 1, 0]),
        (A & Anywhere(B), "a c a c", [0, 0, 0, 0]),
        (A | B, "a b c", [1, 1, 0]),
        (A | 0.8 * B, "a b c", [1, 0.8, 0]),
        (A + 0.5 * (A | B), "a b c", [1.5, 0.5, 0]),
        (0.5 * Anywhere(A | 2 * B), "c a b", [1, 1, 1]),
        (Position(1, 3), "a b c d", [0, 1, 1, 0]),
        (Constant(-3.0), "a b", [-3, -3]),
        (DEAD, "a b", [0, 0]),
        (A.noisy(0.0), "a b", [1, 0]),
    ],
)
def test_strengths(meaning: Meaning, text: str, strengths: list[float]) -> None:
    assert meaning.on(text).tolist() == strengths


@pytest.mark.parametrize(
    "meaning",
    [
        A,
        Pattern("a (b)"),
        Pattern("^a|b$"),
        After(A, B, within=3),
        Near(A, B),
        Anywhere(A),
        Position(0, 1),
        Noise(1.0),
        Noise(1.0, "text"),
        A.noisy(0.5) | B.noisy(0.5),
    ],
    ids=str,
)
def test_no_text_knows_of_the_others(meaning: Meaning) -> None:
    """Whether texts are read one by one or together, and in whatever order: each gives the same, bit for bit."""
    texts = [split(text) for text in ("a b", "b", "a a c b", "a", "c c b a a b", "a b")]
    together = meaning.strengths(Texts.of(texts), 7)
    backwards = meaning.strengths(Texts.of(texts[::-1]), 7)
    alone = [meaning.strengths(Texts.of([text]), 7) for text in texts]
    assert together.tobytes() == np.concatenate(alone).tobytes()
    assert backwards.tobytes() == np.concatenate(alone[::-1]).tobytes()


@pytest.mark.parametrize("each", ["word", "text"])
def test_noise_is_normal_and_independent(each: Literal["word", "text"]) -> None:
    texts = Texts.of([["a", f"b{i}", "a"] for i in range(4000)])
    drawn = np.stack([Noise(2.0, each).strengths(texts, key) for key in (1, 2)])
    if each == "text":
        assert (np.ptp(drawn.reshape(2, -1, 3), axis=2) == 0).all()
        drawn = drawn[:, ::3]
    n = drawn.shape[1]
    assert np.abs(drawn.mean(axis=1)).max() < 4 * 2 / n**0.5
    assert np.abs(drawn.std(axis=1) / 2 - 1).max() < 4 / (2 * n) ** 0.5
    pairs = [(drawn[0], drawn[1]), *((row[:-1], row[1:]) for row in drawn)]
    assert all(abs(np.corrcoef(one, other)[0][1]) < 4 / n**0.5 for one, other in pairs)
    # Shares beyond 1 and 3 standard deviations of a normal distribution.
    assert (np.abs(drawn) > 2).mean() == pytest.approx(0.3173, abs=4 * (0.22 / drawn.size) ** 0.5)
    assert (np.abs(drawn) > 6).mean() == pytest.approx(0.0027, abs=4 * (0.0027 / drawn.size) ** 0.5)


def test_noises_of_one_neuron_differ() -> None:
    texts = Texts.of([[f"w{i}"] for i in range(4000)])
    both = (Noise(1.0) + Noise(1.0)).strengths(texts, 0)
    assert both.std() == pytest.approx(2**0.5, rel=0.05)


def test_equal_meanings_are_one() -> None:
    assert WordSet(["b", "A", "a"]) == WordSet({"a", "B"})
    assert repr(WordSet({"b", "a"})) == "WordSet(words=('a', 'b'))"
    assert len({A & B, A & B, B & A}) == 2


def test_a_text_for_a_set_of_words_is_a_mistake() -> None:
    with pytest.raises(TypeError, match=re.escape('["june"]')):
        WordSet("june")
