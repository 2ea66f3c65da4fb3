from __future__ import annotations

import asyncio
from typing import Any

import pytest

from neuroexplain import testing
from neuroexplain.errors import LLMPermanentError
from neuroexplain.explainers.token_activation import TokenActivation, first_sentence, windows
from neuroexplain.llm.base import Reply
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.records import Evidence, Explanation

Build = Any  # of conftest.py, which cannot be imported


def explain(llm: Any, evidence: Evidence) -> Explanation:
    return asyncio.run(TokenActivation(llm).explain(evidence, seed=0))


@pytest.fixture
def river(build: Build) -> Evidence:
    evidence: Evidence = build.evidence([build.exemplar(build.span("The river froze"), [0, 1, 4])])
    return evidence


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("ice", "stop", "ice"),
        (" ice and snow.\n", "stop", "ice and snow."),
        ("\n\r\n  ice\n\nBecause it says so.", "stop", "ice"),
        ("ice\nThe second line was c", "length", "ice"),
        ("Words of ice. And also th", "length", "Words of ice."),
        ("Words of ice.", "length", "Words of ice."),
        ("One. Two. Thr", "length", "One. Two."),
        ("x" * 512, "stop", "x" * 512),
    ],
)
def test_usable_replies(text: str, finish: str, expected: str) -> None:
    assert first_sentence(Reply(text, 1, 1, 0.0, finish)) == (expected, "")


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("", "stop", "empty_reply"),
        (" \n\t\u2028\n", "stop", "empty_reply"),
        ("", "length", "empty_reply"),
        ("words about the ri", "length", "truncated"),
        ("about 3.5 metres of wa", "length", "truncated"),
        ("x" * 513, "stop", "too_long"),
    ],
)
def test_unusable_replies(
    build: Build, river: Evidence, text: str, finish: str, reason: str
) -> None:
    assert first_sentence(Reply(text, 1, 1, 0.0, finish)) == ("", reason)
    if finish == "stop":
        found = explain(build.scripted(text), river)
        assert (found.status, found.text) == ("failed", "")
        assert found.failure is not None
        assert (found.failure.stage, found.failure.reason) == ("explain", reason)
        assert found.failure.raw_reply == text
        assert found.prompt_sha256 is not None


def test_over_http(river: Evidence) -> None:
    def answer(body: dict[str, Any]) -> str:
        assert body["messages"][-1]["content"].endswith("What does this neuron respond to?\n")
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


@pytest.mark.parametrize(
    ("peak", "size", "shown"),
    [
        (0, 4, range(4)),
        (2, 4, range(4)),
        (5, 4, range(3, 7)),
        (9, 4, range(6, 10)),
        (5, 3, range(4, 7)),
        (5, 1, range(5, 6)),
        (5, 10, range(10)),
        (5, 99, range(10)),
    ],
)
def test_the_window_is_round_the_peak(build: Build, peak: int, size: int, shown: range) -> None:
    span = build.span([f" {i}" for i in range(10)])
    exemplar = build.exemplar(span, [2.0 * (i == peak) for i in range(10)])
    (found,) = windows([exemplar], build.evidence([exemplar]), size)
    assert found == [(f" {i}", 10 * (i == peak)) for i in shown]


@pytest.mark.parametrize(("polarity", "levels"), [(1, [0, 0, 0, 3, 10]), (-1, [0, 10, 2, 0, 0])])
def test_levels_are_of_the_polaritys_side(build: Build, polarity: int, levels: list[int]) -> None:
    # The first token does not count, however strong it is.
    exemplar = build.exemplar(
        build.span("a b c d e", first=1), [99 * polarity, -8, -2, 1, 3], polarity=polarity
    )
    evidence = build.evidence([exemplar], polarity=polarity)
    (found,) = windows([exemplar], evidence, 32)
    assert [level for _, level in found] == levels


@pytest.mark.parametrize(("active", "repeated"), [(0, True), (1, True), (2, False), (5, False)])
def test_few_active_tokens_are_repeated(build: Build, active: int, repeated: bool) -> None:
    # One of five tokens is the limit: 2 of 10 are not below it.
    values = [1.0] * active + [0.0] * (10 - active)
    exemplar = build.exemplar(build.span("a b c d e f g h i j"), values)
    prompt = TokenActivation(build.scripted()).prompt(build.evidence([exemplar], scale=1.0))
    assert ("only the tokens above level 0" in prompt.messages[-1].text) == (
        repeated and active > 0
    )


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
