"""Every fault of a server, once and for ever: how often it is asked again, and what the ledger keeps."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import LLMError, LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.budget import Budget
from neuroexplain.llm.ledger import Terms, ledgered
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.run import Book, Run
from neuroexplain.templates import Message
from neuroexplain.testing import FAULTS, Answer, Response, completion, faulty, serve

Body = dict[str, Any]
Made = str | Body | Response
ASKED = Request((Message("user", "one two three"),), "explain", max_tokens=9)
GOOD = "the words of a good reply"
TIMEOUT = 0.4
"""Of a request that never ends, in seconds."""
ENDLESS = ("hang", "drip")
TRIES = 2


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-123")


@pytest.fixture(params=["aiohttp", "openai"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "aiohttp":
        pytest.importorskip("aiohttp")
    return name


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue(tmp_path / "c.sqlite") as opened:
        yield opened


def ask(
    catalogue: Catalogue, answer: Answer, transport: str, **settings: Any
) -> tuple[Reply | LLMError, list[float]]:
    """What comes of a chat of a run with its ledger, and when its requests arrived."""
    settings = {"tries": TRIES, "wait_initial": 0.01, "timeout": 20.0} | settings
    with serve(answer) as server, Run(catalogue, "explain", server.base_url) as run:

        async def chat() -> Reply | LLMError:
            inner = OpenAIChat("m", base_url=server.base_url, transport=transport, **settings)
            llm = ledgered(inner, Book(run), Terms(Budget()))
            try:
                return await llm.chat(ASKED)
            except LLMError as error:
                return error
            finally:
                await llm.close()

        found = run.drive(chat())
    return found, [r.at for r in server.requests if r.path.endswith("/chat/completions")]


def timeout_of(name: str) -> float:
    """Short only where nothing but the time-out ends a request."""
    return TIMEOUT if name in ENDLESS else 20.0


def newest_call(catalogue: Catalogue) -> dict[str, Any]:
    """The last row of the ledger."""
    with closing(sqlite3.connect(catalogue.path)) as connection:
        connection.row_factory = sqlite3.Row
        query = "SELECT * FROM v_llm_calls ORDER BY call_id DESC LIMIT 1"
        return dict(connection.execute(query).fetchone())


def error(message: str = "no", **more: Any) -> Body:
    return {"error": {"message": message, **more}}


def empty(body: Body) -> Body:
    """Without a word, as when all tokens went into thinking."""
    made = completion("", body)
    made["choices"][0]["finish_reason"] = "length"
    return made


@dataclass(frozen=True)
class Fault:
    """A fault, and what is to become of it."""

    answer: Callable[[Body], Made]
    kind: type[LLMError]
    reason: str
    words: str = ""
    """Of the message."""
    raw: str | None = ""
    """Part of the reply that the ledger keeps; None where nothing came."""
    counted: bool = False
    """Whether the server said how many tokens it took."""


def known(name: str, *outcome: Any, **more: Any) -> Fault:
    """One of `FAULTS`, made of the good reply where it is made of one."""
    return Fault(faulty(lambda body: GOOD, 1.0, kinds=[name]), *outcome, **more)  # type: ignore[arg-type]


AGAIN = LLMUnavailableError
TRIED_AGAIN: dict[str, Fault] = {
    "rate_limit": known("rate_limit", AGAIN, "rate_limited", "limits the rate (429): Rate", "Rate"),
    "rate_limit_seconds": known("rate_limit_seconds", AGAIN, "rate_limited", "asks to wait 1 s"),
    "rate_limit_date": known("rate_limit_date", AGAIN, "rate_limited", "it asks to wait"),
    "server_error": known("server_error", AGAIN, "server_error", "failed (500): The server had"),
    "unavailable_html": known("unavailable_html", AGAIN, "server_error", "failed (503)", "<h1>503"),
    "hang": known("hang", AGAIN, "timed_out", f"within {TIMEOUT} s", None),
    "drip": known("drip", AGAIN, "timed_out", f"within {TIMEOUT} s", None),
    "reset": known("reset", AGAIN, "connection_lost", "broke off", None),
    "truncated_json": known("truncated_json", AGAIN, "broken_reply", "no valid JSON", '"chatcmpl'),
    "502 without a body": Fault(lambda b: Response(status=502), AGAIN, "server_error", "(502)"),
    "529": Fault(lambda b: Response(error("full"), 529), AGAIN, "server_error", "(529): full"),
    "no answer": Fault(lambda b: Response(cut=-1), AGAIN, "connection_lost", "broke off", None),
}
"""Asked again as often as is allowed; a good reply that comes then is as any other."""
ONE_CALL: dict[str, Fault] = {
    "wrong_json": known("wrong_json", LLMReplyError, "no_choices", "without choices", "chatcmpl-1"),
    "no_choices": known("no_choices", LLMReplyError, "no_choices", raw='"choices": []', counted=True),
    "null_content": known("null_content", LLMReplyError, "no_text", raw='"content": null', counted=True),
    "refusal": known("refusal", LLMReplyError, "refusal", "I cannot help", "I cannot", counted=True),
    "thought only": Fault(empty, LLMReplyError, "truncated", "raise max_tokens", "length", counted=True),
    "413": Fault(lambda b: Response(status=413), LLMReplyError, "prompt_too_long", "(413)"),
}  # fmt: skip
"""Not asked again: this call has failed, and others need not."""
FOR_GOOD: dict[str, Fault] = {
    "401": Fault(lambda b: Response(error(), 401), LLMPermanentError, "llm_refused", "key was refused", "no"),
    "404 html": Fault(
        lambda b: Response("<html>not here", 404, {"Content-Type": "text/html"}),
        LLMPermanentError,
        "llm_refused",
        "model m does not exist",
        "<html>not here",
    ),
    "page": Fault(
        lambda b: Response("<html>log in", headers={"Content-Type": "text/html"}),
        LLMPermanentError,
        "llm_refused",
        "text/html, not JSON",
        "<html>log in",
    ),
}  # fmt: skip
"""Not asked again: any such call would fail."""
FAILING = TRIED_AGAIN | ONE_CALL | FOR_GOOD


def slow_but_whole(body: Body) -> Response:
    return Response(completion(GOOD, body), drip=0.0002)


def many_words(body: Body) -> str:
    return "x" * 10_000_000


KEPT: dict[str, tuple[Answer, dict[str, Any]]] = {
    "length": (
        faulty(lambda body: GOOD, 1.0, kinds=["length"]),
        {"reply": "the words of", "finish_reason": "length"},
    ),
    "wrong_model": (
        faulty(lambda body: GOOD, 1.0, kinds=["wrong_model"]),
        {"reply": GOOD, "served_model": "another-model", "completion_tokens": 6},
    ),
    "no_usage": (
        faulty(lambda body: GOOD, 1.0, kinds=["no_usage"]),
        {"reply": GOOD, "prompt_tokens": None, "completion_tokens": None, "cost_usd": None},
    ),
    "slow but whole": (slow_but_whole, {"reply": GOOD, "prompt_tokens": 3}),
    "10 MB": (many_words, {"reply": "x" * 10_000_000, "finish_reason": "stop"}),
}
"""Odd, and yet replies."""


def test_there_is_a_row_for_every_fault() -> None:
    assert FAULTS.keys() <= FAILING.keys() | KEPT.keys()


@pytest.mark.parametrize("name", FAILING)
def test_a_fault_that_lasts_is_a_record(name: str, catalogue: Catalogue, transport: str) -> None:
    fault = FAILING[name]
    tries = TRIES if name in TRIED_AGAIN else 1
    found, arrivals = ask(catalogue, fault.answer, transport, timeout=timeout_of(name))
    call = newest_call(catalogue)
    assert type(found) is fault.kind
    assert (found.reason, found.attempts, len(arrivals)) == (fault.reason, tries, tries)
    assert fault.words in str(found) and "\n" not in str(found)
    assert (call["status"], call["error"]) == ("failed", f"{fault.reason}: {found}")
    assert (call["attempts"], call["reply"], call["retired"]) == (tries, found.raw, 0)
    if fault.raw is None:
        assert call["reply"] is None
    else:
        assert fault.raw in call["reply"]
    assert (call["prompt_tokens"] is not None) == fault.counted
    assert call["endpoint"] == found.endpoint != ""
    assert catalogue.find_reply(call["request_sha256"]) is None, "the next run asks again"


@pytest.mark.parametrize("name", TRIED_AGAIN)
def test_a_fault_that_passes_leaves_no_trace(
    name: str, catalogue: Catalogue, transport: str
) -> None:
    seen: list[Body] = []

    def once(body: Body) -> Made:
        seen.append(body)
        return TRIED_AGAIN[name].answer(body) if len(seen) == 1 else GOOD

    found, arrivals = ask(catalogue, once, transport, timeout=timeout_of(name))
    call = newest_call(catalogue)
    assert isinstance(found, Reply)
    assert (found.text, found.attempts, len(arrivals)) == (GOOD, 2, 2)
    assert seen[0] == seen[1], "the same request"
    assert (call["call_id"], call["status"], call["error"]) == (1, "ok", None)
    assert (call["reply"], call["attempts"]) == (GOOD, 2)
    assert (call["prompt_tokens"], call["completion_tokens"]) == (3, 6)
    if name in ("rate_limit_seconds", "rate_limit_date"):
        assert arrivals[1] - arrivals[0] >= 1.0, "the server's wish is kept"


@pytest.mark.parametrize("name", KEPT)
def test_what_is_odd_but_a_reply_is_kept(name: str, catalogue: Catalogue, transport: str) -> None:
    answer, columns = KEPT[name]
    found, arrivals = ask(catalogue, answer, transport)
    call = newest_call(catalogue)
    assert isinstance(found, Reply)
    assert (found.attempts, len(arrivals)) == (1, 1)
    assert call["status"] == "ok"
    assert {column: call[column] for column in columns} == columns
    known = catalogue.find_reply(call["request_sha256"])
    assert known is not None
    assert (known.text, known.finish_reason) == (found.text, found.finish_reason)


def wished(body: Body, wish: dict[str, str]) -> Response:
    return Response(error("slow"), 429, wish)


def in_two_seconds(now: float) -> dict[str, str]:
    """A date that is at least one second off, by the server's clock."""
    return {"Retry-After": formatdate(now + 2, usegmt=True), "Date": formatdate(now, usegmt=True)}


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        (lambda now: {"Retry-After": "0.5"}, 0.5, 1.5),
        (in_two_seconds, 1.0, 3.5),
        (lambda now: {}, 0.0, 1.0),
    ],
    ids=["seconds", "date", "none"],
)
def test_a_clock_that_is_set_anew_moves_no_wait(
    wish: Callable[[float], dict[str, str]],
    least: float,
    most: float,
    jump: float,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time of day of this machine jumps by two hours with every request that arrives."""
    true, jumps = time.time, 0
    monkeypatch.setattr(time, "time", lambda: true() + jumps * jump)

    def busy_once(body: Body) -> Made:
        nonlocal jumps
        jumps += 1
        return wished(body, wish(true())) if jumps == 1 else GOOD

    found, arrivals = ask(catalogue, busy_once, "openai", wait_initial=0.1, total=60.0)
    assert isinstance(found, Reply)
    assert (found.text, found.attempts) == (GOOD, 2)
    assert least <= arrivals[1] - arrivals[0] <= most
    assert 0 < newest_call(catalogue)["latency_ms"] < 10_000


def test_a_date_that_is_past_is_no_wait_and_no_error(catalogue: Catalogue) -> None:
    """Servers whose date is a mere copy, without a clock of theirs beside it."""
    past = {"Retry-After": formatdate(time.time() - 3600, usegmt=True), "Date": ""}
    answers = iter([wished({}, past)])
    found, arrivals = ask(catalogue, lambda body: next(answers, GOOD), "openai")
    assert isinstance(found, Reply)
    assert found.attempts == 2
    assert arrivals[1] - arrivals[0] < 1.0


def test_the_key_that_a_server_repeats_is_kept_nowhere(
    catalogue: Catalogue, transport: str
) -> None:
    """Whatever its status, and whether as an error or as a page."""
    leaks: list[Callable[[Body], Made]] = [
        lambda body: Response(error("bad key sk-very-secret-123"), 401),
        lambda body: Response(error("bad key sk-very-secret-123"), 500),
        lambda body: error("bad key sk-very-secret-123"),
        lambda body: Response(
            "<html>Bearer sk-very-secret-123", headers={"Content-Type": "text/html"}
        ),
    ]
    for leak in leaks:
        found, _ = ask(catalogue, leak, transport)
        assert isinstance(found, LLMError)
        assert "sk-very" not in str(found) + str(found.raw)
        assert "[key]" in newest_call(catalogue)["reply"]
    files = [path.read_bytes() for path in Path(catalogue.path).parent.iterdir() if path.is_file()]
    assert not any(b"sk-very" in content for content in files)
