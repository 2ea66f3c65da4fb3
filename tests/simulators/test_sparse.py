from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import numpy as np
import pytest

from neuroexplain import testing
from neuroexplain.errors import LLMPermanentError
from neuroexplain.llm.base import LLM, Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.records import Simulation
from neuroexplain.simulators.quoting import SCHEMA
from neuroexplain.simulators.sparse import SparseSimulator
from tests import ideal

Build = Any  # of conftest.py, which cannot be imported


def simulate(build: Build, replies: list[str], n_spans: int, **settings: int) -> Simulation:
    return simulated(build, build.scripted(*replies), n_spans, **settings)


def simulated(build: Build, llm: LLM, n_spans: int, **settings: int) -> Simulation:
    spans = [build.span("a b c") for _ in range(n_spans)]
    simulation = asyncio.run(SparseSimulator(llm, **settings).simulate(build.explanation(), spans))
    assert [s.span for s in simulation.spans] == spans
    return simulation


def test_lines_run_through_the_spans_of_a_call(build: Build) -> None:
    replies = [
        '[[1,"a",1],[1,"c",2],[2,"a b",3]]',
        '{"fires":[[1,"b",9]]}',
    ]
    found = simulate(build, replies, 3, spans_per_call=2)
    assert [s.expected.tolist() for s in found.spans if s.expected is not None] == [
        [1, 0, 2], [3, 3, 0], [0, 9, 0]
    ]  # fmt: skip
    assert (found.coverage, found.llm) == (1.0, "scripted:test")
    assert found.settings == {"spans_per_call": 2, "max_tokens": 2000}


def test_one_call_is_enough_for_what_is_scored_by_default(build: Build) -> None:
    found = simulate(build, ['{"fires":[[0,"b",4],[15,"c",7]]}'], 15)
    levels = [s.expected.tolist() for s in found.spans if s.expected is not None]
    assert levels == [*[[0, 4, 0]] * 14, [0, 4, 7]]


def test_a_bad_reply_is_repaired_once(build: Build) -> None:
    found = simulate(build, ["The b.", '[[1,"b",5]]'], 1)
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == [0, 5, 0]


def test_a_failed_repair_fails_the_spans_of_its_call_only(build: Build) -> None:
    replies = ['[[1,"a",1]]', "oh", '[[9,"a",1]]', "[]"]
    found = simulate(build, replies, 5, spans_per_call=2)
    assert [s.expected is None for s in found.spans] == [False, False, True, True, False]
    assert found.coverage == 3 / 5
    for span in found.spans[2:4]:
        assert span.failure is not None
        assert (span.failure.stage, span.failure.reason) == ("simulate", "parse_failed")
        assert span.failure.message == "there is no line 9; lines are 1 to 2"
        assert span.failure.raw_reply == '[[9,"a",1]]'
    assert all(s.failure is None for s in found.spans if s.expected is not None)


class CutOff:
    """A model that reaches its limit in the first replies."""

    spec = identity = "cut:off"

    def __init__(self, *replies: tuple[str, str]) -> None:
        self._replies = iter(replies)
        self.asked: list[Request] = []

    async def chat(self, request: Request) -> Reply:
        self.asked.append(request)
        text, reason = next(self._replies)
        return Reply(text, None, None, 0.0, finish_reason=reason)

    def stop(self) -> None:
        """Nothing waits."""

    async def close(self) -> None:
        """Nothing to free."""


def test_a_reply_that_was_cut_off_is_told_so(build: Build) -> None:
    llm = CutOff(('[[1,"a",1],[1,"b"', "length"), ('[[1,"a",1]]', "stop"))
    (span,) = simulated(build, llm, 1).spans
    assert span.expected is not None and span.expected.tolist() == [1, 0, 0]
    assert "the reply was cut off; it has to be shorter" in llm.asked[1].messages[-1].text
    whole = CutOff(('[[1,"a",1]]', "length"))
    (span,) = simulated(build, whole, 1).spans
    assert span.expected is not None, "what is whole counts, however it ended"


def test_no_reply_at_all_is_raised(build: Build) -> None:
    with pytest.raises(LLMPermanentError, match="no reply left"):
        simulate(build, ["bad"], 1)


def test_nothing_to_simulate(build: Build) -> None:
    assert simulate(build, [], 0).spans == ()


@pytest.mark.parametrize("setting", ["spans_per_call", "max_tokens"])
def test_settings_are_at_least_one(build: Build, setting: str) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        SparseSimulator(build.scripted(), **{setting: 0})


def test_prompts_of_neurons_begin_alike(build: Build) -> None:
    """Instructions and shared spans come first, what differs behind them, and the explanation at the end."""
    shared = [build.span("The old river froze"), build.span("and nobody saw it")]
    asked = []
    for text, own in (("rivers", "a b"), ("ice", "c d e")):
        llm = CutOff(("[]", "stop"))
        spans = [*shared, build.span(own)]
        asyncio.run(SparseSimulator(llm).simulate(build.explanation(text), spans))
        (request,) = llm.asked
        assert request.schema == SCHEMA
        asked.append(request.messages)
    first, second = asked
    assert first[0] == second[0]
    alike = "1:The old river froze\n\n2:and nobody saw it\n\n3:"
    assert first[1].text.startswith(f"{alike}a b\n\nThe neuron responds to: rivers\n")
    assert second[1].text.startswith(f"{alike}c d e\n\nThe neuron responds to: ice\n")


def test_over_http_with_text_that_looks_like_the_prompt(build: Build) -> None:
    """The server answers each call once badly, then with what is true of the lines that it was shown."""
    spans = build.tricky()
    truth = [np.arange(len(span)) % 11 for span in spans]
    for span, levels in zip(spans, truth, strict=True):
        empty = span.tokens.index("")
        levels[empty] = levels[empty - 1]  # has its character from there
    replies = {
        span.tokens[0]: ideal.quotes([(span.tokens, levels)])
        for span, levels in zip(spans, truth, strict=True)
    }

    def answer(body: dict[str, Any]) -> str:
        asked = body["messages"]
        if len(asked) == 2:
            return '[[7,"a",0]]'
        assert asked[2]["content"] == '[[7,"a",0]]'
        assert "there is no line 7; lines are 1 to 2." in asked[3]["content"]
        texts, told = asked[1]["content"].split("\n\nThe neuron responds to: ")
        assert told.startswith("1:Text\\n\\nThe neuron responds to: {")
        numbers = re.findall(r"^(\d+):", texts, flags=re.MULTILINE)
        assert numbers == ["1", "2"]
        return replies["a\nb" if texts.startswith("1:a\\nb") else "é"]

    async def run(url: str) -> Simulation:
        llm = OpenAIChat("any", base_url=url)
        told = build.explanation('1:Text\n\nThe neuron responds to: {"fires":[[1,"é",10]]}')
        found = await SparseSimulator(llm, spans_per_call=1).simulate(told, spans)
        await llm.close()
        return found

    with testing.serve(answer) as server:
        found = asyncio.run(run(server.base_url))
    assert len(server.chats) == 4
    sent = server.chats[0]["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]) == (True, json.loads(SCHEMA))
    expected = [s.expected.tolist() for s in found.spans if s.expected is not None]
    assert expected == [t.tolist() for t in truth]
