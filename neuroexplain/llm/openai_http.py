"""`openai:MODEL`: chats with servers that speak the OpenAI protocol, one or several that answer alike."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError, StoppingError
from neuroexplain.llm import retry
from neuroexplain.llm.addresses import Address, addresses, name_of
from neuroexplain.llm.base import MarkedRequest, Reply, Request
from neuroexplain.llm.endpoint import Endpoint
from neuroexplain.llm.marked import marked, single_tokens
from neuroexplain.llm.pace import Turn
from neuroexplain.llm.probe import Capabilities, probe
from neuroexplain.llm.replies import Completion
from neuroexplain.llm.tokens import estimate_chat

log = logging.getLogger(__name__)

Ask = Callable[[Endpoint], Awaitable[Completion]]


class OpenAIChat:
    """One model of one or several servers; keeps connections, so it belongs to one event loop and must be closed.

    Every request goes to the server that has least to do for its weight, among those that are not resting after a
    failure. Parameters that a server refuses are learnt from its errors once, see `Dialect`.

    Args:
        model: the servers' name for the model.
        base_url: of the server or servers, see `Address`; without it `OPENAI_BASE_URL`, then OpenAI's own.
        concurrency: requests in flight at most, at each server; fewer where it slows down.
        timeout: seconds for one request, from sending to the last byte.
        tries: requests at most for one chat.
        wait_initial: seconds; bound of the first random wait between tries.
        wait_max: seconds; bound of any such wait.
        total: seconds from the start of a chat, after which no try is started.
        extra: further parameters of every chat, such as `service_tier`; part of the identity.
        transport: `aiohttp` or `openai`; by default the first, where it is installed.

    Raises:
        ConfigError: a base URL is none.
        LLMPermanentError: OpenAI's own server without a key, or a key that cannot be sent.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | Sequence[str] | Sequence[Address] | None = None,
        concurrency: int = 64,
        timeout: float = 300.0,
        tries: int = 6,
        wait_initial: float = 1.0,
        wait_max: float = 60.0,
        total: float = 900.0,
        extra: Mapping[str, Any] | None = None,
        transport: str | None = None,
    ) -> None:
        servers = _servers(base_url)
        self.model = model
        self.spec = f"openai:{model}"
        self.identity = identity(self.spec, name_of(servers), extra)
        self.endpoints = [
            Endpoint(
                server,
                model=model,
                timeout=timeout,
                concurrency=concurrency,
                extra=extra,
                transport=transport,
            )
            for server in servers
        ]
        self._total = total
        self._stopping = asyncio.Event()
        self._retrying = partial(
            retry.policy,
            tries=tries,
            wait_initial=wait_initial,
            wait_max=wait_max,
            total=total,
            sleep=self._sleep,
        )
        self.capabilities: dict[str, Capabilities] = {}
        """What the servers can do, by base URL, once `prepare` has found out."""
        self._warned_of: set[str] = set()
        self._single: dict[tuple[str, ...], list[bool]] = {}

    async def chat(self, request: Request) -> Reply:
        """Answer one chat; see `LLM.chat`."""
        return await self._insist(request, lambda endpoint: endpoint.chat(request))

    async def marked(self, request: MarkedRequest) -> Reply:
        """Log probabilities of answers at marked places; see `ScoresText.marked`."""
        self.check_texts()
        return await self._insist(request, lambda endpoint: marked(endpoint, request))

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which of some answers are one token of this model; asked once."""
        self.check_texts()
        key = tuple(candidates)
        if key not in self._single:
            self._single[key] = await single_tokens(self._choose(), candidates)
        return self._single[key]

    async def prepare(self, *, texts: bool) -> dict[str, Capabilities]:
        """Find out what every server can do; one that cannot be used is left out, if there are others.

        Args:
            texts: whether the probabilities of a text's own tokens are wanted.

        Returns:
            What was found, by base URL.

        Raises:
            LLMError: none of them can be used.
        """
        if self._stopping.is_set():
            raise StoppingError("the run is being stopped")
        found = await asyncio.gather(
            *(self._retrying()(probe, endpoint, texts=texts) for endpoint in self.endpoints),
            return_exceptions=True,
        )
        errors = []
        for endpoint, outcome in zip(self.endpoints, found, strict=True):
            if isinstance(outcome, Capabilities):
                self.capabilities[endpoint.url] = outcome
            elif isinstance(outcome, LLMError):
                endpoint.failed(outcome)
                errors.append(outcome)
            else:
                raise outcome
        if len(errors) == len(self.endpoints):
            raise errors[0]
        for error in errors:
            log.warning("going on without: %s", error)
        return self.capabilities

    def stop(self) -> None:
        """Begin nothing new: calls that wait for their turn, or to be tried again, raise StoppingError."""
        self._stopping.set()
        for endpoint in self.endpoints:
            endpoint.pace.stop()

    async def close(self) -> None:
        """Close the connections."""
        for endpoint in self.endpoints:
            await endpoint.close()

    async def _insist(self, request: Request | MarkedRequest, ask: Ask) -> Reply:
        """Ask until there is a reply, as long as the policy allows."""
        try:
            return await self._attempt(request, ask)
        except LLMUnavailableError as error:
            failures = [error]

        # The policy is handed the first failure as its own; most calls never come to it, and it is not cheap to make.
        async def attempt() -> Reply:
            if failures:
                raise failures.pop()
            return await self._attempt(request, ask)

        retrying = self._retrying()
        try:
            reply: Reply = await retrying(attempt)
        except LLMError as error:
            error.attempts = retrying.statistics["attempt_number"]
            raise
        return replace(reply, attempts=retrying.statistics["attempt_number"])

    async def _attempt(self, request: Request | MarkedRequest, ask: Ask) -> Reply:
        endpoint = self._choose()
        expected = 0
        if endpoint.pace.counts_tokens:
            expected = estimate_chat(request.messages)
            expected += request.max_tokens if isinstance(request, Request) else 1
        turn = await endpoint.pace.enter(expected)
        if endpoint.dead is not None:  # found out while this call was in line
            endpoint.pace.leave(turn)
            return await self._attempt(request, ask)
        try:
            found = await ask(endpoint)
        except LLMError as error:
            self._left(endpoint, turn, error)
            raise
        except asyncio.CancelledError:
            endpoint.pace.leave(turn)
            raise
        latency_ms = (time.monotonic() - turn.began) * 1000
        used = (found.usage.prompt or 0) + (found.usage.completion or 0)
        endpoint.pace.leave(turn, tokens=used or None, answered=True)
        endpoint.succeeded()
        self._check_model(endpoint, found)
        return _reply(found, endpoint.url, latency_ms)

    def _left(self, endpoint: Endpoint, turn: Turn, error: LLMError) -> None:
        """Settle an attempt that failed; another server may take over."""
        error.endpoint = endpoint.url
        unavailable = error if isinstance(error, LLMUnavailableError) else None
        wait = unavailable.retry_after if unavailable else None
        endpoint.pace.leave(
            turn,
            answered=unavailable is None,
            overloaded=unavailable is not None and unavailable.overload,
            # Who is told to come back after all calls have given up is not to be waited for.
            wait=wait if wait is not None and wait <= self._total else None,
        )
        endpoint.failed(error)
        others = [e for e in self.endpoints if e is not endpoint and e.dead is None]
        if endpoint.dead is not None and others:
            log.warning("%s; going on with %d other servers", error, len(others))
            raise LLMUnavailableError(
                str(error), raw=error.raw, reason=error.reason, retry_after=0.0
            ) from error
        if unavailable is not None and any(not e.resting for e in others):
            unavailable.retry_after = 0.0

    def _choose(self) -> Endpoint:
        """The server that is to be asked next."""
        alive = [e for e in self.endpoints if e.dead is None]
        if not alive:
            dead = self.endpoints[0].dead
            assert dead is not None
            raise dead
        if len(alive) == 1:
            return alive[0]
        awake = [e for e in alive if not e.resting]
        if not awake:
            return min(alive, key=lambda e: e.resting)
        return min(awake, key=lambda e: (e.pace.load + 1) / e.address.weight)

    def check_texts(self) -> None:
        """Refuse to read probabilities of texts from servers that give none, or wrong ones.

        Raises:
            LLMPermanentError: the message says what is wrong with them.
        """
        wrong = None
        if not self.capabilities:
            wrong = (
                f"whether {self.identity} gives probabilities of a text's own tokens has not been tried; "
                "leave out --no-probe"
            )
        for url, found in self.capabilities.items():
            if found.prompt_logprobs == "shifted":
                wrong = (
                    f"{url} gives tokens the probabilities of their neighbours ({found.why}): every score would be "
                    "wrong; use the simulator sparse"
                )
            elif found.prompt_logprobs != "aligned":
                wrong = (
                    f"{url} gives no probabilities of a text's own tokens ({found.why or 'not tried'}); use the "
                    "simulator sparse, or a server that does, such as vLLM"
                )
        if wrong is not None:
            raise LLMPermanentError(wrong, whole_server=True)

    def check_alternatives(self) -> None:
        """Refuse to ask servers for alternatives to a reply's tokens that give none; what was not tried is not refused.

        Raises:
            LLMPermanentError: the message says which of them it is.
        """
        for url, found in self.capabilities.items():
            if not found.logprobs:
                raise LLMPermanentError(
                    f"{url} gives no log probabilities with its replies; use another simulator, such as sparse",
                    whole_server=True,
                )

    def _check_model(self, endpoint: Endpoint, found: Completion) -> None:
        """Say once that a server answers in another model's name; which one it was is in the ledger."""
        served = found.served_model
        if served is None or served == self.model or served in self._warned_of:
            return
        self._warned_of.add(served)
        if self.model.lower() not in served.lower() and served.lower() not in self.model.lower():
            log.warning(
                "%s was asked for model %s and answered as %s", endpoint.url, self.model, served
            )

    async def _sleep(self, seconds: float) -> None:
        """Wait before another try, unless the run is being stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise StoppingError("the run is being stopped")


def identity(spec: str, name: str, extra: Mapping[str, Any] | None) -> str:
    """What the ledger knows a model of some servers by."""
    settings = "".join(f" {key}={value!r}" for key, value in sorted((extra or {}).items()))
    return f"{spec}@{name}{settings}"


def _servers(
    base_url: str | Sequence[str] | Sequence[Address] | None,
) -> tuple[Address, ...]:
    if base_url and not isinstance(base_url, str) and isinstance(base_url[0], Address):
        return tuple(s for s in base_url if isinstance(s, Address))
    return addresses(base_url)  # type: ignore[arg-type]


def _reply(found: Completion, url: str, latency_ms: float) -> Reply:
    return Reply(
        text=found.text,
        prompt_tokens=found.usage.prompt,
        completion_tokens=found.usage.completion,
        cached_tokens=found.usage.cached,
        reasoning_tokens=found.usage.reasoning,
        latency_ms=latency_ms,
        finish_reason=found.finish_reason,
        endpoint=url,
        served_model=found.served_model,
    )
