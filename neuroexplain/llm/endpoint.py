"""One server of an `openai:` model: its connections, its dialect, its pace and its health."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm import replies
from neuroexplain.llm.addresses import Address
from neuroexplain.llm.base import Request
from neuroexplain.llm.dialect import Dialect
from neuroexplain.llm.pace import Pace
from neuroexplain.llm.replies import Completion, Response
from neuroexplain.llm.wire import Got, Kind, WireError, wire

log = logging.getLogger(__name__)

_AT_ONCE = 1.0
"""Seconds in which a request fails that was sent on a connection which the server had closed before."""
_FIRST_REST, _LONGEST_REST = 1.0, 60.0
"""Seconds that a server is left alone after it has failed, doubled from failure to failure."""
_LONG = 8
"""Characters of a key that no text holds by chance. Servers that need none are given words such as `x`."""
_NO_HEADERS: dict[str, str] = {}
_PROBE = {"X-Neuroexplain": "probe"}


class Endpoint:
    """One server; keeps connections, so it belongs to one event loop and must be closed.

    Args:
        address: where it is.
        model: its name for the model.
        timeout: seconds for one request, from sending to the last byte.
        concurrency: requests in flight at most.
        extra: further parameters of every chat.
        transport: `aiohttp` or `openai`; by default the first, where it is installed.

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
        transport: str | None = None,
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
        key = address.secret()
        self._secret = _pattern(key)
        self._wire = wire(self.url, key or "none", timeout=timeout, kind=transport)
        self._resting_until = 0.0
        self._rest = _FIRST_REST
        self._told_limits = False
        self._kept = False  # whether a connection may be left that the server has closed meanwhile
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
            name = replies.refused_parameter(response, dialect.optional(sent, self._extra))
            if name is None:
                raise await self.failure(response)
            dialect = dialect.without(name)
        if dialect != self.dialect:  # learnt only now that the server has taken the request
            log.info("%s at %s: %s", self.model, self.url, dialect)
            self.dialect = dialect
        return replies.completion(response, top_logprobs=request.top_logprobs > 0)

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
        elif (
            isinstance(error, LLMUnavailableError) and not self.resting
        ):  # one rest for those of one moment
            self._resting_until = time.monotonic() + max(self._rest, error.retry_after or 0.0)
            self._rest = min(2 * self._rest, _LONGEST_REST)

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, probe: bool = False
    ) -> Response:
        """Send one request and read the response to its end, whatever its status.

        A kept connection that the server had closed meanwhile costs nothing: the request is sent again at once.

        Raises:
            LLMUnavailableError: no whole response came.
        """
        headers = _PROBE if probe else _NO_HEADERS
        for again in (False, True):
            start = time.monotonic()
            try:
                async with asyncio.timeout(self._timeout):
                    got = await self._wire.send(method, path, body, headers)
            except WireError as error:
                # Later, or once more, it is not the connection's age: the server may have read the request, and charge for it.
                at_once = time.monotonic() - start < _AT_ONCE
                stale = error.kind == "closed" and self._kept and at_once and not again
                self._kept = False
                if not stale:
                    raise self._unreachable(error.kind) from None
            except TimeoutError:
                raise self._unreachable("late") from None
            else:
                self._kept = True
                return self._response(got)
        raise AssertionError("the second try neither returned nor raised")

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
        await self._wire.close()

    def _response(self, got: Got) -> Response:
        text = got.text
        if self._secret is not None and (got.status >= 300 or '"choices"' not in text):
            text = self._secret.sub("[key]", text)  # errors may repeat what was sent
        if not self._told_limits and got.status < 300:
            self._told_limits = True
            rpm, tpm = replies.rate_limits(got.headers)
            self.pace.limit(rpm=rpm, tpm=tpm)
        return Response(self.url, got.status, got.headers, text)

    def _unreachable(self, kind: Kind) -> LLMUnavailableError:
        match kind:
            case "refused":
                return LLMUnavailableError(
                    f"nothing answers at {self.url}; is the server running?", reason="unreachable"
                )
            case "late":
                return LLMUnavailableError(
                    f"no complete answer from {self.url} within {self._timeout:g} s",
                    reason="timed_out",
                )
        return LLMUnavailableError(
            f"the connection to {self.url} broke off", reason="connection_lost", retry_after=0.0
        )


def _pattern(key: str) -> re.Pattern[str] | None:
    """Finds a key in a text: a long one anywhere, a short one where it stands by itself."""
    if not key:
        return None
    return re.compile(
        re.escape(key) if len(key) >= _LONG else rf"(?<![\w-]){re.escape(key)}(?![\w-])"
    )
