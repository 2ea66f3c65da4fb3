"""`serve`: what the server answers at each path, and what it remembers."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from neuroexplain.testing.backend import CHAT, Backend, refusal
from neuroexplain.testing.batch_jobs import Batches
from neuroexplain.testing.batches import BatchService
from neuroexplain.testing.http import NOTHING, HttpServer, Latency
from neuroexplain.testing.probes import HEADER, probe
from neuroexplain.testing.replies import ALL, FEATURES, Answer, Body, Response, failure
from neuroexplain.testing.wire import Request

_BATCHES = Batches()


@dataclass(frozen=True)
class Logged:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Body
    """Empty for a GET, an upload, and for what is no JSON object."""
    at: float = 0.0
    """When all of it was here, by `time.monotonic()`."""


class Server(HttpServer):
    """What `serve` gives.

    Attributes:
        requests: every request that arrived, in order, whatever became of it.
        probes: bodies of the chats by which a client found out what the server can do, in order.
        arrived: number of requests, also where none are kept.
        answered: number of answers whose last byte was written.
        errors: what the test's own functions raised.
    """

    def __init__(
        self,
        backend: Backend,
        models: Sequence[str],
        batches: Batches | None,
        *,
        latency: Latency,
        host: str,
        port: int,
        log: bool,
    ) -> None:
        super().__init__(host, port, latency)
        self.models = tuple(models)
        self.requests: list[Logged] = []
        self.probes: list[Body] = []
        self.arrived = 0
        self._backend = backend
        self._batches = None if batches is None else BatchService(batches, backend)
        self._log = log
        self._chats: list[Body] = []

    @property
    def base_url(self) -> str:
        """For `base_url` or `OPENAI_BASE_URL`; ends in `/v1`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_port}/v1"

    @property
    def chats(self) -> list[Body]:
        """Bodies of the chat requests, in the order of their arrival; no probes, no lines of batches."""
        return list(self._chats)

    @property
    def batches(self) -> list[Body]:
        """The batches as they stand, in the order of their making."""
        return [] if self._batches is None else self._batches.records()

    def respond(self, request: Request) -> Response | Awaitable[Response]:
        """Log a request and answer it."""
        with self.mistakes:
            body = _body(request)
            self._remember(request, body or {})
            return self._answer(request, body)
        return NOTHING

    def _answer(self, request: Request, body: Body | None) -> Response | Awaitable[Response]:
        path = request.path.partition("?")[0]
        match request.method, path:
            case "GET", "/v1/models":
                entries = [{"id": name, "object": "model"} for name in self.models]
                return Response({"object": "list", "data": entries})
            case "POST", path if path in self._backend.endpoints:
                if body is None:
                    return failure("the body is no JSON object")
                if path == CHAT:
                    return self._chat(request, body)
                return self._backend.reply(path, body)
        found = None if self._batches is None else self._batches.respond(request, body)
        if found is not None:
            return found
        return failure(f"no such path: {request.method} {path}", 404)

    def _chat(self, request: Request, body: Body) -> Response | Awaitable[Response]:
        probing = request.headers.get(HEADER) == "probe"
        if self._log:
            (self.probes if probing else self._chats).append(body)
        if probing:
            return refusal(CHAT, body) or Response(probe(body, self._backend.supports))
        return self._backend.reply(CHAT, body)

    def _remember(self, request: Request, body: Body) -> None:
        self.arrived += 1
        if self._log:
            at = time.monotonic()
            self.requests.append(Logged(request.method, request.path, request.headers, body, at))


def _body(request: Request) -> Body | None:
    """The JSON object of a request, or None."""
    if not request.content or request.headers.get("content-type", "").startswith("multipart/"):
        return None
    try:
        body: Any = json.loads(request.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


@contextmanager
def serve(
    answer: Answer,
    *,
    models: Sequence[str] = ("test-model",),
    complete: Answer | None = None,
    supports: frozenset[str] = ALL,
    latency: Latency = 0.0,
    batches: Batches | None = _BATCHES,
    host: str = "127.0.0.1",
    port: int = 0,
    log: bool = True,
) -> Iterator[Server]:
    """Run a server for the length of a `with` block.

    Args:
        answer: called for every chat but probes, and for every line of a batch, in the order of their arrival and in
            the thread of the server's event loop: a plain function must not block (`latency` and `Response.delay`
            are for waiting), an `async` one may wait.
        models: what `GET /v1/models` lists; chats are answered whatever model they name.
        complete: the same for `POST /v1/completions`, which is not there without it.
        supports: which of `FEATURES` the server has. A parameter that it lacks is not seen by `answer`; what it
            lacks is left out of the completions that are made from text.
        latency: seconds before every answer, or a function that gives them.
        batches: how batches proceed; None for a server without files and batches.
        host: an address of this machine.
        port: 0 for any that is free.
        log: keep the requests; without, `requests`, `chats` and `probes` stay empty, for long benchmarks.

    Raises:
        Exception: at the end of the block, the first error that `answer` raised, if it did.
        ValueError: `supports` names what is none of `FEATURES`.
    """
    unknown = sorted(set(supports) - ALL)
    if unknown:
        raise ValueError(f"unknown features: {', '.join(unknown)}. Known: {', '.join(FEATURES)}")
    backend = Backend(answer, complete, frozenset(supports))
    server = Server(backend, models, batches, latency=latency, host=host, port=port, log=log)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    if server.errors:
        raise server.errors[0]
