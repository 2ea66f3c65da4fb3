"""What a probe finds out about servers with some features, with faults, and with other manners; where it is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.llm.probe import Capabilities
from neuroexplain.templates import Message
from neuroexplain.testing import ALL, FAULTS, Response, completion, serve
from neuroexplain.testing.http import HttpServer
from neuroexplain.testing.probes import HEADER, probe
from neuroexplain.testing.replies import failure
from neuroexplain.testing.wire import Request as Got
from tests import lives
from tests.program import neuroexplain
from tests.sweeps import Sweeps, error_of

Body = dict[str, Any]
SCHEMA = json.dumps(
    {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
)
ASKED = Request((Message("user", "Hi"),), "explain", 9, 0.5, schema=SCHEMA)
SEEN = ("json_schema", "json_object", "logprobs", "n", "max_completion_tokens", "usage")
"""Features whose lack shows in an answer; one without a seed, or with one temperature, answers like others."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


class Manners(HttpServer):
    """A server whose every answer is the test's own, to probes too."""

    def __init__(self, answer: Callable[[Body], Body | Response]) -> None:
        super().__init__("127.0.0.1", 0, 0.0)
        self._answer = answer
        self.bodies: list[Body] = []
        """Of the chats that were no probes."""
        self.asked = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def respond(self, request: Got) -> Response | Awaitable[Response]:
        self.asked += 1
        with self.mistakes:
            if not request.path.endswith("/chat/completions"):
                return failure("no such path", 404)
            body = json.loads(request.content)
            if request.headers.get(HEADER) != "probe":
                self.bodies.append(body)
            made = self._answer(body)
            return made if isinstance(made, Response) else Response(made)
        return Response(cut=-1)


@contextmanager
def with_manners(answer: Callable[[Body], Body | Response]) -> Iterator[Manners]:
    server = Manners(answer)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    if server.errors:
        raise server.errors[0]


def tried(url: str, *requests: Request, **settings: Any) -> tuple[Capabilities, list[Reply]]:
    """What a client finds out about a server, and its chats after that."""
    settings = {"wait_initial": 0.001, "wait_max": 0.002, "tries": 2, "timeout": 10.0} | settings

    async def run() -> tuple[Capabilities, list[Reply]]:
        llm = OpenAIChat("m", base_url=url, **settings)
        try:
            found = await llm.prepare(texts=False)
            return found[url], [await llm.chat(request) for request in requests]
        finally:
            await llm.close()

    return asyncio.run(run())


def expected(supports: frozenset[str]) -> Capabilities:
    """What a probe has to find of a server that ignores the rest in silence."""
    capped = "max_completion_tokens" in supports
    return Capabilities(
        form=next((f for f in ("json_schema", "json_object") if f in supports), "text"),
        cap="max_completion_tokens" if capped else "max_tokens",
        refused=(),
        logprobs="logprobs" in supports,
        n="n" in supports,
        usage="usage" in supports,
        served_model="m",
        prompt_logprobs="not asked",
        top_logprobs=20 if "logprobs" in supports else 0,
    )


def check_form_and_cap(body: Body, found: Capabilities) -> None:
    """Chats after a probe ask for what the server can do, and for no more."""
    assert body.get("response_format", {"type": "text"})["type"] == found.form
    caps = body.keys() & {"max_tokens", "max_completion_tokens"}
    assert caps == {found.cap}


EVERY_SET = [*chain.from_iterable(combinations(SEEN, n) for n in range(len(SEEN) + 1))]


@pytest.mark.parametrize("lacking", EVERY_SET, ids=" ".join)
def test_every_set_of_features_is_found_as_it_is(lacking: tuple[str, ...]) -> None:
    with serve(lambda body: "fine", supports=ALL - {*lacking}) as server:
        found, (reply,) = tried(server.base_url, ASKED)
    assert found == expected(ALL - {*lacking})
    assert reply.text == "fine"
    (body,) = server.chats
    check_form_and_cap(body, found)
    assert len(server.probes) <= 4, "a few short requests"


