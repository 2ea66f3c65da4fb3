"""Several servers of one model: who gets how much, what happens when one dies or comes back, and how fast they are asked."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.errors import LLMPermanentError, LLMUnavailableError
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.llm.pace import Bucket
from neuroexplain.templates import Message
from neuroexplain.testing import Response, Server, completion, serve
from tests import lives
from tests.sweeps import Sweeps, asked, error_of

LATENCY = 0.02
"""Seconds for which a server that works takes; with it, requests overlap."""


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-main")
    monkeypatch.setenv("KEY_B", "sk-of-b")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def fine(body: dict[str, Any]) -> str:
    return "fine"


def asks(n: int, first: int = 0) -> list[Request]:
    """Requests that differ."""
    return [
        Request((Message("user", f"number {i}"),), "explain", 9) for i in range(first, first + n)
    ]


def pooled(
    urls: Sequence[str], use: Callable[[OpenAIChat], Awaitable[Any]], **settings: Any
) -> Any:
    """What `use` makes of a client of some servers."""

    async def run() -> Any:
        settings.setdefault("wait_initial", 0.01)
        llm = OpenAIChat("m", base_url=list(urls), **settings)
        try:
            return await use(llm)
        finally:
            await llm.close()

    return asyncio.run(run())


async def at_a_time(llm: OpenAIChat, n: int, requests: Sequence[Request]) -> list[Reply]:
    """Answer requests, so many under way."""
    left = iter(requests)
    replies: list[Reply] = []

    async def worker() -> None:
        for request in left:
            replies.append(await llm.chat(request))

    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(worker())
    return replies


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize("weight", [1, 3])
def test_every_server_gets_its_share(weight: int) -> None:
    with serve(fine, latency=LATENCY) as a, serve(fine, latency=LATENCY) as b:
        urls = [f"{a.base_url},weight={weight}", b.base_url]
        replies = pooled(urls, lambda llm: at_a_time(llm, 16, asks(640)))
    assert len(replies) == 640
    share = Counter(reply.endpoint for reply in replies)
    assert share == {a.base_url: len(a.chats), b.base_url: len(b.chats)}
    expected = 640 * weight / (weight + 1)
    assert abs(len(a.chats) - expected) < 50


def test_a_slow_server_gets_what_it_can_do() -> None:
    with serve(fine, latency=LATENCY) as a, serve(fine, latency=5 * LATENCY) as b:
        pooled([a.base_url, b.base_url], lambda llm: at_a_time(llm, 16, asks(300)))
    assert len(a.chats) > 2 * len(b.chats) > 0


def test_every_server_is_sent_its_own_key() -> None:
    with serve(fine, latency=LATENCY) as a, serve(fine, latency=LATENCY) as b:
        urls = [a.base_url, f"{b.base_url},key=KEY_B"]
        pooled(urls, lambda llm: at_a_time(llm, 8, asks(40)))
    sent = [{r.headers["authorization"] for r in server.requests} for server in (a, b)]
    assert sent == [{"Bearer sk-main"}, {"Bearer sk-of-b"}]


def test_what_one_server_refuses_another_takes(caplog: pytest.LogCaptureFixture) -> None:
    """A key that is refused is no reason to stop where other servers take theirs; what was sent in vain is sent to them."""
    refusal = Response({"error": {"message": "bad key sk-of-b"}}, 401)
    with serve(fine, latency=LATENCY) as a, serve(lambda body: refusal, latency=LATENCY) as b:
        urls = [a.base_url, f"{b.base_url},key=KEY_B"]
        replies = pooled(urls, lambda llm: at_a_time(llm, 16, asks(200)))
    assert {reply.endpoint for reply in replies} == {a.base_url}
    assert (len(replies), len(a.chats)) == (200, 200)
    assert 1 <= len(b.chats) <= 8, "what was under way before the first answer"
    assert "going on with 1 other servers" in caplog.text
    assert "sk-of-b" not in caplog.text


def test_where_all_refuse_it_ends() -> None:
    refusal = Response({"error": {"message": "no"}}, 401)
    with (
        serve(lambda body: refusal) as a,
        serve(lambda body: refusal) as b,
        pytest.raises(LLMPermanentError, match=r"the key was refused by .* \(401\)"),
    ):
        pooled([a.base_url, b.base_url], lambda llm: llm.chat(asks(1)[0]))
    assert (len(a.chats), len(b.chats)) == (1, 1)


@pytest.mark.parametrize("fault", [Response(status=500), Response(cut=-1), Response(status=503)])
def test_the_failure_of_one_is_another_ones_request(fault: Response) -> None:
    """At once, without the wait that a single server would get."""
    with serve(fine, latency=LATENCY) as a, serve(lambda body: fault) as b:
        start = time.monotonic()
        replies = pooled(
            [b.base_url, a.base_url],
            lambda llm: at_a_time(llm, 8, asks(100)),
            wait_initial=0.05,
            tries=12,
        )
        took = time.monotonic() - start
    assert len(replies) == len(a.chats) == 100
    assert took < 5.0
    assert b.chats


class Life:
    """A server that dies, and is started again where it was."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.port = free_port()
        self._living: ExitStack | None = None
        self.lives: list[Server] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def begin(self) -> None:
        self._living = ExitStack()
        self._stack.callback(self._living.close)
        self.lives.append(self._living.enter_context(serve(fine, latency=LATENCY, port=self.port)))

    def end(self) -> None:
        assert self._living is not None
        self._living.close()


