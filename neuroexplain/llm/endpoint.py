"""One server of an `openai:` model: its connections, its dialect, its pace and its health."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm import replies
from neuroexplain.llm.addresses import Address
from neuroexplain.llm.base import Request
from neuroexplain.llm.dialect import Dialect
from neuroexplain.llm.pace import Pace
from neuroexplain.llm.replies import Completion, Response

log = logging.getLogger(__name__)

# Idle connections are dropped before servers do it (uvicorn: after 5 s): a request on a closed one fails.
# No number at all would mean a hundred to aiohttp; how many there are is the business of `Pace`.
_LIMITS = httpx2.Limits(
    max_connections=10_000, max_keepalive_connections=10_000, keepalive_expiry=3.0
)
_STALE = 3
"""Requests in a row that may fail because a kept connection had been closed, before that counts as a failure."""
_FIRST_REST, _LONGEST_REST = 1.0, 60.0
"""Seconds that a server is left alone after it has failed, doubled from failure to failure."""


class Endpoint:
    """One server; keeps connections, so it belongs to one event loop and must be closed.

    The openai client makes the transport and knows the headers; chats go past its own request and response models, which
    cost several times as much as all the rest of a call.

    Args:
        address: where it is.
        model: its name for the model.
        timeout: seconds for one request, from sending to the last byte.
        concurrency: requests in flight at most.
        extra: further parameters of every chat.
        http_client: transport to use; by default aiohttp where it is installed, else httpx2.

    Raises:
        LLMPermanentError: it needs a key and there is none, or one that cannot be sent.
    """

    def __init__(
        self,
        address: Address,
        *,
        model: str,
        timeout: float,
        concurrency: int,
        extra: Mapping[str, Any] | None = None,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        self.address = address
        self.url = address.url
        self.model = model
        self.dialect = Dialect()
        self.pace = Pace(concurrency, rpm=address.rpm, tpm=address.tpm)
        self.dead: LLMPermanentError | None = None
        """Why it is of no use any more."""
        self._extra = dict(extra or {})
        self._timeout = timeout
        self._key = address.secret()
        self._http = http_client or _transport()
        self.client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.url,
            max_retries=0,  # the policy in retry.py is the only one
            timeout=httpx2.Timeout(timeout, connect=min(10.0, timeout)),
            http_client=self._http,
        )
        self._headers = _headers(self.client)
        self._urls: dict[str, httpx2.URL] = {}
        connect = min(10.0, timeout)
        limits = {"connect": connect, "read": timeout, "write": timeout, "pool": timeout}
        self._extensions = {"timeout": limits}
        self._resting_until = 0.0
        self._rest = _FIRST_REST
        self._told_limits = False
        self._kept = 0
        self._models: list[str] | None = None
        self._models_lock = asyncio.Lock()

    @property
    def resting(self) -> float:
        """Seconds for which it should be left alone, because it has failed."""
        return max(0.0, self._resting_until - time.monotonic())

    async def chat(self, request: Request, *, probe: bool = False) -> Completion:
        """Answer one chat by one request, or by a few where the server first refuses a parameter.

        Raises:
            LLMError: it gave no usable reply.
        """
        dialect = self.dialect
        while True:
            body = dialect.encoded(self.model, request, self._extra)
            response = await self.send("POST", "/chat/completions", body, probe=probe)
            if response.status < 300:
                break
            sent = dialect.body(self.model, request, self._extra)
            name = replies.refused_parameter(response, dialect.optional(sent))
            if name is None:
                raise await self.failure(response)
            dialect = dialect.without(name)
        if dialect != self.dialect:  # learnt only now that the server has taken the request
            log.info("%s at %s: %s", self.model, self.url, dialect)
            self.dialect = dialect
        return replies.completion(response)

    async def failure(self, response: Response) -> LLMError:
        """The error that a response of status 400 or more means; an unknown model is told from a wrong path."""
        if replies.unknown_model(response):
            models = await self.models()
            if models and self.model not in models:
                return replies.no_model(response, self.model, models)
        return replies.failure(response)

    def succeeded(self) -> None:
        """Take note that it has answered."""
        self._rest = _FIRST_REST
        self._resting_until = 0.0

    def failed(self, error: LLMError) -> None:
        """Take note that it has not; others are preferred for a while, or for good."""
        if isinstance(error, LLMPermanentError) and error.whole_server:
            self.dead = error
        elif isinstance(error, LLMUnavailableError) and not error.overload:
            self._resting_until = time.monotonic() + self._rest
            self._rest = min(2 * self._rest, _LONGEST_REST)

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, probe: bool = False
    ) -> Response:
        """Send one request and read the response to its end, whatever its status.

        A kept connection that the server had closed meanwhile costs nothing: the request is sent again at once.

        Raises:
            LLMUnavailableError: no whole response came.
        """
        url = self._urls.setdefault(path, httpx2.URL(self.url + path))
        headers = self._headers
        if probe:
            headers = httpx2.Headers({**headers, "X-Neuroexplain": "probe"})
        for left in reversed(range(_STALE + 1)):
            try:
                async with asyncio.timeout(self._timeout):
                    # Made here, because the transport's client takes longer to put one together than to send it.
                    request = httpx2.Request(
                        method, url, headers=headers, content=body, extensions=self._extensions
                    )
                    got = await self._http.send(request)
            except (httpx2.TransportError, OSError, TimeoutError) as error:
                failure = self._unreachable(error)
                # No more connections can have been kept than were answered on.
                if not (failure.stale and left and self._kept):
                    raise failure from None
                self._kept -= 1
            else:
                self._kept += 1
                return self._response(got)
        raise AssertionError("the last try neither returned nor raised")

    async def models(self) -> list[str]:
        """The server's own list of models; empty where it gives none."""
        async with self._models_lock:
            if self._models is None:
                try:
                    self._models = replies.model_ids(await self.send("GET", "/models"))
                except LLMUnavailableError:
                    self._models = []
        return self._models

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    def _response(self, got: httpx2.Response) -> Response:
        text = got.text
        if got.status_code >= 300 and self._key:
            text = text.replace(self._key, "[key]")  # some servers repeat what they were sent
        if not self._told_limits and got.status_code < 300:
            self._told_limits = True
            rpm, tpm = replies.rate_limits(got.headers)
            self.pace.limit(rpm=rpm, tpm=tpm)
        return Response(self.url, got.status_code, got.headers, text)

    def _unreachable(self, error: BaseException) -> LLMUnavailableError:
        # aiohttp's errors arrive under the wrong httpx names, so the causes decide.
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)
        refusals = (httpx2.ConnectError, ConnectionRefusedError, socket.gaierror)
        if any(isinstance(cause, refusals) for cause in causes):
            return LLMUnavailableError(
                f"nothing answers at {self.url}; is the server running?", reason="unreachable"
            )
        if any(isinstance(cause, TimeoutError) for cause in causes):
            return LLMUnavailableError(
                f"no complete answer from {self.url} within {self._timeout:g} s", reason="timed_out"
            )
        return LLMUnavailableError(
            f"the connection to {self.url} broke off",
            reason="connection_lost",
            retry_after=0.0,
            stale=_before_any_answer(causes),
        )


def _before_any_answer(causes: list[BaseException]) -> bool:
    """Whether a connection ended before the first byte: most often one that was kept and closed by the server."""
    names = {type(cause).__name__ for cause in causes}
    words = " ".join(str(cause) for cause in causes)
    return "ServerDisconnectedError" in names or "without sending a response" in words


def _headers(client: openai.AsyncOpenAI) -> httpx2.Headers:
    made = {**client.default_headers, **client.auth_headers}
    return httpx2.Headers({name: value for name, value in made.items() if isinstance(value, str)})


def _transport() -> httpx2.AsyncClient:
    try:
        return openai.DefaultAioHttpClient(limits=_LIMITS)
    except RuntimeError:  # openai's way to say that aiohttp is not installed
        return openai.DefaultAsyncHttpxClient(limits=_LIMITS)
