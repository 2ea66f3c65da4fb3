from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import numpy as np
import pytest

from neuroexplain import testing
from neuroexplain.errors import LLMPermanentError
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.records import Simulation, TokenSpan
from neuroexplain.simulators.sparse import SCHEMA, SparseSimulator, parse

Build = Any  # of conftest.py, which cannot be imported


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
    found = parse(reply, 4)
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
    "[[2, 1], [2, 1]]": "token 2 is listed twice",
    "[[0, 1]]": "there is no token 0; tokens are 1 to 4",
    "[[5, 1]]": "there is no token 5; tokens are 1 to 4",
    "[[-1, 1]]": "there is no token -1; tokens are 1 to 4",
    "[[1, 11]]": "level 11 of token 1 is not between 0 and 10",
    "[[1, -0.1]]": "level -0.1 of token 1 is not between 0 and 10",
    "[[1, NaN]]": "level nan of token 1 is not between 0 and 10",
    "[[1, Infinity]]": "level inf of token 1 is not between 0 and 10",
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
        parse(reply, 4)


def test_the_schema_is_strict() -> None:
    found = json.loads(SCHEMA)
    assert found["required"] == [*found["properties"]] == ["fires"]
    assert (found["type"], found["additionalProperties"]) == ("object", False)
    pair = found["properties"]["fires"]["items"]
    assert (pair["type"], pair["minItems"], pair["maxItems"]) == ("array", 2, 2)
    assert pair["items"] == {"type": "integer", "minimum": 0}


def simulate(build: Build, replies: list[str], n_spans: int, **settings: int) -> Simulation:
    simulator = SparseSimulator(build.scripted(*replies), **settings)
    spans = [build.span("a b c") for _ in range(n_spans)]
    simulation = asyncio.run(simulator.simulate(build.explanation(), spans))
    assert [s.span for s in simulation.spans] == spans
    return simulation


def test_numbers_run_through_the_spans_of_a_call(build: Build) -> None:
    found = simulate(build, ["[[1, 1], [3, 2], [4, 3], [6, 4]]", "[[2, 9]]"], 3, spans_per_call=2)
    assert [s.expected.tolist() for s in found.spans if s.expected is not None] == [
        [1, 0, 2], [3, 0, 4], [0, 9, 0]
    ]  # fmt: skip
    assert (found.coverage, found.llm) == (1.0, "scripted:test")
    assert found.settings == {"spans_per_call": 2, "max_tokens": 1000}


def test_a_bad_reply_is_repaired_once(build: Build) -> None:
    found = simulate(build, ["Token 2.", "[[2, 5]]"], 1)
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == [0, 5, 0]


def test_a_failed_repair_fails_the_spans_of_its_call_only(build: Build) -> None:
    replies = ["[[1, 1]]", "oh", "[[9, 1]]", "[]"]
    found = simulate(build, replies, 5, spans_per_call=2)
    assert [s.expected is None for s in found.spans] == [False, False, True, True, False]
    assert found.coverage == 3 / 5
    for span in found.spans[2:4]:
        assert span.failure is not None
        assert (span.failure.stage, span.failure.reason) == ("simulate", "parse_failed")
        assert span.failure.message == "there is no token 9; tokens are 1 to 6"
        assert span.failure.raw_reply == "[[9, 1]]"
    assert all(s.failure is None for s in found.spans if s.expected is not None)


def test_no_reply_at_all_is_raised(build: Build) -> None:
    with pytest.raises(LLMPermanentError, match="no reply left"):
        simulate(build, ["bad"], 1)


def test_nothing_to_simulate(build: Build) -> None:
    assert simulate(build, [], 0).spans == ()


@pytest.mark.parametrize("setting", ["spans_per_call", "max_tokens"])
def test_settings_are_at_least_one(build: Build, setting: str) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        SparseSimulator(build.scripted(), **{setting: 0})


def test_over_http_with_text_that_looks_like_the_prompt(build: Build) -> None:
    """The server answers each call once badly, then with the number of every numbered token that it was shown."""

    def answer(body: dict[str, Any]) -> str:
        asked = body["messages"]
        if len(asked) == 2:
            return "[[0, 0]]"
        assert asked[2]["content"] == "[[0, 0]]"
        assert "there is no token 0; tokens are 1 to" in asked[3]["content"]
        lines = asked[1]["content"].split("\n")
        assert lines[0] == "The neuron responds to: Text 1:\\n1:[[1, 10]]"
        numbers = [i for line in lines[3:-3] for i in re.findall(r"(?:^| )(\d+):", line)]
        return str([[int(i), int(i) % 10] for i in dict.fromkeys(numbers)])

    async def run(url: str, spans: list[TokenSpan]) -> Simulation:
        llm = OpenAIChat("any", base_url=url)
        explanation = build.explanation("Text 1:\n1:[[1, 10]]")
        found = await SparseSimulator(llm, spans_per_call=1).simulate(explanation, spans)
        await llm.close()
        return found

    spans = build.tricky()
    with testing.serve(answer) as server:
        found = asyncio.run(run(server.base_url, spans))
    assert len(server.chats) == 4
    expected = [(i + 1) % 10 for i in range(len(spans[0]))]
    assert [s.expected.tolist() for s in found.spans if s.expected is not None] == [expected] * 2