def test_a_server_that_dies_is_left_and_comes_back() -> None:
    """It dies with requests under way, and none is lost; once it is there again, it is found out within seconds."""
    with ExitStack() as stack:
        a = stack.enter_context(serve(fine, latency=LATENCY))
        b = Life(stack)
        b.begin()

        async def use(llm: OpenAIChat) -> tuple[list[Reply], float, int]:
            replies = await at_a_time(llm, 16, asks(100))
            await asyncio.gather(at_a_time(llm, 16, asks(100, 100)), asyncio.to_thread(b.end))
            before = len(a.chats)
            replies += await at_a_time(llm, 16, asks(100, 200))
            assert len(a.chats) - before == 100, "nothing is lost, nothing sent twice"
            tried = llm.endpoints[1].resting
            b.begin()
            since = time.monotonic()
            while not b.lives[1].chats:
                assert time.monotonic() - since < 20
                replies += await at_a_time(llm, 4, asks(4, 300 + len(replies)))
            back = time.monotonic() - since
            await at_a_time(llm, 16, asks(200, 10_000))
            return replies, max(tried, back), len(b.lives[1].chats)

        replies, rest, share = pooled([a.base_url, b.url], use, timeout=10.0)
    assert {reply.text for reply in replies} == {"fine"}
    assert rest < 5.0, "failures of one moment are one"
    assert share > 60, "and it has its share again"


def test_nobody_there_is_an_error_that_may_pass() -> None:
    urls = [f"http://127.0.0.1:{free_port()}/v1" for _ in range(2)]
    with pytest.raises(LLMUnavailableError, match="nothing answers at") as caught:
        pooled(urls, lambda llm: llm.chat(asks(1)[0]), tries=3)
    assert (caught.value.attempts, caught.value.reason) == (3, "unreachable")


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The most of some moments that lie within so many seconds."""
    return max(sum(at <= m < at + seconds for m in moments) for at in moments)


def test_requests_a_minute_are_kept_at_each_server() -> None:
    """900 a minute: what can be saved up in three seconds at once, then fifteen a second; the other server is free."""
    with serve(fine) as a, serve(fine) as b:
        pooled(
            [f"{a.base_url},rpm=900", f"{b.base_url},rpm=60000"],
            lambda llm: at_a_time(llm, 140, asks(140)),
            concurrency=200,
        )
    moments = [r.at for r in a.requests]
    assert len(a.requests) + len(b.requests) == 140
    for seconds in (0.2, 0.5, 1.0):
        assert most_within(moments, seconds) <= 15 * (Bucket.BURST + seconds) + 1
    assert len(moments) > 15 * Bucket.BURST, "it came to the limit"
    assert b.requests[-1].at < moments[-1] - 0.5, "and the other server did not wait for it"


def test_requests_a_minute_that_a_server_tells_are_kept() -> None:
    told = {"x-ratelimit-limit-requests": "300"}
    with serve(lambda body: Response(completion("x", body), headers=told)) as server:
        pooled([server.base_url], lambda llm: at_a_time(llm, 8, asks(28)))
    moments = [r.at for r in server.requests]
    # 300 a minute are 5 a second, and 15 at once; 8 may have been sent before it told.
    assert moments[-1] - moments[0] >= (28 - 8 - 5 * Bucket.BURST - 1) / 5


def test_tokens_a_minute_are_kept() -> None:
    """60,000 a minute, of which a request takes 300 in the server's eyes, which is known only once it has answered."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        return completion("x", body) | {"usage": {"prompt_tokens": 200, "completion_tokens": 100}}

    with serve(answer) as server:
        pooled([f"{server.base_url},tpm=60000"], lambda llm: at_a_time(llm, 8, asks(24)))
    moments = [r.at for r in server.requests]
    under_way = 8 * 300
    for seconds in (0.2, 0.5, 1.0):
        used = 300 * most_within(moments, seconds)
        assert used <= 1000 * (Bucket.BURST + seconds) + under_way
    assert moments[-1] - moments[0] >= (24 * 300 - under_way) / 1000 - Bucket.BURST


def test_a_sweep_over_several_servers_is_one_sweep(sweeps: Sweeps, tmp_path: Path) -> None:
    """Whichever they are next time: they have one name, and what one has answered is not bought from another."""
    path, few = sweeps.copy(tmp_path / "c.sqlite"), ("--neurons", "0:0-29")
    with serve(lives.answer, latency=LATENCY) as a, serve(lives.answer, latency=LATENCY) as b:
        first = sweeps.run(path, a.base_url, "--base-url", f"{b.base_url},weight=2", *few)
        assert first.code == 0, first.err
        sent = asked(a) + asked(b)
        assert max(sent.values()) == 1
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT endpoint, count(*) FROM v_llm_calls GROUP BY endpoint"
            calls = dict(connection.execute(query).fetchall())
        assert calls == {a.base_url: len(a.chats), b.base_url: len(b.chats)}
        assert len(b.chats) > len(a.chats) > 0
    with serve(lives.answer) as other:
        again = sweeps.run(path, other.base_url, *few)
    assert (again.code, other.arrived) == (0, 0)


def test_a_server_whose_key_is_not_set_is_found_before_any_work(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    with serve(fine) as a, serve(fine) as b:
        result = sweeps.run(path, a.base_url, "--base-url", f"{b.base_url},key=NO_SUCH_KEY")
        assert error_of(result).endswith("the environment variable NO_SUCH_KEY holds no key")
        assert a.arrived + b.arrived == 0
