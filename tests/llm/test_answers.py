"""Lists of levels: what is read, what is refused with which words, and the schema that strict servers are sent."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from neuroexplain.llm.answers import LEVELS_SCHEMA, parse_levels, parse_list


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("[[2, 7], [4, 10]]", [0, 7, 0, 10]),
        (" \n[[1, 0.5]]\n", [0.5, 0, 0, 0]),
        ("[]", [0, 0, 0, 0]),
        ("```json\n[[3, 1]]\n```", [0, 0, 1, 0]),
        ("```\n[[3, 1]]\n```\n", [0, 0, 1, 0]),
        ("[\n  [4, 1],\n  [1, 0]\n]", [0, 0, 0, 1]),
        ('{"fires": [[2, 7], [4, 10]]}', [0, 7, 0, 10]),
        (' {"fires":[]}\n', [0, 0, 0, 0]),
        ('```json\n{\n  "fires": [[3, 1.5]]\n}\n```', [0, 0, 1.5, 0]),
    ],
)
def test_good_replies(reply: str, expected: list[float]) -> None:
    found = parse_levels(reply, 4)
    assert found.tolist() == expected
    assert found.dtype == np.float32


BAD = {
    "": "not JSON alone",
    "Here you are: [[1, 2]]": "not JSON alone",
    "[[1, 2]] I hope this helps.": "not JSON alone",
    "Sure:\n```json\n[[1, 2]]\n```": "not JSON alone",
    "```json\n[[1, 2]]": "not JSON alone",
    "[[1, 2], [3": "not JSON alone",
    "[" * 100_000: "not JSON alone",
    "7": "the reply holds no list of [number, level] pairs",
    "null": "the reply holds no list of [number, level] pairs",
    '"fires"': "the reply holds no list of [number, level] pairs",
    '{"fires": 7}': "the reply holds no list of [number, level] pairs",
    '{"fires": {"1": 2}}': "the reply holds no list of [number, level] pairs",
    '{"fires": null}': "the reply holds no list of [number, level] pairs",
    '{"1": 2}': 'the only key is "fires"; the reply has "1"',
    "{}": 'the only key is "fires"; the reply has none',
    '{"Fires": []}': 'the only key is "fires"; the reply has "Fires"',
    '{"fires": [], "why": "ice"}': 'the only key is "fires"; the reply has "fires", "why"',
    '{"fires": [[1, 2]], "fires": []}': "not JSON alone: an object has a key twice",
    '[{"fires": []}]': '{"fires": []} is not a [number, level] pair',
    'Here you are: {"fires": []}': "not JSON alone",
    '{"fires": [[1, 2]]} I hope this helps.': "not JSON alone",
    '{"fires": [[1, 2]]}\n{"fires": [[1, 2]]}': "not JSON alone",
    'Sure:\n```json\n{"fires": []}\n```': "not JSON alone",
    '{"fires": [[1, 2], [3': "not JSON alone",
    "[[2, 1], [2, 1]]": "number 2 is listed twice",
    "[[0, 1]]": "there is no number 0; numbers are 1 to 4",
    "[[5, 1]]": "there is no number 5; numbers are 1 to 4",
    "[[-1, 1]]": "there is no number -1; numbers are 1 to 4",
    "[[1, 11]]": "level 11 of number 1 is not between 0 and 10",
    "[[1, -0.1]]": "level -0.1 of number 1 is not between 0 and 10",
    "[[1, NaN]]": "level nan of number 1 is not between 0 and 10",
    "[[1, Infinity]]": "level inf of number 1 is not between 0 and 10",
    f"[[1, {'9' * 5000}]]": "not JSON alone",
    "[1, 2]": "1 is not a [number, level] pair",
    '[["1", 2]]': '["1", 2] is not a [number, level] pair',
    "[[1.0, 2]]": "[1.0, 2] is not a [number, level] pair",
    "[[1, null]]": "[1, null] is not a [number, level] pair",
    "[[true, 2]]": "[true, 2] is not a [number, level] pair",
    "[[1, true]]": "[1, true] is not a [number, level] pair",
    "[[1, 2, 3]]": "[1, 2, 3] is not a [number, level] pair",
    "[[1]]": "[1] is not a [number, level] pair",
    "[[]]": "[] is not a [number, level] pair",
}


WRAPPED = {
    f'{{"fires": {reply}}}': said
    for reply, said in BAD.items()
    if reply.startswith("[") and not said.startswith("not JSON")
}
"""The same lists in an object: no less strict."""


@pytest.mark.parametrize(("reply", "said"), [*BAD.items(), *WRAPPED.items()], ids=lambda s: s[:30])
def test_bad_replies_say_what_is_wrong(reply: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_levels(reply, 4)


def test_the_schema_is_strict() -> None:
    found = json.loads(LEVELS_SCHEMA)
    assert found["required"] == [*found["properties"]] == ["fires"]
    assert (found["type"], found["additionalProperties"]) == ("object", False)
    pair = found["properties"]["fires"]["items"]
    assert (pair["type"], pair["minItems"], pair["maxItems"]) == ("array", 2, 2)
    assert pair["items"] == {"type": "integer", "minimum": 0}


def test_entries_are_left_to_the_reader() -> None:
    assert parse_list('{"fires": [1, "a", [null]]}', "things") == [1, "a", [None]]
    with pytest.raises(ValueError, match="the reply holds no list of things"):
        parse_list('{"fires": "a"}', "things")
