"""`openai:MODEL`: chats with any server that speaks the OpenAI protocol."""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
import socket
import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from neuroexplain.errors import ConfigError, LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm import replies, retry
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.replies import Completion, Response

log = logging.getLogger(__name__)

OPENAI_URL = "https://api.openai.com/v1"
_OPTIONAL = ("max_completion_tokens", "temperature", "seed")
# Idle connections are dropped before servers do it (uvicorn: after 5 s): a request on a closed one fails.
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=3.0)


class OpenAIChat:
    """One model of one server; keeps connections, so it belongs to one event loop and must be closed.

    Parameters that the server refuses (`max_completion_tokens`, `temperature`, `seed`) are learnt from its errors
    once: the first is renamed to `max_tokens`, the others are left out from then on.

    Args:
        model: the server's name for the model.
        base_url: of the server, usually ending in `/v1`; without it `OPENAI_BASE_URL`, then OpenAI's own.
        timeout: seconds for one request, from sending to the last byte.
        tries: requests at most for one chat.
        wait_initial: seconds; bound of the first random wait between tries.
        wait_max: seconds; bound of any such wait.
        total: seconds from the start of a chat, after which no try is started.
        http_client: transport to use; by default aiohttp where it is installed, else httpx2.

    Raises:
        ConfigError: the base URL is none.
        LLMPermanentError: OpenAI's own server without a key, or a key that cannot be sent.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        timeout: float = 300.0,
        tries: int = 6,
        wait_initial: float = 1.0,
        wait_max: float = 60.0,
        total: float = 900.0,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._model = model
        self._url = _checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)
        self._key = _key(self._url)
        self._timeout = timeout
        self._retrying = partial(
            retry.policy, tries=tries, wait_initial=wait_initial, wait_max=wait_max, total=total
        )
        self._refused: frozenset[str] = frozenset()
        self._models: list[str] | None = None
        self._models_lock = asyncio.Lock()
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self._url,
            max_retries=0,  # the policy in retry.py is the only one
            timeout=httpx2.Timeout(timeout, connect=min(10.0, timeout)),
            http_client=http_client or _transport(),
        )

    @property
    def spec(self) -> str:
        """`openai:MODEL`."""
        return f"openai:{self._model}"

    @property
    def identity(self) -> str:
        """The spec and the server."""
        return f"{self.spec}@{self._url}"

    async def chat(self, request: Request) -> Reply:
        """Answer one chat; see `LLM.chat`."""
        start = time.perf_counter()
        retrying = self._retrying()
        try:
            found: Completion = await retrying(self._attempt, request)
        except LLMError as error:
            error.attempts = retrying.statistics["attempt_number"]
            raise
        return Reply(
            text=found.text,
            prompt_tokens=found.prompt_tokens,
            completion_tokens=found.completion_tokens,
            latency_ms=(time.perf_counter() - start) * 1000,
            finish_reason=found.finish_reason,
            attempts=retrying.statistics["attempt_number"],
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _attempt(self, request: Request) -> Completion:
        refused = self._refused
        while True:
            response = await self._send("POST", "/chat/completions", self._body(request, refused))
            sent = [name for name in _OPTIONAL if name not in refused]
            name = replies.refused_parameter(response, sent)
            if name is None:
                break
            refused = refused | {name}
        if response.status < 300:
            if refused - self._refused:  # learnt only now that the server has taken the request
                log.info("%s does not take %s", self.identity, ", ".join(refused - self._refused))
                self._refused |= refused
            return replies.completion(response)
        if replies.unknown_model(response):
            await self._check_model(response)
        raise replies.failure(response)

    def _body(self, request: Request, refused: frozenset[str]) -> dict[str, Any]:
        optional = {
            "max_completion_tokens": request.max_tokens,
            "temperature": request.temperature,
            # Samples of one prompt must differ on servers that keep to the seed.
            "seed": request.seed + request.sample,
        }
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": m.text} for m in request.messages],
        }
        body |= {name: value for name, value in optional.items() if name not in refused}
        if "max_completion_tokens" in refused:
            body["max_tokens"] = request.max_tokens
        return body

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Response:
        # The client's raw path: its own request and response models cost more than all the rest of a call.
        try:
            async with asyncio.timeout(self._timeout):
                if method == "POST":
                    got = await self._client.post(path, body=body, cast_to=httpx2.Response)
                else:
                    got = await self._client.get(path, cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            got = error.response
        except openai.APIConnectionError as error:
            raise self._unreachable(error) from None
        except TimeoutError:
            raise self._late() from None
        text = got.text
        if got.status_code >= 300 and self._key:
            text = text.replace(self._key, "[key]")  # some servers repeat what they were sent
        return Response(self._url, got.status_code, got.headers, text)

    def _late(self) -> LLMUnavailableError:
        return LLMUnavailableError(
            f"no complete answer from {self._url} within {self._timeout:g} s"
        )

    def _unreachable(self, error: BaseException) -> LLMUnavailableError:
        # aiohttp's errors arrive under the wrong httpx names, so the causes decide.
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)
        refusals = (httpx2.ConnectError, ConnectionRefusedError, socket.gaierror)
        if any(isinstance(cause, refusals) for cause in causes):
            return LLMUnavailableError(f"nothing answers at {self._url}; is the server running?")
        if any(isinstance(cause, TimeoutError) for cause in causes):
            return self._late()
        # Most often a kept connection that the server had closed meanwhile: a new one may be tried at once.
        return LLMUnavailableError(f"the connection to {self._url} broke off", retry_after=0.0)

    async def _check_model(self, response: Response) -> None:
        """Raise the clear error where the server's own list lacks the model."""
        async with self._models_lock:
            if self._models is None:
                self._models = await self._list_models()
        if self._models and self._model not in self._models:
            nearest = difflib.get_close_matches(self._model, self._models, n=10, cutoff=0.0)
            raise LLMPermanentError(
                f"model {self._model} does not exist at {self._url}; it has: {', '.join(nearest)}",
                raw=response.body,
            )

    async def _list_models(self) -> list[str]:
        try:
            return replies.model_ids(await self._send("GET", "/models"))
        except LLMUnavailableError:
            return []


def _transport() -> httpx2.AsyncClient:
    try:
        return openai.DefaultAioHttpClient(limits=_LIMITS)
    except RuntimeError:  # openai's way to say that aiohttp is not installed
        return openai.DefaultAsyncHttpxClient(limits=_LIMITS)


def _checked_url(url: str) -> str:
    if "@" in url or "?" in url:
        # Whatever stands there would end up in the catalogue and in messages.
        raise ConfigError(
            "the base URL holds a password or a query; give the key in OPENAI_API_KEY instead"
        )
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(
            f'base URL "{url}" is no web address; write one such as http://127.0.0.1:8000/v1'
        )
    return url.rstrip("/")


def _key(url: str) -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key and urlsplit(url).hostname == urlsplit(OPENAI_URL).hostname:
        raise LLMPermanentError(
            f"{url} needs a key: set OPENAI_API_KEY, or name another server with --base-url"
        )
    if not (key.isascii() and key.isprintable()):
        raise LLMPermanentError("OPENAI_API_KEY holds characters that cannot be sent; set it anew")
    return key
