"""How long requests take, by what they ask for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from threading import Lock
from time import monotonic, perf_counter

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = 1_000
"""Newest requests of each kind that percentiles are of."""
_FILES, _API = "/static", "/api/v1"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})


@dataclass(frozen=True)
class RouteTimes:
    """What requests of one kind took until their answer began, in milliseconds, over the newest `KEPT` of them."""

    route: str
    """Method and path, with its parameters in braces."""
    requests: int
    """All since the server started."""
    median: float
    p95: float
    longest: float


class Timings:
    """Times of requests since the server started; may be used from several threads."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._lock = Lock()
        self._times: dict[str, deque[float]] = {}
        self._requests: dict[str, int] = {}

    @property
    def uptime(self) -> float:
        """Seconds since the server started."""
        return monotonic() - self._began

    def note(self, route: str, milliseconds: float) -> None:
        """Take in one request."""
        with self._lock:
            self._times.setdefault(route, deque(maxlen=KEPT)).append(milliseconds)
            self._requests[route] = self._requests.get(route, 0) + 1

    def routes(self) -> list[RouteTimes]:
        """All kinds, those that are asked for most first."""
        with self._lock:
            found = {route: sorted(times) for route, times in self._times.items()}
            requests = dict(self._requests)
        made = [
            RouteTimes(route, requests[route], _at(times, 0.5), _at(times, 0.95), times[-1])
            for route, times in found.items()
        ]
        return sorted(made, key=lambda each: (-each.requests, each.route))


def _at(ascending: list[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    return ascending[max(0, ceil(share * len(ascending)) - 1)]


class Timed:
    """Notes how long each request takes until its answer begins, and says so in the answer's Server-Timing header.

    Args:
        app: answers the requests.
        timings: where times go.
    """

    def __init__(self, app: ASGIApp, timings: Timings) -> None:
        self._app = app
        self._timings = timings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                taken = 1e3 * (perf_counter() - began)
                MutableHeaders(scope=message)["Server-Timing"] = f"app;dur={taken:.1f}"
                self._timings.note(_route(scope), taken)
            await send(message)

        await self._app(scope, receive, sending)


def _route(scope: Scope) -> str:
    """Never the path itself: there is no end of those."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        path = _FILES if scope["path"].startswith(_FILES) else "nothing of ours"
    elif scope["path"].startswith(_API) and not path.startswith(_API):
        path = _API + path  # which of the two a route says depends on the framework's version
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return f"{method} {path}"
