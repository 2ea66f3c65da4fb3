"""The ledger over a real server, with a real SQLite file behind it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.llm.base import AnswersMarked, Request
from neuroexplain.llm.ledger import ledgered
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.llm.scripted import ScriptedLLM
from neuroexplain.records import Call, Floats
from neuroexplain.templates import Message, Prompt
from neuroexplain.testing import Answer, Response, completion, serve

ASKED = Request((Message("system", "s"), Message("user", "héllo")), "explain", 9)


class Book:
    """Calls in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE IF NOT EXISTS calls (sha TEXT, call TEXT)")

    def save(self, call: Call) -> None:
        with self.db:
            row = (call.request_sha256, json.dumps(asdict(call)))
            self.db.execute("INSERT INTO calls VALUES (?, ?)", row)

    def all(self) -> list[Call]:
        return [Call(**json.loads(text)) for (text,) in self.db.execute("SELECT call FROM calls")]

    def find(self, sha: str) -> Call | None:
        return next((c for c in reversed(self.all()) if c.request_sha256 == sha), None)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "calls.sqlite")
    yield made
    made.db.close()


def with_llm(answer: Answer, book: Book, use: Callable[[Any], Awaitable[Any]]) -> tuple[Any, int]:
    """What `use` makes of a ledgered client, and the number of chats that the server saw."""
    with serve(answer) as server:

        async def run() -> Any:
            inner = OpenAIChat("m", base_url=server.base_url, tries=2, wait_initial=0.001)
            llm = ledgered(inner, book.find, book.save)
            try:
                return await use(llm)
            finally:
                await llm.close()

        return asyncio.run(run()), len(server.chats)


def test_a_reply_is_bought_once(book: Book) -> None:
    async def use(llm: Any) -> Any:
        return [await llm.chat(ASKED), await llm.chat(replace(ASKED, purpose="repair"))]

    (first, second), chats = with_llm(lambda body: "wörd", book, use)
    assert chats == 1
    assert (first.cached, second.cached) == (False, True)
    assert replace(second, cached=False) == first
    (call,) = book.all()
    assert call.status == "ok"
    assert call.reply == "wörd"
    assert call.model.startswith("openai:m@http://127.0.0.1")
    assert call.request_sha256 == ASKED.sha256(call.model)
    assert call.prompt_sha256 == Prompt(ASKED.messages, "any", "any").sha256
    assert json.loads(call.messages)[1] == {"role": "user", "text": "héllo"}
    assert (call.prompt_tokens, call.completion_tokens, call.cost_usd) == (2, 1, None)


def test_every_sampling_setting_is_a_call_of_its_own(book: Book) -> None:
    others = [
        replace(ASKED, temperature=1.0),
        replace(ASKED, seed=1),
        replace(ASKED, sample=1),
        replace(ASKED, max_tokens=8),
    ]

    async def use(llm: Any) -> Any:
        return [await llm.chat(request) for request in [ASKED, *others]]

    replies, chats = with_llm(lambda body: "x", book, use)
    assert chats == 5
    assert not any(reply.cached for reply in replies)


def test_equal_requests_at_once_are_bought_once(book: Book) -> None:
    async def use(llm: Any) -> Any:
        return await asyncio.gather(*(llm.chat(ASKED) for _ in range(20)))

    replies, chats = with_llm(lambda body: "x", book, use)
    assert chats == 1
    assert [reply.cached for reply in replies].count(False) == 1


def test_a_failure_is_written_and_asked_again(book: Book) -> None:
    async def use(llm: Any) -> Any:
        return await llm.chat(ASKED)

    with pytest.raises(LLMUnavailableError):
        with_llm(lambda body: Response("oops", 500), book, use)
    with pytest.raises(LLMPermanentError):
        with_llm(lambda body: Response({"error": "odd"}, 400), book, use)
    with pytest.raises(LLMReplyError):
        with_llm(lambda body: Response({"choices": []}), book, use)
    unavailable, permanent, empty = book.all()
    assert (unavailable.status, unavailable.attempts, unavailable.reply) == ("failed", 2, "oops")
    assert "failed (500): oops" in str(unavailable.error)
    assert (permanent.status, permanent.attempts) == ("failed", 1)
    assert permanent.reply == '{"error": "odd"}'
    assert (empty.status, empty.attempts, empty.reply) == ("failed", 1, '{"choices": []}')
    assert "without choices" in str(empty.error)
    assert {(c.prompt_tokens, c.completion_tokens) for c in book.all()} == {(None, None)}
    (reply, chats) = with_llm(lambda body: "good", book, use)
    assert (reply.text, reply.cached, chats) == ("good", False, 1)


def test_a_reply_without_token_counts_is_kept_as_it_came(book: Book) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        made = completion("half a", body) | {"usage": None}
        made["choices"][0]["finish_reason"] = "length"
        return made

    async def use(llm: Any) -> Any:
        return [await llm.chat(ASKED), await llm.chat(ASKED)]

    (first, second), chats = with_llm(answer, book, use)
    assert (first.prompt_tokens, first.completion_tokens, first.finish_reason) == (
        None,
        None,
        "length",
    )
    assert (replace(second, cached=False), second.cached, chats) == (first, True, 1)
    (call,) = book.all()
    assert (call.status, call.prompt_tokens, call.completion_tokens) == ("ok", None, None)


def test_a_reply_that_cannot_be_written_is_not_used(book: Book) -> None:
    book.db.execute("DROP TABLE calls")

    def find(sha: str) -> None:
        return None

    llm = ledgered(ScriptedLLM("scripted:x", [{"reply": "a"}], "x"), find, book.save)
    with pytest.raises(sqlite3.OperationalError):
        asyncio.run(llm.chat(ASKED))


class Marked(ScriptedLLM):
    """A scripted model that gives answer distributions too."""

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        return np.full((len(segments), len(answers)), 1 / len(answers), dtype=np.float32)

    def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        return [len(candidate) == 1 for candidate in candidates]


def test_distributions_are_passed_through_where_there_are_any(book: Book) -> None:
    plain = ledgered(ScriptedLLM("scripted:x", [], "x"), book.find, book.save)
    marked = ledgered(Marked("scripted:y", [], "y"), book.find, book.save)
    assert not isinstance(plain, AnswersMarked)
    assert isinstance(marked, AnswersMarked)
    assert marked.single_tokens(["1", "10"]) == [True, False]
    found = asyncio.run(marked.distributions("p", ["a", "b"], "?", ["0", "1"]))
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert (plain.spec, plain.identity) == ("scripted:x", "x")
