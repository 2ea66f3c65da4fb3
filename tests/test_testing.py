from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from neuroexplain.testing import Response, Server, serve

BODY = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}


def post(server: Server, path: str = "/v1/chat/completions") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    try:
        connection.request("POST", path, json.dumps(BODY), {"X-Name": "v"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_text_becomes_a_completion_and_requests_are_kept() -> None:
    with serve(lambda body: f"{body['model']} says hi") as server:
        status, made = post(server)
    assert status == 200
    assert made["choices"][0]["message"]["content"] == "m says hi"
    assert made["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    (logged,) = server.requests
    assert (logged.method, logged.path) == ("POST", "/v1/chat/completions")
    assert logged.headers["x-name"] == "v"
    assert server.chats == [BODY]


def test_models_and_unknown_paths() -> None:
    with serve(lambda body: "x", models=["a", "b"]) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("GET", "/v1/models")
        names = [m["id"] for m in json.loads(connection.getresponse().read())["data"]]
        connection.close()
        assert names == ["a", "b"]
        assert post(server, "/v2/odd")[0] == 404


def test_chosen_responses() -> None:
    made = Response(
        {"error": "x"}, 503, {"content-type": "text/odd", "Retry-After": "1"}, delay=0.1
    )
    start = time.monotonic()
    with serve(lambda body: made) as server:
        assert post(server) == (503, {"error": "x"})
    assert time.monotonic() - start >= 0.1


@pytest.mark.parametrize("cut", [-1, 3])
def test_cut_connections(cut: int) -> None:
    with (
        serve(lambda body: Response('{"a": 1}', cut=cut)) as server,
        pytest.raises(http.client.HTTPException if cut > 0 else ConnectionError),
    ):
        post(server)


def test_the_block_ends_though_a_client_waits() -> None:
    start = time.monotonic()
    with serve(lambda body: Response(delay=60)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY))
        while not server.requests:
            time.sleep(0.01)
    connection.close()
    assert time.monotonic() - start < 5


def test_errors_of_the_answer_come_out() -> None:
    def answer(body: dict[str, Any]) -> str:
        raise ValueError("my own mistake")

    with pytest.raises(ValueError, match="my own mistake"), serve(answer) as server:
        with pytest.raises(ConnectionError):
            post(server)
        assert len(server.requests) == 1
