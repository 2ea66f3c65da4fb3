"""The ledger over a real server, with a real SQLite file behind it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.calls import Call, Reply
from neuroexplain.errors import (
    LimitError,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    StoppingError,
)
from neuroexplain.llm.base import AnswersMarked, MarkedRequest, Request
from neuroexplain.llm.budget import Budget
from neuroexplain.llm.ledger import Ledgered, Terms, ledgered
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.llm.prices import Price
from neuroexplain.llm.scripted import ScriptedLLM
from neuroexplain.records import Floats
from neuroexplain.templates import Message, Prompt
from neuroexplain.testing import Answer, Response, completion, serve

ASKED = Request((Message("system", "s"), Message("user", "héllo")), "explain", 9)
PRICE = Price("m", date(2026, 1, 1), Decimal(1), Decimal("0.1"), Decimal(10), Decimal("0.5"))
"""Per million tokens: a dollar in, ten out."""


class Book:
    """Calls in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE IF NOT EXISTS calls (sha TEXT, call TEXT)")

    async def save(self, call: Call) -> None:
        await asyncio.sleep(0.001)  # as a writer that is busy
        with self.db:
            row = (call.request_sha256, json.dumps(asdict(call)))
            self.db.execute("INSERT INTO calls VALUES (?, ?)", row)

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(text) for (text,) in self.db.execute("SELECT call FROM calls")]

    def find(self, sha: str) -> Reply | None:
        for call in reversed(self.all()):
            if call["request_sha256"] == sha and call["status"] == "ok":
                tokens = call["usage"]["prompt"], call["usage"]["completion"]
                return Reply(
                    call["reply"],
                    *tokens,
                    call["latency_ms"],
                    call["finish_reason"],
                    cached=True,
                    attempts=call["attempts"],
                    endpoint=call["endpoint"],
                    served_model=call["served_model"],
                )
        return None


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "calls.sqlite")
    yield made
    made.db.close()


def with_llm(
    answer: Answer,
    book: Book,
    use: Callable[[Any], Awaitable[Any]],
    **terms: Any,
) -> tuple[Any, int]:
    """What `use` makes of a ledgered client, and the number of chats that the server saw."""
    with serve(answer) as server:

        async def run() -> Any:
            inner = OpenAIChat("m", base_url=server.base_url, tries=2, wait_initial=0.001)
            llm = ledgered(inner, book, Terms(terms.pop("budget", Budget()), **terms))
            try:
                return await use(llm)
            finally:
                await llm.close()

        return asyncio.run(run()), len(server.chats)


def scripted(*replies: str) -> ScriptedLLM:
    return ScriptedLLM("scripted:x", [{"reply": reply} for reply in replies], "x")


def test_a_reply_is_bought_once(book: Book) -> None:
    async def use(llm: Any) -> Any:
        return [await llm.chat(ASKED), await llm.chat(replace(ASKED, purpose="repair"))]

    (first, second), chats = with_llm(lambda body: "wörd", book, use)
    assert chats == 1
    assert (first.cached, second.cached) == (False, True)
    assert replace(second, cached=False) == first
    (call,) = book.all()
    assert (call["status"], call["reply"]) == ("ok", "wörd")
    assert call["model"].startswith("openai:m@http://127.0.0.1")
    assert call["request_sha256"] == ASKED.sha256(call["model"])
    assert call["prompt_sha256"] == Prompt(ASKED.messages, "any", "any").sha256
    assert json.loads(call["messages"])[1] == {"role": "user", "content": "héllo"}
    assert (call["usage"]["prompt"], call["usage"]["completion"]) == (2, 1)
    assert call["cost_nano"] is None
    assert call["endpoint"] == call["model"].removeprefix("openai:m@")
    assert call["served_model"] == "m"


