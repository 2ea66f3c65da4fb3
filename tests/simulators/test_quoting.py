"""Levels from pieces of lines that a model quotes: what they mean, what is refused, and that everything can be said."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from neuroexplain.simulators.lines import Shown
from neuroexplain.simulators.quoting import SCHEMA, parse_quotes
from tests import ideal

Build = Any  # of conftest.py, which cannot be imported

ICE = [" The", " cat", " and", " the", " dog", " of", " the", " the", "atre", ",", " not"]
"""Two lines: ` The cat and the dog` and ` of the theatre, not`."""
SPLIT = ["a", "日", "", "", " b"]


def read(reply: object, *texts: Sequence[str]) -> list[list[float]]:
    text = reply if isinstance(reply, str) else json.dumps({"fires": reply})
    return [levels.tolist() for levels in parse_quotes(text, [Shown(t) for t in texts])]


def named(levels: list[float], tokens: Sequence[str]) -> dict[str, float]:
    """Levels above 0 by the number of the token and its text."""
    return {f"{i}{tokens[i]}": level for i, level in enumerate(levels) if level}


QUOTES: dict[str, tuple[list[Any], dict[str, float]]] = {
    "nothing": ([], {}),
    "a word": ([[1, "cat", 7]], {"1 cat": 7}),
    "spaces beside it": ([[1, " cat ", 7]], {"1 cat": 7}),
    "quotation marks round it": ([[1, '"cat"', 7]], {"1 cat": 7}),
    "several tokens": ([[1, "cat and the", 7]], {"1 cat": 7, "2 and": 7, "3 the": 7}),
    "a part of a token": ([[1, "og", 7]], {"4 dog": 7}),
    "parts of two tokens": ([[2, "eat", 7]], {"7 the": 7, "8atre": 7}),
    "a token inside a word": ([[2, "atre", 7]], {"8atre": 7}),
    "a mark": ([[2, ",", 7]], {"9,": 7}),
    "the exact case": ([[1, "the", 7]], {"3 the": 7}),
    "another case only behind it": ([[1, "the", 7], [1, "the", 8]], {"0 The": 8, "3 the": 7}),
    "words before parts of words": ([[2, "the", 7]], {"6 the": 7}),
    "parts of words after them": ([[2, "the", 7], [2, "the", 8]], {"6 the": 7, "7 the": 8}),
    "level 0 passes over": ([[2, "the", 0], [2, "the", 8]], {"7 the": 8}),
    "one word in two cases": ([[1, "dog", 7], [1, "Dog", 8]], {"4 dog": 8}),
    "over the end of a line": ([[1, "dog of", 7]], {"4 dog": 7, "5 of": 7}),
    "overlapping": (
        [[1, "cat and", 3], [1, "cat", 9], [1, "and the", 2]],
        {"1 cat": 9, "2 and": 3, "3 the": 2},
    ),
    "what a longer piece has left": (
        [[2, "the", 5], [2, "of the", 9]],
        {"5 of": 9, "6 the": 9},  # another word of that spelling there is not
    ),
    "everywhere": ([[0, "the", 6]], {"3 the": 6, "6 the": 6}),
    "everywhere in another case": ([[0, "CAT", 6]], {"1 cat": 6}),
    "everywhere inside words": ([[0, "at", 6]], {"1 cat": 6, "8atre": 6}),
    "everywhere and nowhere": ([[0, "bird", 6]], {}),
    "exceptions": ([[0, "the", 6], [1, "the", 0], [2, "the", 2]], {"6 the": 2}),
    "two that stand everywhere": (
        [[0, "the", 6], [0, "the dog", 4]],
        {"3 the": 6, "4 dog": 4, "6 the": 6},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTES)
def test_what_quotes_mean(name: str) -> None:
    reply, expected = QUOTES[name]
    assert Shown(ICE).lines == (" The cat and the dog", " of the theatre, not")
    (levels,) = read(reply, ICE)
    assert named(levels, ICE) == expected


def test_what_is_free_comes_before_what_is_taken() -> None:
    tokens = [" New", " York", " and", " York"]
    assert read([[1, "York", 5], [1, "New York", 8]], tokens) == [[8, 8, 0, 5]]
    assert read([[1, "New York", 8], [1, "York", 5]], tokens) == [[8, 8, 0, 5]]
    assert read([[1, "New York", 3], [1, "York", 9], [1, "York", 5]], tokens) == [[3, 5, 0, 9]]


def test_lines_are_numbered_through_all_texts() -> None:
    found = read([[1, "a", 1], [2, "cat", 2], [3, "of", 3], [4, "a", 4]], ["a"], ICE, [], [" a"])
    assert found[0] == [1] and found[2] == [] and found[3] == [4]
    assert named(found[1], ICE) == {"1 cat": 2, "5 of": 3}


def test_everywhere_is_in_all_texts() -> None:
    found = read([[0, "the", 6]], [" The", " end"], [" the", " end"], [" bathe"])
    assert found == [[0, 0], [6, 0], [0]], "a word in this case, since it stands there once"
    assert read([[0, "the", 6]], [" The", " end"], [" bathe"]) == [[6, 0], [0]]


def test_tokens_that_share_a_character_share_its_level() -> None:
    assert read([[1, "日", 7]], SPLIT) == [[0, 7, 7, 7, 0]]
    assert read([[1, "b", 7]], SPLIT) == [[0, 0, 0, 0, 7]]
    assert read([[1, "a", 7]], ["", *SPLIT]) == [[0, 7, 0, 0, 0, 0]], "begins with half of one"
    assert read([], ["", ""]) == [[0, 0]]


@pytest.mark.parametrize(
    ("line", "piece", "token"),
    [
        (1, "a\\nb", "a\nb"), (1, "a\nb", "a\nb"), (1, "\\t", "\t"), (1, "\t", "\t"), (1, "Text 2:", "Text 2:"),
        (1, "]]", "]]"), (2, "unknown", " unknown"), (2, "[[1, 10]]", "[[1, 10]]"), (2, "{{ x }}", "{{ x }}"),
        (2, "\\\\n", "\\n"), (2, "\\n", "\\n"), (2, "```", "```"), (2, "\\u200b", "\u200b"), (2, "\u2028", "\u2028"),
        (2, "<|end|>", "<|end|>"), (2, "é", "é"), (2, "É", "é"),
    ],
)  # fmt: skip
def test_signs_may_be_copied_or_written_out(
    build: Build, line: int, piece: str, token: str
) -> None:
    tokens = build.tricky()[0].tokens
    assert Shown(tokens).lines == (
        r"a\nb\tText 2:]]",
        r" unknown[[1, 10]]{{ x }}\\n```\u200b\u2028<|end|>é",
    )
    (levels,) = read([[line, piece, 9]], tokens)
    assert [t for t, level in zip(tokens, levels, strict=True) if level and t] == [token]


BAD = {
    "nothing": ("", "not JSON alone"),
    "prose": ("Line 1 fires.", "not JSON alone"),
    "prose behind it": ('{"fires":[[1,"cat",7]]} I hope this helps.', "not JSON alone"),
    "a sign not escaped": ('{"fires":[[1,"\\x1b",7]]}', "not JSON alone"),
    "cut off": ('{"fires":[[1,"cat",7],[1,"d', "not JSON alone"),
    "another key": ('{"lines":[]}', 'the only key is "fires"; the reply has "lines"'),
    "no list": ('{"fires":7}', 'no list of [line, "text", level] entries'),
    "pairs": ([[1, 7]], '[1, 7] is no [line, "text", level] with whole numbers'),
    "turned round": ([["cat", 1, 7]], '["cat", 1, 7] is no'),
    "a level in quotes": ([[1, "cat", "7"]], '[1, "cat", "7"] is no'),
    "half a level": ([[1, "cat", 7.5]], '[1, "cat", 7.5] is no'),
    "true": ([[True, "cat", 7]], '[true, "cat", 7] is no'),
    "a true level": ([[1, "cat", True]], '[1, "cat", true] is no'),
    "not a number": ('[[1, "cat", NaN]]', '[1, "cat", NaN] is no'),
    "an object": ([{"line": 1, "text": "cat", "level": 7}], '{"line": 1, "text": "cat", "level": 7} is no'),
    "no entry": ([1, "cat", 7], "1 is no"),
    "no piece": ([[1, "", 7]], "the text of an entry for line 1 is empty"),
    "a level too high": ([[1, "cat", 11]], 'level 11 of "cat" in line 1 is not between 0 and 10'),
    "a level too low": ([[0, "cat", -1]], 'level -1 of "cat" in line 0 is not between 0 and 10'),
    "no such line": ([[3, "cat", 7]], "there is no line 3; lines are 1 to 2"),
    "a line below": ([[-1, "cat", 7]], "there is no line -1; lines are 1 to 2"),
    "another line": ([[2, "cat", 7]], 'line 2 holds no "cat"; it stands in line 1'),
    "no line": ([[2, "bird", 7]], 'line 2 holds no "bird"; copy what stands there exactly'),
    "an ellipsis": ([[1, "The … dog", 7]], 'line 1 holds no "The … dog"'),
    "once too often": ([[1, "dog", 7]] * 2, '"dog" is listed more often for line 1 than it stands there, 1'),
    "twice everywhere": ([[0, "the", 7], [0, "the", 8]], '"the" is listed twice for line 0'),
    "half a surrogate": ('[[1, "\\ud800", 7]]', 'line 1 holds no "\\ud800"'),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_replies_say_what_is_wrong(name: str) -> None:
    reply, said = BAD[name]
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        read(reply, ICE)
    assert str(error.value).encode(), "can be stored"


def test_the_schema_is_strict() -> None:
    found = json.loads(SCHEMA)
    assert found["required"] == [*found["properties"]] == ["fires"]
    assert (found["type"], found["additionalProperties"]) == ("object", False)
    entry = found["properties"]["fires"]["items"]
    assert (entry["type"], entry["minItems"], entry["maxItems"]) == ("array", 3, 3)
    assert entry["items"] == {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}


WORDS = [
    " the", " The", "the", " theatre", " a", "n", " n", "\n", "\\n", "\t", " ", "  ", ",", '"', "[1", "]", " 日", " é", "É",
    "''", "'s", "ß", " ss", "10", " 1",
]  # fmt: skip
"""Tokens that are parts of one another, or look alike."""


@pytest.mark.parametrize("seed", range(12))
def test_all_levels_of_all_tokens_can_be_said(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = []
    for n in rng.integers(1, 40, 5):
        tokens = [WORDS[i] for i in rng.integers(0, len(WORDS), n)]
        levels = rng.integers(0, 11, n) * (rng.random(n) < rng.random())
        texts.append((tokens, levels))
    reply = ideal.quotes(texts)
    found = parse_quotes(reply, [Shown(tokens) for tokens, _ in texts])
    assert [f.tolist() for f in found] == [levels.tolist() for _, levels in texts]


def test_what_stands_everywhere_is_said_once() -> None:
    tokens = [" the", " cat", ",", " the", " dog", ",", " bathe"]
    levels = np.array([7, 0, 2, 7, 3, 0, 0])
    reply = ideal.quotes([(tokens, levels), (tokens[::-1], levels[::-1])])
    assert reply.count('"the"') == 1 and '[0,"the",7]' in reply
    with pytest.raises(ValueError, match="no reply says these levels"):
        ideal.quotes([(SPLIT, np.array([0, 3, 0, 0, 0]))])
