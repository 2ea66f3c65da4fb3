"""The ledger: a reply that arrived is written down before it is used, and never bought again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from neuroexplain.calls import Call, Usage
from neuroexplain.errors import LLMError
from neuroexplain.llm.base import LLM, AnswersMarked, MarkedRequest, Reply, Request, ScoresText
from neuroexplain.llm.budget import Budget
from neuroexplain.llm.prices import Price
from neuroexplain.llm.tokens import estimate_chat
from neuroexplain.records import Floats

Asked = TypeVar("Asked", Request, MarkedRequest)

MARGIN = 1.5
"""A prompt's tokens are reckoned with so many times the estimate before it is sent."""
_MAY_COST = ("timed_out", "connection_lost", "broken_reply")
"""Reasons for which there is no reply, though the server may have written one and charge for it."""
TOP = 20
"""Most probable tokens asked for at every place of a text: what servers give unless told otherwise."""


class Book(Protocol):
    """Where calls are written down."""

    def find(self, request_sha256: str) -> Reply | None:
        """The reply to a request, if there is a good one."""

    async def save(self, call: Call) -> None:
        """Write a call; returns once it is safe."""


@dataclass(frozen=True)
class Terms:
    """On what terms calls are made."""

    budget: Budget
    price: Price | None = None
    """None where it is not known, or nothing is paid."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Waited for before the first call that is made: finds out what the server can do."""
    cheap: bool = False
    """Whether calls are paid at the price of batches."""


class Ledgered:
    """A language model with a ledger before it; `ledgered` makes one.

    Args:
        llm: the model that answers what the ledger does not have.
        book: the ledger.
        terms: limits and price.
    """

    def __init__(self, llm: LLM, book: Book, terms: Terms) -> None:
        self._llm = llm
        self._book = book
        self._terms = terms
        self._ready = terms.prepare is None
        self._refused: LLMError | None = None
        self._preparing = asyncio.Lock()
        # Equal requests wait for the first of them and then find its reply.
        self._under_way: dict[str, asyncio.Future[None]] = {}

    @property
    def spec(self) -> str:
        """The inner model's."""
        return self._llm.spec

    @property
    def identity(self) -> str:
        """The inner model's."""
        return self._llm.identity

    async def chat(self, request: Request) -> Reply:
        """The ledger's reply if it has a good one, else the model's; see `LLM.chat`."""
        return await self._answer(request, self._llm.chat)

    def stop(self) -> None:
        """Make no new call."""
        self._llm.stop()

    async def close(self) -> None:
        """Close the inner model."""
        await self._llm.close()

    async def _answer(self, request: Asked, ask: Callable[[Asked], Awaitable[Reply]]) -> Reply:
        key = request.sha256(self.identity)
        while (before := self._under_way.get(key)) is not None:
            await asyncio.wait([before])
        known = self._book.find(key)
        if known is not None:
            return known
        done = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._buy(request, key, ask)
        finally:
            del self._under_way[key]
            done.set_result(None)

    async def _buy(
        self, request: Asked, key: str, ask: Callable[[Asked], Awaitable[Reply]]
    ) -> Reply:
        await self._prepare()
        budget = self._terms.budget
        reserved = await budget.reserve(self._worst(request))
        start = time.perf_counter()
        cost, bought = None, False
        try:
            reply = await ask(request)
            cost, bought = self._cost(reply.usage), True
        except LLMError as error:
            # A server that says what it counted wants to be paid for it, whatever the reply was worth.
            if error.usage:
                cost = self._cost(error.usage)
            else:
                cost = reserved.nano * error.attempts if error.reason in _MAY_COST else 0
            bought = True
            spent = (time.perf_counter() - start) * 1000
            outcome = _failure(error, spent, cost)
            await self._book.save(_call(request, key, self.identity, **outcome))
            raise
        finally:
            budget.settle(reserved, cost, bought=bought)
        await self._book.save(_call(request, key, self.identity, **_success(reply, cost)))
        return reply

    async def _prepare(self) -> None:
        if self._ready:
            return
        async with self._preparing:
            if self._refused is not None:  # calls that were in line need not find that out again
                raise self._refused
            if not self._ready and self._terms.prepare is not None:
                try:
                    await self._terms.prepare()
                except LLMError as error:
                    self._refused = error
                    raise
                self._ready = True

    def _worst(self, request: Request | MarkedRequest) -> int:
        """What a call may cost at worst, in billionths of a dollar."""
        price = self._terms.price
        if price is None or self._terms.budget.max_cost_nano is None:
            return 0
        return worst_cost(request, price, batch=self._terms.cheap)

    def _cost(self, usage: Usage) -> int | None:
        price = self._terms.price
        if price is None or usage.prompt is None or usage.completion is None:
            return None
        return price.cost(
            usage.prompt, usage.completion, usage.cached or 0, batch=self._terms.cheap
        )