def test_every_sampling_setting_is_a_call_of_its_own(book: Book) -> None:
    others = [
        replace(ASKED, temperature=1.0),
        replace(ASKED, seed=1),
        replace(ASKED, sample=1),
        replace(ASKED, max_tokens=8),
        replace(ASKED, schema='{"type": "object"}'),
    ]

    async def use(llm: Any) -> Any:
        return [await llm.chat(request) for request in [ASKED, *others]]

    replies, chats = with_llm(lambda body: "x", book, use)
    assert chats == 6
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
    assert (unavailable["status"], unavailable["attempts"]) == ("failed", 2)
    assert unavailable["reply"] == "oops"
    assert unavailable["error"].startswith("server_error: ")
    assert "failed (500): oops" in unavailable["error"]
    assert (permanent["status"], permanent["attempts"]) == ("failed", 1)
    assert permanent["reply"] == '{"error": "odd"}'
    assert (empty["status"], empty["attempts"], empty["reply"]) == ("failed", 1, '{"choices": []}')
    assert "without choices" in empty["error"]
    assert {call["usage"]["prompt"] for call in book.all()} == {None}
    assert all(call["endpoint"].startswith("http://127.0.0.1") for call in book.all())
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
    assert (first.prompt_tokens, first.completion_tokens) == (None, None)
    assert first.finish_reason == "length"
    assert (replace(second, cached=False), second.cached, chats) == (first, True, 1)
    (call,) = book.all()
    assert (call["status"], call["usage"]["prompt"]) == ("ok", None)


def test_a_reply_that_cannot_be_written_is_not_used(book: Book) -> None:
    book.db.execute("DROP TABLE calls")
    book.find = lambda sha: None  # type: ignore[method-assign]

    async def use() -> None:
        await ledgered(scripted("a"), book, Terms(Budget())).chat(ASKED)

    with pytest.raises(sqlite3.OperationalError):
        asyncio.run(use())


def test_costs_are_those_of_the_tokens_that_were_counted(book: Book) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        made = completion("x", body)
        made["usage"] = {
            "prompt_tokens": 1000,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 400},
        }
        return made

    budget = Budget(max_cost_nano=10**9)

    async def use(llm: Any) -> Any:
        return [await llm.chat(ASKED), await llm.chat(ASKED)]

    with_llm(answer, book, use, budget=budget, price=PRICE)
    (call,) = book.all()
    expected = 600 * 1000 + 400 * 100 + 10 * 10_000
    assert call["cost_nano"] == budget.spent_nano == expected
    assert budget.calls == 1, "a reply of the ledger costs nothing"
    with_llm(answer, book, use, budget=(other := Budget()), price=PRICE, cheap=True)
    assert other.spent_nano == expected // 2


def test_a_refusal_is_paid_for(book: Book) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        made = completion("", body)
        made["choices"][0]["message"] = {"content": None, "refusal": "I would rather not"}
        return made

    budget = Budget()

    async def use(llm: Any) -> Any:
        return await llm.chat(ASKED)

    with pytest.raises(LLMReplyError) as caught:
        with_llm(answer, book, use, budget=budget, price=PRICE)
    assert caught.value.reason == "refusal"
    (call,) = book.all()
    assert call["cost_nano"] == budget.spent_nano == 2 * 1000


def test_what_is_asked_beyond_the_limit_is_not_sent(book: Book) -> None:
    """Of 50 calls under way at once no more are made than the limit allows at worst."""
    requests = [replace(ASKED, seed=n) for n in range(50)]

    async def use(llm: Any) -> Any:
        return await asyncio.gather(*(llm.chat(r) for r in requests), return_exceptions=True)

    budget = Budget(max_cost_nano=500_000)  # a call may cost 90,000 and more, and costs 12,000
    found, chats = with_llm(lambda body: "x", book, use, budget=budget, price=PRICE)
    assert {type(f) for f in found} == {Reply, LimitError}
    assert chats == sum(isinstance(f, Reply) for f in found) == len(book.all())
    assert 300_000 < budget.spent_nano <= 500_000


def test_nothing_is_asked_before_the_server_is_known(book: Book) -> None:
    prepared = []

    async def prepare() -> None:
        await asyncio.sleep(0.01)
        prepared.append(len(book.all()))

    async def use(llm: Any) -> Any:
        await asyncio.gather(*(llm.chat(replace(ASKED, seed=n)) for n in range(5)))
        return await llm.chat(ASKED)

    with_llm(lambda body: "x", book, use, prepare=prepare)
    assert prepared == [0]
    with_llm(lambda body: "x", book, use, prepare=prepare)
    assert prepared == [0, 5], "another server, of another run"