@pytest.mark.parametrize("unseen", ["seed", "temperature"])
def test_what_makes_no_difference_to_a_probe(unseen: str) -> None:
    with serve(lambda body: "fine", supports=ALL - {unseen}) as server:
        found, _ = tried(server.base_url)
    assert found == expected(ALL)


def refusing(
    *names: str, forms: tuple[str, ...] = (), status: int = 400
) -> Callable[[Body], Body | Response]:
    """A server that says which parameters it does not take, and fails on some forms of replies."""

    def answer(body: Body) -> Body | Response:
        form = body.get("response_format", {}).get("type")
        if form in forms:
            return failure(
                "no such form", status, param="response_format" if status < 500 else None
            )
        bad = next((name for name in names if name in body), None)
        if bad is not None:
            return failure(f"{bad} is not supported", param=bad, code="unsupported_parameter")
        return probe(body, ALL)

    return answer


LADDER: dict[str, tuple[Callable[[Body], Body | Response], dict[str, Any], set[str]]] = {
    "an older server": (
        refusing("max_completion_tokens"),
        {"cap": "max_tokens"},
        {"max_tokens", "temperature", "seed", "response_format"},
    ),
    "a model that thinks": (
        refusing("max_tokens", "temperature", "logprobs"),
        {"refused": ("logprobs", "temperature"), "logprobs": False, "top_logprobs": 0},
        {"max_completion_tokens", "seed", "response_format"},
    ),
    "no seed, no more replies than one": (
        refusing("seed", "n"),
        {"refused": ("n", "seed"), "n": False},
        {"max_completion_tokens", "temperature", "response_format"},
    ),
    "alternatives are too many": (
        refusing("top_logprobs"),
        {"refused": ("top_logprobs",), "logprobs": False, "top_logprobs": 0},
        {"max_completion_tokens", "temperature", "seed", "response_format"},
    ),
    "a schema is refused": (
        refusing(forms=("json_schema",)),
        {"form": "json_object"},
        {"max_completion_tokens", "temperature", "seed", "response_format"},
    ),
    "a schema makes it fail": (
        refusing(forms=("json_schema",), status=500),
        {"form": "json_object"},
        {"max_completion_tokens", "temperature", "seed", "response_format"},
    ),
    "every form is refused": (
        refusing(forms=("json_schema", "json_object")),
        {"form": "text"},
        {"max_completion_tokens", "temperature", "seed"},
    ),
    "all at once": (
        refusing("max_completion_tokens", "temperature", "seed", "n", "logprobs", forms=("json_schema", "json_object")),
        {
            "form": "text", "cap": "max_tokens", "n": False, "logprobs": False, "top_logprobs": 0,
            "refused": ("logprobs", "n", "seed", "temperature"),
        },
        {"max_tokens"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LADDER)
def test_what_a_server_refuses_is_found_and_not_sent_again(name: str) -> None:
    answer, changes, sent = LADDER[name]
    with with_manners(answer) as server:
        found, replies = tried(server.base_url, ASKED, ASKED)
    assert asdict(found) == asdict(expected(ALL)) | changes
    assert len(replies) == len(server.bodies) == 2, "no chat meets with a refusal"
    for body in server.bodies:
        assert body.keys() == {"model", "messages", *sent}
        check_form_and_cap(body, found)


def test_without_a_probe_the_first_chat_finds_out() -> None:
    answer = refusing("temperature", forms=("json_schema", "json_object"))
    with with_manners(answer) as server:

        async def run() -> None:
            llm = OpenAIChat("m", base_url=server.base_url)
            try:
                for _ in range(2):
                    assert (await llm.chat(ASKED)).attempts == 1
            finally:
                await llm.close()

        asyncio.run(run())
    forms = [body.get("response_format", {}).get("type") for body in server.bodies]
    assert forms == ["json_schema", "json_object", None, None, None]
    assert ["temperature" in body for body in server.bodies] == [True, True, True, False, False]


def test_a_server_that_keeps_to_no_limit() -> None:
    no_caps = {"max_tokens": None, "max_completion_tokens": None}
    with with_manners(lambda body: completion("word " * 50, body | no_caps)) as server:
        found, _ = tried(server.base_url)
    assert found.cap == "none"


@pytest.mark.parametrize(
    ("text", "form"),
    [('{"colour": "red"}', "json_object"), ("[1]", "text"), ('"mauve"', "text"), ("mauve", "text")],
)
def test_a_form_counts_only_where_the_reply_has_it(text: str, form: str) -> None:
    with with_manners(lambda body: completion(text, body)) as server:
        found, _ = tried(server.base_url)
    assert found.form == form


FORM_WITH_FAULT = {
    "wrong_json": "text",
    "no_choices": "text",
    "null_content": "text",
    "refusal": "json_schema",
    "length": "json_schema",
    "wrong_model": "text",
    "no_usage": "text",
}
"""What prose with a fault is taken for: where the reply may have been about to keep the form, that is believed."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_every_answer_is_a_finding_or_an_error_and_never_a_crash(name: str) -> None:
    with with_manners(FAULTS[name]) as server:
        try:
            found: Capabilities | LLMError = tried(server.base_url, timeout=0.2)[0]
        except LLMError as error:
            found = error
    if name in FORM_WITH_FAULT:
        assert isinstance(found, Capabilities)
        assert found.form == FORM_WITH_FAULT[name]
    else:
        assert isinstance(found, LLMError)
        assert "\n" not in str(found)


def test_a_server_that_is_down_is_tried_again_and_then_given_up() -> None:
    with (
        with_manners(lambda body: failure("down", 500)) as server,
        pytest.raises(LLMUnavailableError, match=r"failed \(500\): down"),
    ):
        tried(server.base_url)
    assert server.asked <= 2 * 5  # two tries of the run, in which each form is asked for twice


def test_a_server_that_comes_up_is_tried_again() -> None:
    asked = 0

    def answer(body: Body) -> Body | Response:
        nonlocal asked
        asked += 1
        return Response(cut=-1) if asked == 1 else probe(body, ALL)

    with with_manners(answer) as server:
        found, _ = tried(server.base_url)
    assert found == expected(ALL)


def test_one_server_of_several_that_cannot_be_used_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        with_manners(lambda body: failure("no", 401)) as bad,
        serve(lambda body: "fine", supports=ALL - {"n"}) as good,
    ):

        async def run() -> tuple[dict[str, Capabilities], list[Reply]]:
            llm = OpenAIChat("m", base_url=[bad.base_url, good.base_url])
            try:
                found = await llm.prepare(texts=False)
                return found, [await llm.chat(ASKED) for _ in range(3)]
            finally:
                await llm.close()

        found, replies = asyncio.run(run())
    assert found == {good.base_url: expected(ALL - {"n"})}
    assert {reply.endpoint for reply in replies} == {good.base_url}
    assert bad.asked == 1
    assert "going on without: the key was refused by" in caplog.text
    with with_manners(lambda body: failure("no", 401)) as bad, pytest.raises(LLMPermanentError):
        tried(bad.base_url)


def test_the_command_shows_what_it_finds() -> None:
    """Of a model that the server does not list, and yet answers for, as many do."""
    with serve(lambda body: "fine", supports=ALL - {"json_schema", "n"}) as server:
        asked = ("probe", "--llm", "openai:m", "--base-url", server.base_url)
        shown, told = neuroexplain(*asked), neuroexplain(*asked, "--json")
    assert (shown.code, told.code) == (0, 0)
    found = expected(ALL - {"json_schema", "n"}).as_dict()
    found |= {"prompt_logprobs": "none", "why": "it completes no texts (404)"}
    assert told.json == {server.base_url: found}
    lines = [line.strip() for line in shown.out.splitlines()]
    assert lines[0] == f"openai:m at {server.base_url}"
    assert {
        "form: json_object",
        "n: no",
        "usage: yes",
        "refused: none",
        "prompt_logprobs: none",
    } <= set(lines)
    assert server.chats == []


def test_the_command_needs_a_server() -> None:
    assert (
        error_of(neuroexplain("probe", "--llm", "none"))
        == '"none" has no server to try; write openai:MODEL'
    )
    with serve(lambda body: "x") as server:
        url = server.base_url
    gone = neuroexplain("probe", "--llm", "openai:m", "--base-url", url, "--tries", "1")
    assert error_of(gone) == f"nothing answers at {url}; is the server running?"


def test_a_run_keeps_what_it_found_out(sweeps: Sweeps, tmp_path: Path) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    with serve(lives.answer, supports=ALL - {"json_schema", "logprobs"}) as server:
        arguments = sweeps.arguments(path, server.base_url, "--neurons", "0:0-4", "--json")
        first = neuroexplain(*(a for a in arguments if a != "--no-probe"))
        assert first.code == 0, first.err
        probes = len(server.probes)
        again = neuroexplain(*(a for a in arguments if a != "--no-probe"))
    assert 0 < probes == len(server.probes), "where nothing is asked, nothing has to be found out"
    assert again.code == 0
    run = first.json["run_id"]
    found = expected(ALL - {"json_schema", "logprobs"}).as_dict() | {"served_model": "test-model"}
    source = {"run_id": run, "model": "openai:test-model@here", "endpoint": server.base_url}
    with Catalogue(path, read_only=True) as catalogue:
        assert catalogue.probes(run) == [source | found]
        assert catalogue.probes(again.json["run_id"]) == []
    shown = neuroexplain("runs", "show", str(run), "--catalogue", str(path), "--json")
    assert shown.json["probes"] == [source | found]
    assert shown.json["llm_calls"] == len(server.chats), "probes are no calls"
    text = neuroexplain("runs", "show", str(run), "--catalogue", str(path)).out
    assert f"openai:test-model@here at {server.base_url}:" in text
    assert "form: json_object" in text


def at_most(most: int) -> Callable[[Body], Body | Response]:
    """A server that refuses to give more alternatives to a token than so many."""

    def answer(body: Body) -> Body | Response:
        if body.get("top_logprobs", 0) > most:
            return failure(f"top_logprobs must be at most {most}", param="top_logprobs")
        if body.get("logprobs") and body.get("n") != 2:
            return completion("7", body, alternatives={"7": 0.9, "8": 0.1})
        return probe(body, ALL)

    return answer


@pytest.mark.parametrize(("most", "given"), [(20, 20), (10, 10), (8, 5), (5, 5)])
def test_how_many_alternatives_a_server_gives_is_found_out(most: int, given: int) -> None:
    asked = Request(ASKED.messages, "simulate", 1, top_logprobs=20)
    with with_manners(at_most(most)) as server:
        found, (reply,) = tried(server.base_url, asked)
        assert found == replace(expected(ALL), top_logprobs=given)
        chat = OpenAIChat("m", base_url=server.base_url)

        async def without_a_probe() -> list[str]:
            try:
                return [(await chat.chat(asked)).text for _ in range(2)]
            finally:
                await chat.close()

        assert asyncio.run(without_a_probe()) == [reply.text] * 2
    counts = [body["top_logprobs"] for body in server.bodies if body.get("n") != 2]
    steps = [count for count in (20, 10, 5) if count >= given]
    assert counts == [given, *steps, given], "after a probe at once; without one, found out once"
    assert json.loads(reply.text)[0][0] == "7"


def test_servers_that_give_fewer_in_silence() -> None:
    def answer(body: Body) -> Body:
        return probe(body | {"top_logprobs": min(2, body.get("top_logprobs", 0))}, ALL)

    with with_manners(answer) as server:
        found, _ = tried(server.base_url, Request(ASKED.messages, "simulate", 1, top_logprobs=20))
    assert (found.logprobs, found.top_logprobs) == (True, 2)
    assert server.bodies[-1]["top_logprobs"] == 2
