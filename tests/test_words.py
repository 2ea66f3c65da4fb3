from __future__ import annotations

import pytest

from neuroexplain.words import places, telling, words

TEXTS = {
    "In 4.5 hours, 1,000 people at 10:30.": "In|4.5|hours|,|1,000|people|at|10:30|.",
    "her father's 1990s house": "her|father's|1990s|house",
    "her father 's house": "her|father|'s|house",
    "don’t say 'hello' twice": "don’t|say|'|hello|'|twice",
    "the U.S. and the U.S.A too, e.g. here": "the|U.S.|and|the|U.S.A|too|,|e.g.|here",
    "H. americanus ends. Next": "H|.|americanus|ends|.|Next",
    "well-known (see below) 60°C £5": "well|-|known|(|see|below|)|60|°|C|£|5",
    "foo_bar(x) == y": "foo_bar|(|x|)|=|=|y",
    "naïve Tolkien, Zoë – “q”": "naïve|Tolkien|,|Zoë|–|“|q|”",
    "東京タワー、中": "東|京|タワー|、|中",
    "हिन्दी में है। مرحبا، شكرا": "हिन्दी|में|है|।|مرحبا|،|شكرا",
    "ice😀cream": "ice|😀|cream",
    "می\u200cرود و": "می\u200cرود|و",
    " \t\n": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_single_marks(text: str) -> None:
    assert words(text) == [word for word in TEXTS[text].split("|") if word]


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_but_space_lies_between_words(text: str) -> None:
    found = list(places(text))
    assert [word for word, _, _ in found] == words(text)
    assert all(text[start:stop] == word for word, start, stop in found)
    ends = [0, *(stop for _, _, stop in found)]
    starts = [*(start for _, start, _ in found), len(text)]
    assert not any(text[a:b].strip() for a, b in zip(ends, starts, strict=True))


def test_a_word_that_tells_has_a_letter_or_a_digit() -> None:
    assert [word for word in ("river", "4.5", "'s", "中", ",", "—", "😀", "_") if telling(word)] == [
        "river", "4.5", "'s", "中",
    ]  # fmt: skip
