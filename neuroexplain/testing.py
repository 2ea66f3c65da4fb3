"""A real OpenAI-compatible server on loopback, for tests: replies, faults and delays are yours to choose.

def answer(body: dict[str, Any]) -> str:
    return f"You said: {body['messages'][-1]['content']}"

with neuroexplain.testing.serve(answer) as server:
    llm = neuroexplain.llm.create("openai:any", base_url=server.base_url)
    ...
    assert len(server.requests) == 3
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any


@dataclass(frozen=True)
class Response:
    """An answer with every detail chosen; the defaults are those of a plain 200."""

    body: str | bytes | dict[str, Any] | list[Any] = ""
    """Sent as it is; a dict or list is sent as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to, or in place of, `Content-Type: application/json`, `Content-Length` and `Date`."""
    delay: float = 0.0
    """Seconds before the first byte."""
    drip: float = 0.0
    """Seconds before every byte of the body."""
    cut: int | None = None
    """Close the connection after this many bytes of the body, though all were promised; -1: before any answer."""


Answer = Callable[[dict[str, Any]], str | dict[str, Any] | Response]
"""Makes the reply to one chat's JSON body: the assistant's text, a whole JSON object, or a `Response`."""


@dataclass(frozen=True)
class Logged:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]
    """Empty for a GET."""


def completion(text: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion as OpenAI's server sends it; tokens are counted as words."""
    prompt = sum(len(str(m["content"]).split()) for m in body["messages"])
    words = len(text.split())
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": words,
            "total_tokens": prompt + words,
        },
    }


class Server(ThreadingHTTPServer):
    """What `serve` gives: `POST /v1/chat/completions` and `GET /v1/models`, a thread per connection.

    Attributes:
        requests: every request that arrived, in order, whatever became of it.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Answer, models: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.models = tuple(models)
        self.requests: list[Logged] = []
        self.stopping = threading.Event()
        self.errors: list[BaseException] = []
        self._open: set[socket] = set()

    @property
    def base_url(self) -> str:
        """For `base_url` or `OPENAI_BASE_URL`; ends in `/v1`."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """Bodies of the chat requests, in the order of their arrival."""
        return [request.body for request in self.requests if request.method == "POST"]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread, and remember the connection so that it can be ended."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the test's own errors for the end of `serve`; a client that went away is none."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)

    def stop(self) -> None:
        """Stop listening and end every connection."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self._open):
            try:
                connection.shutdown(SHUT_RDWR)
            except OSError:  # the client was faster
                continue
        self.server_close()


@contextmanager
def serve(answer: Answer, *, models: Sequence[str] = ("test-model",)) -> Iterator[Server]:
    """Run a server for the length of a `with` block.

    Args:
        answer: called for every chat, perhaps in several threads at once.
        models: what `GET /v1/models` lists; chats are answered whatever model they name.

    Raises:
        Exception: at the end of the block, the first error that `answer` raised, if it did.
    """
    server = Server(answer, models)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
    if server.errors:
        raise server.errors[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections, as real servers do
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._log({})
        if self.path == "/v1/models":
            entries = [{"id": name, "object": "model"} for name in self.server.models]
            self._send(Response({"object": "list", "data": entries}))
        else:
            self._send(Response({"error": {"message": f"no such path: {self.path}"}}, 404))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._log(body)
        if self.path != "/v1/chat/completions":
            self._send(Response({"error": {"message": f"no such path: {self.path}"}}, 404))
            return
        made = self.server.answer(body)
        if isinstance(made, str):
            made = completion(made, body)
        self._send(Response(made) if isinstance(made, dict) else made)

    def _log(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(Logged(self.command, self.path, headers, body))

    def _send(self, response: Response) -> None:
        data = response.body
        if isinstance(data, dict | list):
            data = json.dumps(data)
        if isinstance(data, str):
            data = data.encode()
        self.server.stopping.wait(response.delay)
        if response.cut == -1:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        headers = {
            "Date": self.date_time_string(),
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
        }
        chosen = {name.title(): value for name, value in response.headers.items()}
        for name, value in (headers | chosen).items():
            self.send_header(name, value)
        self.end_headers()
        if response.cut is not None:
            data = data[: response.cut]
            self.close_connection = True
        for piece in [data] if response.drip == 0 else [bytes([byte]) for byte in data]:
            if self.server.stopping.wait(response.drip):
                return
            self.wfile.write(piece)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: `Server.requests` has it all."""
