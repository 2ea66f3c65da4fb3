"""The server as bytes on a connection: what it takes, what it refuses, what it survives."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from neuroexplain.testing import Response, Server, completion, serve
from neuroexplain.testing.wire import Reader
from tests.testing.wire import BODY, CHAT, answers, opened, post, rest, written

CONTENT = json.dumps(BODY).encode()


def said(made: dict[str, Any]) -> str:
    return str(made["choices"][0]["message"]["content"])


def until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def numbered(n: int) -> bytes:
    return json.dumps(BODY | {"messages": [{"role": "user", "content": str(n)}]}).encode()


def test_requests_sent_in_one_go_are_answered_in_order() -> None:
    def answer(body: dict[str, Any]) -> Response:
        text = body["messages"][0]["content"]
        return Response(completion(text, body), delay=0.01 if text == "0" else 0.0)

    with serve(answer) as server, opened(server) as connection:
        connection.sendall(b"".join(written(numbered(n)) for n in range(3000)))
        texts = [said(made) for _, made in answers(connection, 3000)]
    assert texts == [str(n) for n in range(3000)]
    assert [body["messages"][0]["content"] for body in server.chats] == texts


def test_a_request_may_come_byte_by_byte() -> None:
    reader, sent = Reader(), b"\r\n" + written(CONTENT)
    for byte in sent[:-1]:
        reader.feed(bytes([byte]))
        assert reader.next() is None
    reader.feed(sent[-1:])
    request = reader.next()
    assert request is not None and request.content == CONTENT


def test_chunks() -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (1, bytes([byte])) for byte in CONTENT)
    with serve(lambda body: "x") as server, opened(server) as connection:
        for end in (b"0\r\n\r\n", b"0\r\nTrailer: t\r\n\r\n"):
            connection.sendall(head + chunks[:100])
            time.sleep(0.02)
            connection.sendall(chunks[100:] + end)
            assert answers(connection, 1)[0][0] == 200
    assert server.chats == [BODY, BODY]


def test_a_client_that_asks_whether_to_go_on() -> None:
    sent = written(CONTENT, "Expect: 100-continue")
    with serve(lambda body: "x") as server, opened(server) as connection:
        connection.sendall(sent[: -len(CONTENT)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(CONTENT)
        assert answers(connection, 1)[0][0] == 200


@pytest.mark.parametrize("ending", ["HTTP/1.1\r\nConnection: close", "HTTP/1.0"])
def test_clients_that_want_no_more(ending: str) -> None:
    sent = written(CONTENT).replace(b"HTTP/1.1", ending.encode(), 1)
    with serve(lambda body: "x") as server, opened(server) as connection:
        connection.sendall(sent)
        assert rest(connection).startswith(b"HTTP/1.1 200 OK\r\n")


LAST = {
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "garbage": (b"hello\r\n\r\n", 400),
    "http/2": (b"GET / HTTP/2\r\n\r\n", 400),
    "method": (b"BREW /pot HTTP/1.1\r\n\r\n", 405),
    "no name": (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
    "length": (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
    "odd length": (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
    "chunk": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "endless": (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
}


@pytest.mark.parametrize("kind", LAST)
def test_what_is_no_http_ends_the_connection_and_nothing_else(kind: str) -> None:
    sent, status = LAST[kind]
    with serve(lambda body: "x") as server:
        with opened(server) as connection:
            connection.sendall(sent)
            assert rest(connection).startswith(b"HTTP/1.1 %d " % status)
        assert post(server)[0] == 200
    assert len(server.requests) == 1


WRONG = {
    "no json": b"{",
    "no object": b"[1]",
    "no utf-8": b'{"a": "\xff"}',
    "too deep": b"[" * 100_000,
    "empty": b"",
    "no model": b'{"messages": [{"role": "user", "content": "x"}]}',
    "no messages": b'{"model": "m"}',
    "odd messages": b'{"model": "m", "messages": ["x"]}',
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_chat_is_refused(kind: str) -> None:
    with serve(lambda body: pytest.fail("called")) as server, opened(server) as connection:
        connection.sendall(written(WRONG[kind]))
        ((status, made),) = answers(connection, 1)
        assert (status, made["error"]["type"]) == (400, "invalid_request_error")
        connection.sendall(written(b"{", path="/v1/odd?x=1"))
        assert answers(connection, 1)[0][0] == 404
    assert [r.path for r in server.requests] == [CHAT, "/v1/odd?x=1"]


@pytest.mark.parametrize("cut", [-1, 0, 5])
def test_a_reset_is_a_reset(cut: int) -> None:
    with (
        serve(lambda body: Response("x" * 10, cut=cut, reset=True)) as server,
        opened(server) as connection,
    ):
        connection.sendall(written(CONTENT))
        with pytest.raises(ConnectionResetError):
            rest(connection)
    assert server.answered == 0


def test_drip() -> None:
    start = time.monotonic()
    with serve(lambda body: Response('{"a": 1}', drip=0.02)) as server:
        assert post(server) == (200, {"a": 1})
    assert time.monotonic() - start >= 8 * 0.02


def test_an_answer_counts_when_its_last_byte_is_written() -> None:
    with serve(lambda body: "x" * 20_000_000) as server, opened(server) as connection:
        connection.sendall(written(CONTENT))
        until(lambda: server.requests)
        time.sleep(0.1)
        assert server.answered == 0
        answers(connection, 1)
        until(lambda: server.answered == 1)
        assert post(server)[0] == 200
        assert server.answered == 2


def test_a_client_that_goes_away_is_no_error_and_no_answer() -> None:
    def answer(body: dict[str, Any]) -> Response:
        return next(slow)

    slow = iter([Response(delay=0.1), Response("x" * 100, drip=0.01), Response("x" * 50_000_000)])
    with serve(answer) as server:
        for n in range(3):
            with opened(server) as connection:
                connection.sendall(written(CONTENT))
                until(lambda n=n: len(server.requests) == n + 1)
        time.sleep(0.2)
    assert (server.arrived, server.answered) == (3, 0)


def test_a_thousand_connections_at_once() -> None:
    with serve(lambda body: "x", latency=0.3) as server:
        start = time.monotonic()
        connections = [opened(server) for _ in range(1000)]
        for connection in connections:
            connection.sendall(written(CONTENT))
        assert all(answers(connection, 1)[0][0] == 200 for connection in connections)
        assert time.monotonic() - start < 10
        for connection in connections:
            connection.close()
    assert server.answered == 1000


def test_latency_may_be_drawn() -> None:
    drawn = itertools.cycle([0.15, 0.0])
    with serve(lambda body: "x", latency=lambda: next(drawn)) as server:
        took = []
        for _ in range(4):
            start = time.monotonic()
            post(server)
            took.append(time.monotonic() - start)
    assert took[0] >= 0.15 > min(took)


def test_time_of_arrival() -> None:
    before = time.monotonic()
    with serve(lambda body: Response(completion("x", body), delay=0.1)) as server:
        post(server)
    assert before <= server.requests[0].at <= time.monotonic() - 0.1


def test_an_answer_may_wait_for_another() -> None:
    """The first chat is answered after the second has come."""
    second = asyncio.Event()

    async def answer(body: dict[str, Any]) -> str:
        if body["messages"][0]["content"] == "0":
            await second.wait()
        second.set()
        return "done"

    with serve(answer) as server, opened(server) as one, opened(server) as two:
        one.sendall(written(numbered(0)))
        until(lambda: server.requests)
        assert server.answered == 0
        two.sendall(written(numbered(1)))
        assert said(answers(one, 1)[0][1]) == said(answers(two, 1)[0][1]) == "done"


def test_the_block_ends_though_an_answer_waits_for_ever() -> None:
    async def answer(body: dict[str, Any]) -> str:
        await asyncio.Event().wait()
        return "never"

    with serve(answer) as server, opened(server) as connection:
        connection.sendall(written(CONTENT))
        until(lambda: server.requests)
    assert (len(server.requests), server.answered) == (1, 0)


class OwnError(Exception):
    pass


def failing(server_side: str) -> Any:
    def plain(body: dict[str, Any]) -> str:
        raise OwnError

    async def waiting(body: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        raise OwnError

    return {"plain": plain, "async": waiting}[server_side]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_error_of_the_answer_ends_its_connection_and_comes_out(kind: str) -> None:
    with pytest.raises(OwnError), serve(failing(kind)) as server:
        for _ in range(2):
            with pytest.raises(ConnectionError):
                post(server)
    assert (len(server.requests), len(server.errors)) == (2, 2)


@pytest.mark.parametrize("made", [None, 3, Response({"a": {1}})])
def test_what_cannot_be_sent_is_an_error(made: Any) -> None:
    with pytest.raises(TypeError), serve(lambda body: made) as server:
        with pytest.raises(ConnectionError):
            post(server)
        assert server.answered == 0


def test_a_failed_check_inside_the_answer_fails_the_test() -> None:
    def answer(body: dict[str, Any]) -> str:
        pytest.fail("that was not asked for")

    with pytest.raises(pytest.fail.Exception), serve(answer) as server:
        with pytest.raises(ConnectionError):
            post(server)
        assert post(server, path="/v1/odd")[0] == 404


def test_nothing_is_kept_where_nothing_is_wanted() -> None:
    with serve(lambda body: "x", log=False) as server:
        assert post(server)[0] == 200
        assert post(server, X_Neuroexplain="probe")[0] == 200
    assert (server.requests, server.chats, server.probes, server.arrived) == ([], [], [], 2)


def test_the_port_may_be_chosen() -> None:
    with serve(lambda body: "x") as server:
        port = server.server_port
        with pytest.raises(OSError), serve(lambda body: "x", port=port):
            pass
    with serve(lambda body: "x", port=port) as again:
        assert again.base_url == f"http://127.0.0.1:{port}/v1"
        assert post(again)[0] == 200


def test_servers_do_not_know_each_other() -> None:
    with serve(lambda body: "a") as one, serve(lambda body: "b") as two:
        servers: list[Server] = [one, two, one]
        assert [said(post(server)[1]) for server in servers] == ["a", "b", "a"]
        assert (len(one.chats), len(two.chats)) == (2, 1)
