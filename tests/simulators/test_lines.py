"""Texts cut into lines, and where pieces of them stand."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from neuroexplain.levels import escape
from neuroexplain.simulators.lines import Shown, fold, unescape

Build = Any  # of conftest.py, which cannot be imported

PROSE = re.findall(
    r"\s*\w+|\s*[^\w\s]",
    "The old river froze early that year, so the ferrymen of the northern villages had to walk across it with their "
    "lanterns held high; nobody had expected the ice to bear a person's weight before the end of November.",
)


TEXTS = [
    "plain", "\n\r\t", "\\", "\\n", "\\\\x41", "\x00\x7f\xa0", "\u200b\u2028", "\U000e0001\U0010ffff", "\ud800", "İßﬁ",
    "“don’t” – no",
]  # fmt: skip


def test_lines_are_even_and_hold_all_of_the_text() -> None:
    shown = Shown(PROSE)
    assert shown.lines == (
        "The old river froze early that year,",
        " so the ferrymen of the northern villages had to",
        " walk across it with their lanterns held high;",
        " nobody had expected the ice to bear a",
        " person's weight before the end of November.",
    )
    assert [b - a for a, b in pairwise(shown.cuts)] == [8, 9, 9, 8, 10]
    assert "".join(shown.lines) == "".join(PROSE)


@pytest.mark.parametrize(
    ("tokens", "lines"),
    [
        ([], ()),
        (["a"], ("a",)),
        ([""], ("",)),
        (["a"] * 10, ("a" * 10,)),
        (["a"] * 11, ("a" * 5, "a" * 6)),  # inside a word only where there is no other way
        ([*["a"] * 7, " b", *["a"] * 6], ("a" * 7, " baaaaaa")),
        ([*["a"] * 6, "-", *["a"] * 7], ("aaaaaa-", "aaaaaaa")),
        (["日", "", "本", ""] * 4, ("日本日本", "日本日本")),  # not inside a character
        (["a\n", "\\", "\u2028"], ("a\\n\\\\\\u2028",)),
    ],
)
def test_where_lines_are_cut(tokens: list[str], lines: tuple[str, ...]) -> None:
    assert Shown(tokens).lines == lines


def test_lines_are_single_lines_whatever_the_text_holds(build: Build) -> None:
    lines = Shown(build.tricky()[0].tokens * 5).lines
    assert len(lines) == 7
    assert all(line.isprintable() for line in lines)


def places(tokens: list[str], piece: str, line: int | None = None) -> list[tuple[str, int, int]]:
    """What was found, with the place's two grades."""
    text = "".join(tokens)
    found = Shown(tokens).find(piece, line)
    return [(text[p.start : p.stop], p.loose, p.form) for p in found]


WOODS = ["The", " wood", "pecker", " of", " The", " Woods", ",", " a", " wood", "."]


@pytest.mark.parametrize(
    ("piece", "found"),
    [
        ("wood", [("wood", 0, 0), ("wood", 1, 0), ("Wood", 2, 2)]),
        ("pecker", [("pecker", 1, 0)]),
        ("woodpecker", [("woodpecker", 0, 0)]),
        ("The", [("The", 0, 0), ("The", 0, 0)]),
        ("the", [("The", 0, 2), ("The", 0, 2)]),
        ("ood", [("ood", 2, 0)] * 3),
        ("woodpecker of The", [("woodpecker of The", 0, 0)]),
        ("woodpecker of", [("woodpecker of", 0, 0)]),
        ('"wood"', [("wood", 0, 0), ("wood", 1, 0), ("Wood", 2, 2)]),
        ("‘a’", [("a", 0, 0)]),
        ("", []),
        ('""', []),
        ("woods.", []),
    ],
)
def test_places_in_the_order_in_which_they_are_meant(
    piece: str, found: list[tuple[str, int, int]]
) -> None:
    assert places(WOODS, piece) == found


CODE = ["a", "\n", "\\n", "n", "\t", "\u200b", " don’t", " “x”", " n"]
r"""Shown as a\n\\nn\t\u200b don’t “x” n."""


@pytest.mark.parametrize(
    ("piece", "found"),
    [
        (r"\n", [("\n", 0, 0), ("\\n", 1, 1)]),  # the sign for a line end before what looks like it
        ("\n", [("\n", 0, 0)]),
        (r"\\n", [("\\n", 1, 0)]),
        (r"a\n", [("a\n", 0, 0)]),
        ("a\n", [("a\n", 0, 0)]),
        (r"\u200b", [("\u200b", 0, 0)]),
        ("\u200b", [("\u200b", 0, 0)]),
        ("u200b", []),  # no part of a sign
        ("t", [("t", 0, 0)]),
        ("n", [("n", 0, 0), ("n", 1, 0), ("n", 1, 0), ("n", 2, 0)]),
        ("don't", [("don’t", 0, 2)]),
        ('"x"', [("“x”", 0, 2)]),
        ("x", [("x", 0, 0)]),
    ],
)
def test_escapes_and_marks(piece: str, found: list[tuple[str, int, int]]) -> None:
    assert places(CODE, piece) == found


def test_a_character_that_would_grow_when_its_case_is_folded() -> None:
    tokens = [" Straße", " İST", " ok"]
    assert places(tokens, "STRAßE") == [("Straße", 0, 2)]
    assert places(tokens, "OK") == [("ok", 0, 2)], "and those behind it stay where they are"
    assert places(tokens, "strasse") == []


@pytest.mark.parametrize("text", [*TEXTS, "".join(TEXTS), r"\x \u12 \U00110000 \q \\"])
def test_what_is_shown_can_be_read_back(text: str) -> None:
    assert unescape(escape(text)) == text
    assert len(fold(text)) == len(text)


def test_a_piece_begins_in_its_line_and_may_run_on_into_the_next() -> None:
    shown = Shown(PROSE)
    found = {
        (piece, line): len(shown.find(piece, line))
        for line in (0, 1, None)
        for piece in ("year", "year, so", "so the", "the")
    }
    assert found == {
        **{("year", 0): 1, ("year", 1): 0, ("year", None): 1},
        **{("year, so", 0): 1, ("year, so", 1): 0, ("year, so", None): 1},
        **{("so the", 0): 0, ("so the", 1): 1, ("so the", None): 1},
        **{("the", 0): 1, ("the", 1): 3, ("the", None): 7},
    }