class LedgeredMarked(Ledgered):
    """The same for a model in process that gives answer distributions; these cost nothing and are passed through."""

    def __init__(self, llm: LLM, book: Book, terms: Terms, marked: AnswersMarked) -> None:
        super().__init__(llm, book, terms)
        self._marked = marked

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """See `AnswersMarked.distributions`."""
        return await self._marked.distributions(prefix, segments, marker, answers)

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """See `AnswersMarked.single_tokens`."""
        return await self._marked.single_tokens(candidates)


class LedgeredText(Ledgered):
    """The same for a server that returns the probabilities of a text's tokens: every such text is a call of its own."""

    def __init__(self, llm: LLM, book: Book, terms: Terms, scores: ScoresText) -> None:
        super().__init__(llm, book, terms)
        self._scores = scores

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """See `AnswersMarked.distributions`."""
        if not segments:
            return np.empty((0, len(answers)), dtype=np.float32)
        request = MarkedRequest(prefix, tuple(segments), marker, tuple(answers), TOP)
        reply = await self._answer(request, self._scores.marked)
        logits = np.array(
            [[-np.inf if p is None else p for p in row] for row in json.loads(reply.text)]
        ).reshape(len(segments), len(answers))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: Floats = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return found

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """See `AnswersMarked.single_tokens`."""
        await self._prepare()
        return await self._scores.single_tokens(candidates)


def ledgered(llm: LLM, book: Book, terms: Terms) -> Ledgered:
    """Put a ledger before a language model; the result is `AnswersMarked` if the model gives such probabilities."""
    if isinstance(llm, AnswersMarked):
        return LedgeredMarked(llm, book, terms, marked=llm)
    if isinstance(llm, ScoresText):
        return LedgeredText(llm, book, terms, scores=llm)
    return Ledgered(llm, book, terms)


def worst_cost(request: Request | MarkedRequest, price: Price, *, batch: bool) -> int:
    """What a call may cost at worst, in billionths of a dollar."""
    prompt = int(MARGIN * estimate_chat(request.messages)) + 20
    reply = request.max_tokens if isinstance(request, Request) else 1
    return price.cost(prompt, reply, batch=batch)


def _call(request: Request | MarkedRequest, key: str, identity: str, **outcome: Any) -> Call:
    return Call(
        request_sha256=key,
        purpose=request.purpose,
        model=identity,
        prompt_sha256=request.prompt_sha256,
        messages=request.messages_json,
        **outcome,
    )


def _failure(error: LLMError, latency_ms: float, cost: int | None) -> dict[str, Any]:
    """What came of a call that got no usable reply."""
    return {
        "status": "failed",
        "reply": error.raw,
        "error": f"{error.reason}: {error}",
        "usage": error.usage or Usage(),
        "latency_ms": latency_ms,
        "attempts": error.attempts,
        "cost_nano": cost if error.usage else None,
        "endpoint": error.endpoint,
    }


def _success(reply: Reply, cost: int | None) -> dict[str, Any]:
    return {
        "status": "ok",
        "reply": reply.text,
        "usage": reply.usage,
        "cost_nano": cost,
        "latency_ms": reply.latency_ms,
        "attempts": reply.attempts,
        "finish_reason": reply.finish_reason,
        "endpoint": reply.endpoint,
        "served_model": reply.served_model,
    }
