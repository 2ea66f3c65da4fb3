"""The Batch API with OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Batch

from neuroexplain.testing import Answer, Batches, Response, Server, serve
from tests.testing.wire import BODY, CHAT, answers, opened, written


def line(i: int, **changes: Any) -> dict[str, Any]:
    body = BODY | {"messages": [{"role": "user", "content": f"number {i}"}]}
    return {"custom_id": f"id-{i}", "method": "POST", "url": CHAT, "body": body} | changes


def jsonl(*lines: dict[str, Any] | str) -> bytes:
    texts = [text if isinstance(text, str) else json.dumps(text) for text in lines]
    return "".join(text + "\n" for text in texts).encode()


def echo(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


@contextmanager
def service(answer: Answer = echo, **settings: Any) -> Iterator[tuple[Server, OpenAI]]:
    with (
        serve(answer, batches=Batches(**settings)) as server,
        OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        yield server, client


def submit(client: OpenAI, content: bytes, **more: Any) -> Batch:
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", **more
    )


def finished(client: OpenAI, batch: Batch, polls: int = 10) -> Batch:
    for _ in range(polls):
        batch = client.batches.retrieve(batch.id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
    pytest.fail(f"still {batch.status}")


def lines_of(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


def test_a_batch_from_file_to_file() -> None:
    content = jsonl(*map(line, range(30)))
    with service() as (server, client):
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        assert (file.bytes, file.filename, file.purpose) == (len(content), "in.jsonl", "batch")
        assert client.files.retrieve(file.id) == file
        assert client.files.content(file.id).content == content
        batch = submit(client, content, metadata={"job": "7"})
        states = [batch.status]
        while states[-1] != "completed":
            batch = client.batches.retrieve(batch.id)
            states.append(batch.status)
        found = lines_of(client, batch.output_file_id)
        assert server.batches[0]["id"] == batch.id
    assert states == ["validating", "in_progress", "finalizing", "completed"]
    assert batch.metadata == {"job": "7"} and batch.error_file_id is None
    assert batch.request_counts is not None and batch.usage is not None
    assert batch.request_counts.to_dict() == {"total": 30, "completed": 30, "failed": 0}
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.model) == (60, 60, "m")
    ids = [entry["custom_id"] for entry in found]
    assert sorted(ids) == sorted(f"id-{i}" for i in range(30))
    assert ids != [f"id-{i}" for i in range(30)]
    for entry in found:
        said = entry["response"]["body"]["choices"][0]["message"]["content"]
        assert said == entry["custom_id"].replace("id-", "number ")
        assert (entry["error"], entry["response"]["status_code"]) == (None, 200)
    assert server.chats == []


def test_with_the_asynchronous_client_and_both_transports() -> None:
    async def run(base_url: str, http_client: Any) -> str:
        async with AsyncOpenAI(
            base_url=base_url, api_key="k", max_retries=0, http_client=http_client
        ) as client:
            file = await client.files.create(file=("in.jsonl", jsonl(line(1))), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint=CHAT, completion_window="24h"
            )
            while batch.status != "completed":
                batch = await client.batches.retrieve(batch.id)
            return (await client.files.content(str(batch.output_file_id))).text

    pytest.importorskip("aiohttp")
    with serve(echo) as server:
        for transport in (openai.DefaultAsyncHttpxClient, openai.DefaultAioHttpClient):
            assert "number 1" in asyncio.run(run(server.base_url, transport()))


INVALID = {
    "invalid_json_line": (jsonl(line(0), '{"custom_id": ', line(1)), 2, None),
    "duplicate_custom_id": (jsonl(line(0), line(1), line(0)), 3, "custom_id"),
    "url_mismatch": (jsonl(line(0), line(1, url="/v1/completions")), 2, "url"),
    "model_mismatch": (
        jsonl(line(0), line(1, body=BODY | {"model": "other"})),
        2,
        "body.model",
    ),
    "missing_required_parameter": (jsonl(line(0, custom_id="")), 1, "custom_id"),
    "invalid_method": (jsonl(line(0, method="GET")), 1, "method"),
    "empty_file": (b"\n", None, None),
    "too_many_tasks": (jsonl(*map(line, range(6))), None, None),
    "file_too_large": (jsonl(line(0, custom_id="x" * 2000)), None, None),
}


@pytest.mark.parametrize("code", INVALID)
def test_an_invalid_file_fails_its_batch(code: str) -> None:
    content, number, param = INVALID[code]
    with service(lambda body: pytest.fail("called"), max_lines=5, max_bytes=2000) as (_, client):
        batch = submit(client, content)
        assert (batch.status, batch.errors) == ("validating", None)
        batch = client.batches.retrieve(batch.id)
        assert client.batches.retrieve(batch.id) == batch
    assert batch.status == "failed" and batch.failed_at
    assert batch.errors is not None and batch.errors.data is not None
    (error,) = batch.errors.data
    assert (error.code, error.line, error.param) == (code, number, param)
    assert batch.output_file_id is None and batch.error_file_id is None


def test_every_bad_line_is_named() -> None:
    with service() as (_, client):
        batch = finished(client, submit(client, jsonl("x", line(0), "[]", "")))
    assert batch.errors is not None and batch.errors.data is not None
    assert [(e.code, e.line) for e in batch.errors.data] == [
        ("invalid_json_line", 1),
        ("invalid_json_line", 3),
    ]


def test_the_real_limits() -> None:
    defaults = Batches()
    assert (defaults.max_lines, defaults.max_bytes) == (50_000, 209_715_200)
    small = b"".join(b'{"custom_id": "%d"}\n' % i for i in range(50_001))
    with service() as (_, client):
        batch = finished(client, submit(client, small))
    assert batch.errors is not None and batch.errors.data is not None
    assert batch.errors.data[0].code == "too_many_tasks"


def choosy(body: dict[str, Any]) -> str | Response:
    number = int(echo(body).split()[-1])
    if number % 3 == 1:
        return Response({"error": {"message": "too long", "code": "context"}}, 400)
    if number % 3 == 2:
        return Response("<html>", cut=3)
    return "fine"


@pytest.mark.parametrize("rejected", ["output", "errors"])
def test_lines_that_fail(rejected: str) -> None:
    with service(choosy, rejected=rejected) as (_, client):
        batch = finished(client, submit(client, jsonl(*map(line, range(9)))))
        good = lines_of(client, batch.output_file_id)
        bad = lines_of(client, batch.error_file_id)
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 9, "completed": 3, "failed": 6}
    found = {entry["custom_id"]: entry for entry in good + bad}
    assert len(found) == len(good + bad) == 9
    assert len(good) == (6 if rejected == "output" else 3)
    refused = found["id-4"]
    assert refused["error"] is None and refused["response"]["status_code"] == 400
    assert refused["response"]["body"]["error"]["code"] == "context"
    assert found["id-5"]["response"] is None and found["id-5"]["error"]["code"] == "server_error"


def test_a_batch_of_which_nothing_succeeded_has_no_output() -> None:
    with service(lambda body: Response({"error": {"message": "no"}}, 400)) as (_, client):
        batch = finished(client, submit(client, jsonl(*map(line, range(3)))))
        bad = lines_of(client, batch.error_file_id)
    assert (batch.status, batch.output_file_id, len(bad)) == ("completed", None, 3)
    assert all(entry["response"]["status_code"] == 400 for entry in bad)


def test_expired() -> None:
    with service(expire_after=4) as (_, client):
        batch = finished(client, submit(client, jsonl(*map(line, range(10)))))
        good = lines_of(client, batch.output_file_id)
        bad = lines_of(client, batch.error_file_id)
    assert batch.status == "expired" and batch.expired_at and batch.completed_at is None
    assert {entry["custom_id"] for entry in good} == {f"id-{i}" for i in range(4)}
    assert {entry["custom_id"] for entry in bad} == {f"id-{i}" for i in range(4, 10)}
    assert {entry["error"]["code"] for entry in bad} == {"batch_expired"}
    assert {entry["response"] for entry in bad} == {None}


def test_cancelled_with_what_was_done() -> None:
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        asked.append(echo(body))
        return "fine"

    with service(answer, polls=5) as (_, client):
        batch = submit(client, jsonl(*map(line, range(8))))
        client.batches.retrieve(batch.id)
        assert len(asked) == 2, "a quarter with the first of four steps"
        assert client.batches.cancel(batch.id).status == "cancelling"
        batch = client.batches.retrieve(batch.id)
        assert batch.status == "cancelled" and len(asked) == 2
        assert len(lines_of(client, batch.output_file_id)) == 2
        codes = [entry["error"]["code"] for entry in lines_of(client, batch.error_file_id)]
        assert codes == ["batch_cancelled"] * 6
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(batch.id)


@pytest.mark.parametrize("polls", [0, 1, 2, 7])
def test_how_often_it_has_to_be_asked_after(polls: int) -> None:
    with service(polls=polls) as (_, client):
        batch = submit(client, jsonl(*map(line, range(5))))
        states = [client.batches.retrieve(batch.id).status for _ in range(max(polls, 1) + 1)]
    steps = ["in_progress"] * (polls - 2) + ["finalizing"] * (polls > 1)
    assert states == [*steps, "completed", "completed"]


def test_a_lost_output_file() -> None:
    with service(lose_output=True) as (_, client):
        batch = finished(client, submit(client, jsonl(line(0))))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("completed", None, None)
    assert batch.request_counts is not None and batch.request_counts.completed == 1


def test_an_upload_that_fails_once() -> None:
    with service(fail_upload=1) as (_, client):
        with pytest.raises(openai.InternalServerError):
            submit(client, jsonl(line(0)))
        assert finished(client, submit(client, jsonl(line(0)))).status == "completed"


def test_a_batch_that_was_made_without_a_word_is_found_by_its_metadata() -> None:
    with service(drop_created=1) as (server, client):
        with pytest.raises(openai.APIConnectionError):
            submit(client, jsonl(line(0)), metadata={"job": "lost"})
        for i in range(5):
            submit(client, jsonl(line(0)), metadata={"job": str(i)})
        page = client.batches.list(limit=2)
        assert (len(page.data), page.has_more) == (2, True)
        jobs = [(batch.metadata or {})["job"] for batch in client.batches.list(limit=2)]
        assert jobs == ["4", "3", "2", "1", "0", "lost"], "the newest first, over all pages"
        assert server.batches[0]["status"] == "validating", "a list moves nothing on"


def test_another_key_sees_nothing() -> None:
    with (
        service() as (server, client),
        OpenAI(base_url=server.base_url, api_key="other", max_retries=0) as other,
    ):
        batch = submit(client, jsonl(line(0)))
        for call in (
            lambda: other.batches.retrieve(batch.id),
            lambda: other.batches.cancel(batch.id),
            lambda: other.files.retrieve(batch.input_file_id),
            lambda: other.files.content(batch.input_file_id),
            lambda: other.files.delete(batch.input_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                call()
        assert list(other.batches.list()) == []
        assert client.files.delete(batch.input_file_id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(batch.input_file_id)
        assert finished(client, batch).status == "completed"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "file": ({"input_file_id": "file-none"}, "input_file_id"),
    "endpoint": ({"endpoint": "/v1/completions"}, "endpoint"),
    "window": ({"completion_window": "1h"}, "completion_window"),
    "pairs": ({"metadata": {str(i): "" for i in range(17)}}, "metadata"),
    "key": ({"metadata": {"k" * 65: ""}}, "metadata"),
    "value": ({"metadata": {"k": "v" * 513}}, "metadata"),
    "text": ({"metadata": {"k": 1}}, "metadata"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_batches_that_are_refused_at_once(kind: str) -> None:
    changes, param = REFUSED[kind]
    with service() as (server, client):
        file = client.files.create(file=("in.jsonl", jsonl(line(0))), purpose="batch")
        asked: dict[str, Any] = {
            "input_file_id": file.id,
            "endpoint": CHAT,
            "completion_window": "24h",
        }
        with pytest.raises(openai.BadRequestError) as caught:
            client.batches.create(**(asked | changes))
        assert caught.value.param == param
        assert server.batches == []


def test_uploads_that_are_refused() -> None:
    with service() as (server, client):
        with pytest.raises(openai.BadRequestError, match="purpose"):
            client.files.create(file=("in.jsonl", b"{}"), purpose="evals")
        with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
            client.files.create(file=("in.txt", b"{}"), purpose="batch")
        form = "Content-Type: multipart/form-data"
        for content, kind in (
            (b"{}", "Content-Type: application/json"),
            (b"", form),
            (b"--b\r\n", f"{form}; boundary=b"),
            (b"--b\r\n\r\nx\r\n--b--", f"{form}; boundary=b"),
            (b"--b\r\n\xff: x\r\n\r\nx\r\n--b--", f"{form}; boundary=b"),
            (b"--b--", f"{form}; boundary=b"),
        ):
            with opened(server) as connection:
                connection.sendall(written(content, kind, path="/v1/files"))
                assert answers(connection, 1)[0][0] == 400
        for query in ("limit=0", "limit=101", "limit=x"):
            with pytest.raises(openai.BadRequestError):
                client.get(f"/batches?{query}", cast_to=object)


def test_content_that_looks_like_a_form_stays_whole() -> None:
    content = b'\r\n--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\x00\xff\r\n\r\n'
    with service() as (_, client):
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        assert client.files.content(file.id).content == content


def test_a_batch_of_completions() -> None:
    asked = line(0, url="/v1/completions", body={"model": "m", "prompt": "one"})
    with (
        serve(echo, complete=lambda body: f"{body['prompt']} two") as server,
        OpenAI(base_url=server.base_url, api_key="k") as client,
    ):
        file = client.files.create(file=("in.jsonl", jsonl(asked)), purpose="batch")
        batch = finished(
            client,
            client.batches.create(
                input_file_id=file.id, endpoint="/v1/completions", completion_window="24h"
            ),
        )
        (entry,) = lines_of(client, batch.output_file_id)
    assert entry["response"]["body"]["choices"][0]["text"] == "one two"


def test_lines_are_answered_side_by_side_where_the_answer_waits() -> None:
    running = most = 0

    async def answer(body: dict[str, Any]) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return "fine"

    with service(answer, polls=1) as (_, client):
        batch = finished(client, submit(client, jsonl(*map(line, range(50)))))
        assert len(lines_of(client, batch.output_file_id)) == 50
    assert most > 10


def test_an_error_of_the_answer_comes_out() -> None:
    def answer(body: dict[str, Any]) -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), service(answer, polls=1) as (_, client):
        batch = submit(client, jsonl(line(0)))
        with pytest.raises(openai.APIConnectionError):
            client.batches.retrieve(batch.id)


def test_a_server_without_batches() -> None:
    with (
        serve(echo, batches=None) as server,
        OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(openai.NotFoundError):
            client.batches.list()
        with pytest.raises(openai.NotFoundError):
            client.files.create(file=("in.jsonl", b"{}"), purpose="batch")
    assert server.batches == []
