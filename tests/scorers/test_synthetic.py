"""Texts written to an explanation: what replies become, whatever they are."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from neuroexplain.errors import LLMReplyError, LLMUnavailableError
from neuroexplain.llm.base import Reply, Request
from neuroexplain.registry import create, find, settings
from neuroexplain.scorers.synthetic import LONGEST, MatchingTexts, Synthetic, parse_texts
from neuroexplain.tracks import is_staged

Build = Any  # of conftest.py, which cannot be imported
FOUR = ("the pond froze", "4.5 kg of ice", "the U.S. in the 1990s", "Theater on ice")
GOOD = json.dumps({"texts": FOUR})


def written(llm: Any, texts: int = 4) -> MatchingTexts:
    return asyncio.run(Synthetic(llm, texts=texts).write("words about ice", seed=0))


def test_texts_come_as_they_were_written(build: Build) -> None:
    found = written(build.scripted(GOOD))
    assert found.texts == FOUR
    assert (found.wanted, found.duplicates, found.unusable, found.failure) == (4, 0, 0, None)
    assert found.prompt_sha256 is not None


@pytest.mark.parametrize(
    "text",
    ["1990s", "4.5 kg", "1. e4 e5", "U.S.", "3) 4]", '"quoted"', "naïve – café", "a\tb", "\\n", "{{ x }}", "  led by spaces", "🧊"],
)  # fmt: skip
def test_texts_survive_byte_for_byte(text: str) -> None:
    others = ["one", "two"]
    assert parse_texts(json.dumps({"texts": [*others, text]}), 3).texts == (*others, text)
    assert parse_texts(json.dumps([*others, text], ensure_ascii=False), 3).texts[2] == text


@pytest.mark.parametrize(
    ("entries", "kept", "duplicates", "unusable"),
    [
        (["ice", "frost", "ice", "Ice ", "FROST"], ("ice", "frost"), 3, 0),
        (["ice", "", " \n", "frost", "x" * (LONGEST + 1)], ("ice", "frost"), 0, 3),
        (["ice", "nul\0", "\ud83e", "frost"], ("ice", "frost"), 0, 2),
        (["ice", "frost", "snow", "hail", "sleet"], ("ice", "frost", "snow"), 0, 0),
        (["ice", "frost", "frost", "snow", "hail"], ("ice", "frost", "snow"), 1, 0),
    ],
    ids=["twice", "empty or long", "unreadable", "more than wanted", "more after one twice"],
)
def test_what_is_left_out_is_counted(
    entries: list[str], kept: tuple[str, ...], duplicates: int, unusable: int
) -> None:
    found = parse_texts(json.dumps(entries), 3)
    assert (found.texts, found.duplicates, found.unusable) == (kept, duplicates, unusable)


BAD = {
    "empty": ("", "parse_failed"),
    "null": ("null", "parse_failed"),
    "null for a list": ('{"texts": null}', "parse_failed"),
    "empty list": ('{"texts": []}', "too_few_texts"),
    "refusal": ("I'm sorry, but I can't help with that.", "parse_failed"),
    "prose before": (f"Here are the texts:\n{GOOD}", "parse_failed"),
    "prose behind": (f"{GOOD}\nI hope this helps!", "parse_failed"),
    "numbered lines": ("1. the pond froze\n2. 4.5 kg of ice", "parse_failed"),
    "cut off": (GOOD[:-12], "parse_failed"),
    "too few": ('["the pond froze"]', "too_few_texts"),
    "one text all over": (json.dumps(["ice"] * 20), "too_few_texts"),
    "another key": (json.dumps({"sentences": FOUR}), "parse_failed"),
    "a key twice": ('{"texts": ["ice"], "texts": ["frost"]}', "parse_failed"),
    "numbers": ("[1990, 4.5]", "parse_failed"),
    "objects": ('[{"text": "the pond froze"}]', "parse_failed"),
    "deep": ("[" * 100_000, "parse_failed"),
    "not a number": ('{"texts": NaN}', "parse_failed"),
}


@pytest.mark.parametrize(("reply", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_replies_are_repaired_once(build: Build, reply: str, reason: str) -> None:
    assert written(build.scripted(reply, GOOD)).texts == FOUR
    failed = written(build.scripted(reply, reply))
    assert failed.texts == ()
    assert failed.failure is not None
    assert (failed.failure.stage, failed.failure.reason) == ("score", reason)
    assert failed.failure.raw_reply == reply
    assert failed.failure.message


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```", "\n  {}  \n"])
def test_one_fence_round_the_answer_is_no_prose(fence: str) -> None:
    assert parse_texts(fence.replace("{}", GOOD), 4).texts == FOUR


def test_half_of_what_is_wanted_will_do(build: Build) -> None:
    found = written(build.scripted(GOOD), texts=8)
    assert (found.texts, found.wanted, found.failure) == (FOUR, 8, None)


class Short:
    """A model whose replies are cut off at the token limit, or that gives none."""

    spec = identity = "scripted:short"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Request] = []

    async def chat(self, request: Request) -> Reply:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return Reply('{"texts": ["the pond fr', 10, 8, 1.0, finish_reason="length")

    def stop(self) -> None:
        """Nothing is under way."""

    async def close(self) -> None:
        """Nothing is open."""


def test_a_reply_that_was_cut_off_says_so() -> None:
    found = written(Short())
    assert found.failure is not None
    assert found.failure.reason == "truncated"


def test_no_reply_for_this_call_is_a_failure_and_no_server_an_error() -> None:
    found = written(Short(LLMReplyError("refused", raw="no", reason="refusal")))
    assert found.failure is not None
    assert (found.failure.reason, found.failure.raw_reply) == ("refusal", "no")
    with pytest.raises(LLMUnavailableError):
        written(Short(LLMUnavailableError("down")))


def test_the_request_says_all_that_decides_the_reply() -> None:
    llm = Short()
    asyncio.run(Synthetic(llm, texts=7, max_tokens=99, temperature=0.5).write("ice", seed=3))
    first, repair = llm.asked
    assert (first.purpose, repair.purpose) == ("score", "repair")
    assert (first.max_tokens, first.temperature, first.seed) == (99, 0.5, 3)
    assert json.loads(first.schema or "")["required"] == ["texts"]
    assert "7 texts" in first.messages[-1].text


@pytest.mark.parametrize("bad", [{"texts": 1}, {"max_tokens": 0}])
def test_settings_that_make_no_sense(build: Build, bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Synthetic(build.scripted(), **bad)


def test_it_is_a_plug_in_with_a_stage_of_its_own(build: Build) -> None:
    assert is_staged("synthetic")
    assert settings(find("scorer", "synthetic"))["texts"] == 20
    made = create("scorer", "synthetic", {"texts": "12"}, build.scripted())
    assert made.texts == 12
    assert made.template_sha256
