"""The client against a real server on loopback: what every fault becomes, and after how many requests."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from neuroexplain.errors import (
    ConfigError,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
)
from neuroexplain.llm import create
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.templates import Message
from neuroexplain.testing import Answer, Response, completion, serve

KEY = "sk-very-secret-123"
ASKED = Request((Message("system", "Be brief."), Message("user", "Hi")), "explain", max_tokens=9)
TRANSPORTS = ("aiohttp", "openai")
Body = dict[str, Any]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "aiohttp":
        pytest.importorskip("aiohttp")
    return name


def chat(
    url: str, *requests: Request, transport: str | None = None, **settings: Any
) -> list[Reply]:
    """Answer some requests at once with a client that waits next to nothing between tries."""
    settings = {"wait_initial": 0.001, "wait_max": 0.002, "tries": 3, "timeout": 10.0} | settings

    async def run() -> list[Reply]:
        llm = OpenAIChat("m", base_url=url, transport=transport, **settings)
        try:
            return await asyncio.gather(*(llm.chat(request) for request in requests or (ASKED,)))
        finally:
            await llm.close()

    return asyncio.run(run())


def in_turn(*answers: Response | str) -> Answer:
    """Answers one after another, then the last one for ever."""
    left = iter(answers)
    return lambda body: next(left, answers[-1])


def changed(text: str = "ok", **choice: Any) -> Callable[[Body], Body]:
    """A completion whose only choice is changed."""

    def make(body: Body) -> Body:
        made = completion(text, body)
        made["choices"][0] |= choice
        return made

    return make


def error(message: str = "no", **more: Any) -> Body:
    return {"error": {"message": message, **more}}


def test_reply(transport: str) -> None:
    with serve(lambda body: "two words") as server:
        (reply,) = chat(server.base_url, transport=transport)
    assert reply.text == "two words"
    assert (reply.prompt_tokens, reply.completion_tokens) == (3, 2)
    assert (reply.finish_reason, reply.attempts, reply.cached) == ("stop", 1, False)
    assert reply.latency_ms > 0
    (sent,) = server.requests
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 9,
        "temperature": 0.0,
        "seed": 0,
    }


def test_samples_are_seeded_apart() -> None:
    with serve(lambda body: "x") as server:
        chat(server.base_url, *(Request(ASKED.messages, "explain", 9, 1.0, 5, s) for s in (0, 1)))
    assert sorted(body["seed"] for body in server.chats) == [5, 6]


PERMANENT: dict[str, tuple[Answer, str]] = {
    "400": (lambda b: Response(error("bad\nbody"), 400), "refused the request (400): bad body"),
    "401": (lambda b: Response(error(KEY), 401), "the key was refused by http://127"),
    "403": (lambda b: Response(error("region"), 403), "forbids this to the key (403): region"),
    "404 html": (
        lambda b: Response("<html>", 404, {"Content-Type": "text/html"}),
        "model m does not exist at",
    ),
    "422": (lambda b: Response({"detail": "odd"}, 422), 'refused the request (422): {"detail"'),
    "quota": (
        lambda b: Response(error("pay", code="insufficient_quota"), 429),
        "the quota of the key at",
    ),
    "html": (
        lambda b: Response("<html>", headers={"Content-Type": "text/html; charset=utf-8"}),
        "answered with text/html, not JSON",
    ),
    "error in 200": (lambda b: error("lost"), "answered with an error: lost"),
}
REPLY: dict[str, tuple[Answer, str]] = {
    "no choices": (lambda b: completion("x", b) | {"choices": []}, "answered without choices"),
    "wrong JSON": (lambda b: Response([1, 2]), "answered without choices"),
    "null content": (changed(message={"content": None}), "without text (finish_reason stop)"),
    "refusal": (changed(message={"content": None, "refusal": "I won't"}), "refused: I won't"),
    "filter": (changed(finish_reason="content_filter"), "filtered the reply"),
    "surrogate": (lambda b: completion("\ud800", b), "half of a surrogate pair"),
    "too long": (
        lambda b: Response(error("max_completion_tokens: the context length is only 8"), 400),
        "does not fit the model",
    ),
}


@pytest.mark.parametrize("fault", [*PERMANENT, *REPLY])
def test_what_is_not_tried_again(fault: str, transport: str) -> None:
    answer, words = (PERMANENT | REPLY)[fault]
    kind = LLMReplyError if fault in REPLY else LLMPermanentError
    with serve(answer) as server, pytest.raises(kind) as caught:
        chat(server.base_url, transport=transport)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.chats) == caught.value.attempts == 1
    assert caught.value.raw is not None


def test_a_reply_that_was_cut_off_comes_back(transport: str) -> None:
    with serve(changed("half a sen", finish_reason="length")) as server:
        (reply,) = chat(server.base_url, transport=transport)
    assert (reply.text, reply.finish_reason) == ("half a sen", "length")
    assert (reply.completion_tokens, len(server.chats)) == (3, 1)


TRANSIENT: dict[str, tuple[Response, str]] = {
    "408": (Response(status=408), "failed (408)"),
    "429": (Response(error("slow"), 429), "limits the rate (429): slow"),
    "500": (Response(error("oops"), 500), "failed (500): oops"),
    "503 html": (Response("<html>busy", 503, {"Content-Type": "text/html"}), "failed (503)"),
    "error in 200": (Response(error("later", code=502)), "failed (502): later"),
    "truncated JSON": (Response('{"choices": [{'), "no valid JSON"),
    "empty": (Response(""), "no valid JSON"),
    "dropped": (Response(cut=-1), "broke off"),
    "reset in the body": (Response("x" * 900, cut=10), "broke off"),
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_transient(fault: str, transport: str) -> None:
    response, words = TRANSIENT[fault]
    with serve(in_turn(response, response, "good")) as server:
        (reply,) = chat(server.base_url, transport=transport)
    assert (reply.text, reply.attempts, len(server.chats)) == ("good", 3, 3)
    with serve(in_turn(response)) as server, pytest.raises(LLMUnavailableError) as caught:
        chat(server.base_url, transport=transport)
    assert words in str(caught.value)
    assert len(server.chats) == caught.value.attempts == 3


@pytest.mark.parametrize("slow", [Response(delay=30.0), Response("x" * 1000, drip=0.05)])
def test_hang_and_drip(slow: Response, transport: str) -> None:
    with serve(in_turn(slow)) as server, pytest.raises(LLMUnavailableError) as caught:
        chat(server.base_url, transport=transport, timeout=0.2, tries=2)
    assert "within 0.2 s" in str(caught.value)
    assert len(server.chats) == 2


def test_nothing_listens(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(
        LLMUnavailableError, match=r"nothing answers at .*is the server running"
    ) as e:
        chat(f"http://127.0.0.1:{port}/v1", transport=transport, tries=2)
    assert e.value.attempts == 2


def test_a_large_reply_arrives_whole() -> None:
    with serve(lambda body: "x" * 10_000_000) as server:
        (reply,) = chat(server.base_url)
    assert len(reply.text) == 10_000_000


@pytest.mark.parametrize("form", ["ms", "seconds", "date"])
def test_retry_after(form: str) -> None:
    def answer(body: Body) -> str | Response:
        if len(server.requests) > 1:
            return "good"
        headers = {
            "ms": {"Retry-After-Ms": "300"},
            "seconds": {"Retry-After": "0.3"},
            # Two hours off: only the distance to the server's own clock may count.
            "date": {
                "Retry-After": formatdate(time.time() + 7201, usegmt=True),
                "Date": formatdate(time.time() + 7200, usegmt=True),
            },
        }[form]
        return Response(error("slow"), 429, headers)

    start = time.monotonic()
    with serve(answer) as server:
        (reply,) = chat(server.base_url)
    assert reply.attempts == 2
    assert 0.29 < time.monotonic() - start < 2.5


def test_a_wait_beyond_the_total_is_not_begun() -> None:
    busy = Response(error("slow"), 429, {"Retry-After": "3600"})
    with serve(in_turn(busy)) as server, pytest.raises(LLMUnavailableError) as caught:
        chat(server.base_url, total=60.0)
    assert "it asks to wait 3600 s" in str(caught.value)
    assert caught.value.retry_after == 3600
    assert len(server.chats) == 1


def test_model_list_is_asked_once() -> None:
    missing = Response(error("no such model", code="model_not_found"), 404)
    with serve(in_turn(missing), models=["gpt-a", "llama"]) as server:

        async def run() -> list[BaseException | Reply]:
            llm = OpenAIChat("gpt-b", base_url=server.base_url)
            try:
                calls = [llm.chat(ASKED) for _ in range(4)]
                return await asyncio.gather(*calls, return_exceptions=True)
            finally:
                await llm.close()

        found = asyncio.run(run())
    assert {type(e) for e in found} == {LLMPermanentError}
    assert str(found[0]) == (
        f"model gpt-b does not exist at {server.base_url}; it has: gpt-a, llama"
    )
    assert [r.path for r in server.requests].count("/v1/models") == 1
    assert len(server.chats) == 4


def test_wrong_path() -> None:
    with serve(lambda body: "x") as server, pytest.raises(LLMPermanentError) as caught:
        chat(server.base_url.removesuffix("/v1"))
    assert "has no chat completions (404)" in str(caught.value)
    assert "usually ends in /v1" in str(caught.value)


def refusing(*names: str, param: bool = True, status: int = 400) -> Answer:
    """A server that knows fewer parameters."""

    def answer(body: Body) -> str | Response:
        bad = next((name for name in names if name in body), None)
        if bad is None:
            return "fine"
        if param:
            return Response(error("unsupported", param=bad, code="unsupported_parameter"), status)
        return Response({"detail": [{"loc": ["body", bad], "msg": "extra"}]}, status)

    return answer


@pytest.mark.parametrize(("param", "status"), [(True, 400), (False, 422)])
def test_parameters_are_learnt_once(param: bool, status: int) -> None:
    names = ("max_completion_tokens", "temperature", "seed")
    with serve(refusing(*names, param=param, status=status)) as server:

        async def run() -> list[str]:
            llm = OpenAIChat("m", base_url=server.base_url)
            try:
                return [(await llm.chat(ASKED)).text for _ in range(3)]
            finally:
                await llm.close()

        assert asyncio.run(run()) == ["fine"] * 3
    assert len(server.chats) == 3 + 3
    assert server.chats[-1].keys() == {"model", "messages", "max_tokens"}
    assert server.chats[-1]["max_tokens"] == 9


def test_a_value_that_is_refused_under_both_names_is_an_error_and_teaches_nothing() -> None:
    too_large = refusing("max_completion_tokens", "max_tokens")
    with serve(too_large) as server, pytest.raises(LLMPermanentError, match="unsupported"):
        chat(server.base_url)
    assert [
        sorted(body.keys() & {"max_tokens", "max_completion_tokens"}) for body in server.chats
    ] == [
        ["max_completion_tokens"],
        ["max_tokens"],
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_the_key_is_in_no_error(status: int) -> None:
    leak = Response(error(f"bad key {KEY}; you sent Authorization: Bearer {KEY}"), status)
    with serve(in_turn(leak), models=[]) as server, pytest.raises(LLMError) as caught:
        chat(server.base_url, tries=2)
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown + repr(caught.value) + str(caught.value.raw)


def test_connections_that_the_server_closed(transport: str) -> None:
    """A server that closes kept connections without a word, as servers do when idle, costs no reply."""

    def answer(body: Body) -> Response:
        return Response(completion("x", body), cut=10**9)

    with serve(answer) as server:

        async def run() -> list[Reply]:
            llm = OpenAIChat("m", base_url=server.base_url, wait_initial=0.01, transport=transport)
            try:
                return [await llm.chat(ASKED) for _ in range(30)]
            finally:
                await llm.close()

        replies = asyncio.run(run())
    assert [reply.text for reply in replies] == ["x"] * 30
    assert len(server.chats) <= sum(reply.attempts for reply in replies) <= 2 * 30


def test_every_reply_goes_to_its_own_request(transport: str) -> None:
    requests = [Request((Message("user", str(i)),), "simulate", 9) for i in range(64)]
    with serve(lambda body: str(body["messages"][0]["content"])) as server:
        replies = chat(server.base_url, *requests, transport=transport)
    assert [reply.text for reply in replies] == [str(i) for i in range(64)]
    assert len(server.chats) == 64


def test_they_are_answered_side_by_side(transport: str) -> None:
    with serve(lambda body: Response(completion("x", body), delay=0.2)) as server:
        start = time.monotonic()
        replies = chat(server.base_url, *[ASKED] * 32, transport=transport)
    assert len(replies) == 32
    assert time.monotonic() - start < 3.0


def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with serve(lambda body: "x") as server:
        chat(server.base_url)
    assert server.requests[0].headers["authorization"] == "Bearer none"
    with pytest.raises(
        LLMPermanentError, match=r"https://api.openai.com/v1 needs a key: set OPENAI"
    ):
        create("openai:m")


def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\n\u00e9")
    with pytest.raises(LLMPermanentError) as caught:
        create("openai:m")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:80/v1", "http://", "ftp://a/v1", "http://a:x/v1"])
def test_bad_url(url: str) -> None:
    with pytest.raises(ConfigError, match="is no web address"):
        OpenAIChat("m", base_url=url)


@pytest.mark.parametrize("url", ["http://me:pw@a/v1", "me:pw@a/v1", "http://a/v1?key=pw"])
def test_no_secrets_in_the_url(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIChat("m", base_url=url)
    assert "pw" not in str(caught.value)


def test_identity_holds_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    assert OpenAIChat("m").identity == "openai:m@http://127.0.0.1:9/v1"
    assert OpenAIChat("m", base_url="http://127.0.0.1:8/v1").identity.endswith(":8/v1")
    assert OpenAIChat("m").spec == "openai:m"


@pytest.mark.parametrize("extra", [{"temperature": 0.5}, {"response_format": {"type": "text"}}])
def test_a_refused_parameter_that_the_user_gave_is_an_error_and_not_sent_for_ever(
    extra: Body,
) -> None:
    (name,) = extra
    with (
        serve(refusing(name)) as server,
        pytest.raises(LLMPermanentError, match="unsupported"),
    ):
        chat(server.base_url, extra=extra)
    assert len(server.requests) == 1


def test_a_server_that_closes_on_every_request_is_asked_as_often_as_it_may_be(
    transport: str,
) -> None:
    last = False

    def answer(body: Body) -> Response:
        return Response(completion("x", body), cut=0 if last else None)

    async def run(url: str) -> None:
        nonlocal last
        llm = OpenAIChat(
            "m", base_url=url, transport=transport, tries=4, wait_initial=0.001, wait_max=0.002
        )
        try:
            await asyncio.gather(*(llm.chat(ASKED) for _ in range(10)))
            last = True
            with pytest.raises(LLMUnavailableError):
                await llm.chat(ASKED)
        finally:
            await llm.close()

    with serve(answer) as server:
        asyncio.run(run(server.base_url))
    # Once more, for a connection may have been closed before.
    assert len(server.requests) - 10 <= 4 + 1


def test_a_word_in_place_of_a_key_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with serve(refusing("max_completion_tokens")) as server:
        (reply,) = chat(server.base_url)
    assert reply.text
    assert "max_tokens" in server.chats[-1]
