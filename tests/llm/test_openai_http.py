"""The client against a real server on loopback: what every fault becomes, and after how many requests."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest

from neuroexplain.errors import (
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
)
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.testing import Answer, Response, completion, serve
from tests.llm.asking import ASKED, KEY, Body, changed, chat, error, in_turn, refusing

pytestmark = pytest.mark.usefixtures("openai_key")


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
