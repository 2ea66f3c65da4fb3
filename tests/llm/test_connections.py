"""Connections to a real server on loopback: kept, closed, refused, many at a time."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from neuroexplain.errors import (
    LLMUnavailableError,
)
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.templates import Message
from neuroexplain.testing import Response, completion, serve
from tests.llm.asking import ASKED, Body, chat

pytestmark = pytest.mark.usefixtures("openai_key")


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


def test_nothing_listens(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(
        LLMUnavailableError, match=r"nothing answers at .*is the server running"
    ) as e:
        chat(f"http://127.0.0.1:{port}/v1", transport=transport, tries=2)
    assert e.value.attempts == 2
