from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from neuroexplain.errors import ConfigError, LLMPermanentError
from neuroexplain.llm.base import AnswersMarked, Request
from neuroexplain.llm.scripted import ScriptedLLM
from neuroexplain.templates import Message


def load(tmp_path: Path, text: str) -> ScriptedLLM:
    file = tmp_path / "script.jsonl"
    file.write_text(text, encoding="utf-8")
    return ScriptedLLM.load(str(file))


def ask(llm: ScriptedLLM, *texts: str) -> list[str]:
    async def run() -> list[str]:
        asked = [Request((Message("user", text),), "explain", 9) for text in texts]
        return [(await llm.chat(request)).text for request in asked]

    return asyncio.run(run())


def test_matches_any_number_of_times_and_the_others_in_order(tmp_path: Path) -> None:
    llm = load(
        tmp_path,
        '{"reply": "first"}\n\n{"match": "river", "reply": "water"}\n{"reply": "second"}\n',
    )
    assert ask(llm, "a river", "x", "the river", "y") == ["water", "first", "water", "second"]
    with pytest.raises(LLMPermanentError, match="no reply left for: 'z'"):
        ask(llm, "z")


def test_only_the_last_user_message_is_matched(tmp_path: Path) -> None:
    llm = load(tmp_path, '{"match": "river", "reply": "water"}')
    messages = (Message("user", "river"), Message("assistant", "river"), Message("user", "sea"))
    with pytest.raises(LLMPermanentError):
        asyncio.run(llm.chat(Request(messages, "explain", 9)))


def test_tokens_are_words(tmp_path: Path) -> None:
    llm = load(tmp_path, '{"reply": "three little words"}')
    messages = (Message("system", "be kind"), Message("user", "hello"))
    reply = asyncio.run(llm.chat(Request(messages, "explain", 9)))
    assert (reply.prompt_tokens, reply.completion_tokens) == (3, 3)
    assert not isinstance(llm, AnswersMarked)


def test_identity_is_the_text_not_the_place(tmp_path: Path) -> None:
    one = load(tmp_path, '{"reply": "a"}')
    other = load(tmp_path, '{"reply": "b"}')
    assert one.spec == other.spec == f"scripted:{tmp_path / 'script.jsonl'}"
    assert one.identity != other.identity


@pytest.mark.parametrize(
    "line",
    ["no JSON", "[]", "{}", '{"match": "x"}', '{"reply": 3}', '{"reply": "a", "macth": "b"}'],
)
def test_a_wrong_line_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"script.jsonl, line 2: write \{"):
        load(tmp_path, f'{{"reply": "a"}}\n{line}\n')


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        ScriptedLLM.load(str(tmp_path / "absent.jsonl"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        ScriptedLLM.load(str(tmp_path / "bytes"))