@pytest.mark.parametrize("kind", [LLMPermanentError, LLMUnavailableError])
def test_a_server_that_will_not_do_is_found_out_once(book: Book, kind: type[LLMError]) -> None:
    error = kind("it gives no probabilities")
    prepared = []

    async def prepare() -> None:
        prepared.append(len(book.all()))
        await asyncio.sleep(0.01)
        raise error

    async def use(llm: Any) -> Any:
        calls = [llm.chat(replace(ASKED, seed=n)) for n in range(5)]
        return await asyncio.gather(*calls, return_exceptions=True)

    found, chats = with_llm(lambda body: "x", book, use, prepare=prepare)
    assert set(found) == {error}
    assert (prepared, chats, book.all()) == ([0], 0, [])


def test_a_ledger_that_has_everything_asks_nothing_of_the_server(book: Book) -> None:
    llm = ledgered(scripted("a"), book, Terms(Budget()))

    async def prepare() -> None:
        raise AssertionError("nothing is to be asked")

    async def use() -> str:
        await llm.chat(ASKED)
        terms = Terms(Budget(max_calls=0), prepare=prepare)
        return (await ledgered(scripted(), book, terms).chat(ASKED)).text

    assert asyncio.run(use()) == "a"


def test_a_stopped_run_asks_nothing_more_and_writes_what_is_under_way(book: Book) -> None:
    budget = Budget()

    async def use(llm: Any) -> Any:
        calls = [asyncio.create_task(llm.chat(replace(ASKED, seed=n))) for n in range(30)]
        await asyncio.sleep(0.1)  # eight are sent: the others wait for their turn
        budget.close(StoppingError("stop"))
        llm.stop()
        return await asyncio.gather(*calls, return_exceptions=True)

    found, chats = with_llm(
        lambda body: Response(completion("x", body), delay=0.3), book, use, budget=budget
    )
    assert {type(f) for f in found} == {Reply, StoppingError}
    assert chats == len(book.all()) == sum(isinstance(f, Reply) for f in found) == 8


class Marked(ScriptedLLM):
    """A scripted model that gives answer distributions too."""

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        return np.full((len(segments), len(answers)), 1 / len(answers), dtype=np.float32)

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        return [len(candidate) == 1 for candidate in candidates]


def test_distributions_in_process_are_passed_through(book: Book) -> None:
    plain = ledgered(scripted(), book, Terms(Budget()))
    marked = ledgered(Marked("scripted:y", [], "y"), book, Terms(Budget()))
    assert not isinstance(plain, AnswersMarked)
    assert isinstance(marked, AnswersMarked)

    async def use() -> tuple[list[bool], Floats]:
        single = await marked.single_tokens(["1", "10"])
        return single, await marked.distributions("p", ["a", "b"], "?", ["0", "1"])

    single, found = asyncio.run(use())
    assert single == [True, False]
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert (plain.spec, plain.identity) == ("scripted:x", "x")
    assert book.all() == []


class Scoring(ScriptedLLM):
    """A server that returns probabilities of a text's tokens."""

    asked: list[MarkedRequest]

    def check_texts(self) -> None:
        pass

    async def marked(self, request: MarkedRequest) -> Reply:
        self.asked.append(request)
        rows = [[-0.1, -2.4, None]] * len(request.segments)
        return Reply(json.dumps(rows), 7, 0, 1.0)

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        return [True] * len(candidates)


def test_distributions_of_a_server_are_calls_like_others(book: Book) -> None:
    server = Scoring("openai:m", [], "y")
    server.asked = []
    llm: Ledgered = ledgered(server, book, Terms(Budget(), price=PRICE))
    assert isinstance(llm, AnswersMarked)

    async def use() -> list[Floats]:
        place = ("p", ["a\t", "b\t"], "unknown", ["0", "1", "2"])
        nothing = await llm.distributions("p", [], "unknown", ["0"])
        return [nothing, *[await llm.distributions(*place) for _ in range(2)]]

    nothing, first, second = asyncio.run(use())
    assert nothing.shape == (0, 1)
    shares = np.exp([-0.1, -2.4, -np.inf])
    np.testing.assert_allclose(first, [shares / shares.sum()] * 2, rtol=1e-6)
    assert (first == second).all()
    (asked,) = server.asked
    assert asked.text == "pa\tunknownb\tunknown"
    (call,) = book.all()
    assert (call["purpose"], call["cost_nano"]) == ("simulate", 7000)
    assert json.loads(call["messages"]) == [{"role": "user", "content": asked.text}]
