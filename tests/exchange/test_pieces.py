"""Pieces of tokenizers come in as texts; plain texts stay as they are."""

from __future__ import annotations

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from neuroexplain.exchange import pieces

BYTES = {
    "words": (["The", "Ġriver", "Ġfroze"], ("The", " river", " froze")),
    "line break": (["a", "Ċ", "b", "Ġc"], ("a", "\n", "b", " c")),
    "one character in two pieces": (["it", "âĢ", "Ļs", "Ġx"], ("it", "’", "s", " x")),
    "one character in one piece": (["itâĢĻs", "Ġx"], ("it’s", " x")),
    "an emoji in three": (["Ġ", "ðŁ", "§", "Ĭ"], (" ", "🧊", "", "")),
    "begins within a character": (["Ļ", "Ġx"], ("<0x99>", " x")),
    "ends within a character": (["x", "Ġ", "âĢ"], ("x", " ", "<0xE2><0x80>")),
    "special token": (["<|endoftext|>", "ĠThe"], ("<|endoftext|>", " The")),
    "token outside of the alphabet": (["<｜begin｜>", "Ġx"], ("<｜begin｜>", " x")),
    "accents": (["ĠcafÃ©"], (" café",)),
}
HALF = {
    "blanks put back": (
        [" there", "âĢ", "Ļ", "s", " a", "\n"],
        (" there", "’", "", "s", " a", "\n"),
    ),
    "and characters": ([" naïve", "âĢĻs", " —", " cafÃ©"], (" naïve", "’s", " —", " café")),
    "and cut off": (["Ļ", " âĢĻs", " âĢ"], ("Ļ", " ’s", " âĢ")),
}
SENTENCE = {
    "words": (["▁The", "▁river", "s"], (" The", " river", "s")),
    "line break": (["▁a", "<0x0A>", "▁b"], (" a", "\n", " b")),
    "bytes of one character": (["▁", "<0xE6>", "<0xB2>", "<0xB3>"], (" ", "河", "", "")),
    "bytes of none": (["▁a", "<0xFF>"], (" a", "<0xFF>")),
    "line break alone": (["<0x0A>"], ("\n",)),
}
PLAIN = {
    "words": ["The", " river", " froze"],
    "a letter of Maltese": ["Ġgantija", " is", " old"],
    "a text about pieces": [" ▁The", " <0x0A>", " Ġx"],
    "Polish": ["łódź", ",", "ść"],
    "Polish in a sentence": [" w", " Łodzi", " żółw", " część"],
    "Latvian": [" Ģertrūde", " ķirsis"],
    "quoted badly": [" cafÃ©", " bar"],
    "one word": ["river"],
    "nothing": [],
    "line break": ["Ġ", "\n"],
}


@pytest.mark.parametrize(("given", "wanted"), [*BYTES.values(), *HALF.values(), *SENTENCE.values()], ids=[*BYTES, *HALF, *SENTENCE])  # fmt: skip
def test_pieces_become_texts_that_join_to_the_text(
    given: list[str], wanted: tuple[str, ...]
) -> None:
    assert pieces.texts(given) == wanted


@pytest.mark.parametrize("given", PLAIN.values(), ids=PLAIN)
def test_plain_texts_stay(given: list[str]) -> None:
    assert pieces.texts(given) == tuple(given)
    assert pieces.separate(given) == tuple(given)


def test_the_alphabet_is_that_of_byte_level_tokenizers() -> None:
    assert set(pieces.ALPHABET) == set(ByteLevel.alphabet())
    text = "The naïve “river” froze — 氷 🧊\n\tend"
    parts = [part for part, _ in ByteLevel(add_prefix_space=False).pre_tokenize_str(text)]
    assert "".join(pieces.texts(parts)) == text


def test_separate_pieces_are_read_each_by_itself() -> None:
    pairs = [("Ġice", 2.5), ("âĢĻ", 1.0), ("âĢ", 0.5), ("plain", -1.0)]
    assert pieces.weighted(pairs) == ((" ice", 2.5), ("’", 1.0), ("<0xE2><0x80>", 0.5), ("plain", -1.0))  # fmt: skip
    assert pieces.separate(["▁ice", "<0x0A>"]) == (" ice", "\n")
    assert pieces.separate([" ice", "âĢĻ", "x"]) == (" ice", "’", "x")
