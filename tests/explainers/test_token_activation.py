from __future__ import annotations

import asyncio
from typing import Any

import pytest

from neuroexplain import testing
from neuroexplain.errors import LLMPermanentError
from neuroexplain.explainers.token_activation import TokenActivation
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.records import Evidence, Explanation

Build = Any  # of conftest.py, which cannot be imported


def explain(llm: Any, evidence: Evidence) -> Explanation:
    return asyncio.run(TokenActivation(llm).explain(evidence, seed=0))


@pytest.fixture
def river(build: Build) -> Evidence:
    evidence: Evidence = build.evidence([build.exemplar(build.span("The river froze"), [0, 1, 4])])
    return evidence


def test_over_http(river: Evidence) -> None:
    def answer(body: dict[str, Any]) -> str:
        assert body["messages"][-1]["content"].endswith(": what does this neuron respond to?\n")
        return "words for ice\n"

    async def run(url: str) -> Explanation:
        llm = OpenAIChat("any", base_url=url)
        found = await TokenActivation(llm).explain(river, seed=3)
        await llm.close()
        return found

    with testing.serve(answer) as server:
        found = asyncio.run(run(server.base_url))
    assert (found.text, found.status, found.llm) == ("words for ice", "ok", "openai:any")
    assert found.scale == river.scale
    assert found.settings == {
        "examples": 5,
        "window": 32,
        "shots": 3,
        "max_tokens": 100,
        "temperature": 0.0,
    }
    (chat,) = server.chats
    assert [m["role"] for m in chat["messages"]] == ["system", *["user", "assistant"] * 3, "user"]
    assert chat["seed"] == 3


def test_no_reply_at_all_is_raised(build: Build, river: Evidence) -> None:
    with pytest.raises(LLMPermanentError, match="no reply left"):
        explain(build.scripted(), river)


@pytest.mark.parametrize("polarity", [1, -1])
def test_a_dead_neuron_costs_no_call(build: Build, polarity: int) -> None:
    silent = build.exemplar(build.span("The river"), [-polarity, 0], polarity=polarity)
    found = explain(build.scripted(), build.evidence([silent], polarity=polarity))
    assert found.failure is not None
    assert (found.failure.reason, found.failure.raw_reply) == ("dead_neuron", None)
    assert (found.text, found.prompt_sha256) == ("", None)


@pytest.mark.parametrize(("active", "repeated"), [(0, True), (1, True), (2, False), (5, False)])
def test_few_active_tokens_are_repeated(build: Build, active: int, repeated: bool) -> None:
    # One of five tokens is the limit: 2 of 10 are not below it.
    values = [1.0] * active + [0.0] * (10 - active)
    exemplar = build.exemplar(build.span("a b c d e f g h i j"), values)
    prompt = TokenActivation(build.scripted()).prompt(build.evidence([exemplar], scale=1.0))
    assert ("Only the active tokens:" in prompt.messages[-1].text) == (repeated and active > 0)


@pytest.mark.parametrize(
    ("tokens", "levels", "shown"),
    [
        (["The", " river", " froze"], [0, 2, 10], "The [river:2] [froze:10]"),
        ([" black", "bird", "s"], [0, 8, 3], " black[bird:8][s:3]"),
        (["x[", "0", "]:", " y"], [7, 0, 4, 0], r"[x\[:7]0[\]::4] y"),
        (["a", "  ", "\n", "\\[", "b"], [0, 5, 6, 7, 0], r"a[  :5][\n:6][\\\[:7]b"),
        (["é", "", " ", "日", "", ""], [0, 3, 0, 2, 0, 9], "[é:3] [日:9]"),
        (["", "a"], [4, 0], "[:4]a"),
    ],
)
def test_how_levels_stand_in_a_text(
    build: Build, tokens: list[str], levels: list[int], shown: str
) -> None:
    exemplar = build.exemplar(build.span(tokens), levels)
    prompt = TokenActivation(build.scripted()).prompt(build.evidence([exemplar], scale=10.0))
    assert prompt.messages[-1].text.startswith(f"1: {shown}\n\n")


def test_only_the_strongest_top_spans_are_shown(build: Build) -> None:
    exemplars = [
        build.exemplar(build.span([f"random{i}"]), [9], kind="random", rank=i) for i in range(3)
    ]
    exemplars += [build.exemplar(build.span([f"top{i}"]), [9 - i], rank=i) for i in range(3)]
    explainer = TokenActivation(build.scripted(), examples=2)
    asked = explainer.prompt(build.evidence(exemplars)).messages[-1].text
    assert ("top0" in asked, "top1" in asked, "top2" in asked) == (True, True, False)
    assert "random" not in asked


@pytest.mark.parametrize("setting", ["examples", "window", "max_tokens"])
def test_settings_are_at_least_one(build: Build, setting: str) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        TokenActivation(build.scripted(), **{setting: 0})
