"""The ledger: a reply that arrived is written down before it is used, and never bought again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from neuroexplain.errors import LLMError
from neuroexplain.llm.base import LLM, AnswersMarked, Reply, Request
from neuroexplain.records import Call, Floats
from neuroexplain.templates import Prompt

Find = Callable[[str], Call | None]
Save = Callable[[Call], None]


class Ledgered:
    """A language model with a ledger before it; `ledgered` makes one.

    Args:
        llm: the model that answers what the ledger does not have.
        find: the ledger's call with this request hash, if it has one.
        save: writes a call; returns once it is safe.
    """

    def __init__(self, llm: LLM, find: Find, save: Save) -> None:
        self._llm = llm
        self._find = find
        self._save = save
        # Equal requests wait for the first of them and then find it; a lock lives as long as someone holds it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

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
        key = request.sha256(self.identity)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._find(key)
            if known is not None and known.status == "ok" and known.reply is not None:
                return Reply(
                    text=known.reply,
                    prompt_tokens=known.prompt_tokens,
                    completion_tokens=known.completion_tokens,
                    latency_ms=known.latency_ms,
                    finish_reason=known.finish_reason or "stop",
                    cached=True,
                    attempts=known.attempts,
                )
            return await self._buy(request, key)

    async def close(self) -> None:
        """Close the inner model."""
        await self._llm.close()

    async def _buy(self, request: Request, key: str) -> Reply:
        # Nobody says what a failed call cost in tokens; where the server did, it stands in the raw reply.
        call = Call(
            request_sha256=key,
            purpose=request.purpose,
            model=self.identity,
            prompt_sha256=Prompt(request.messages, template="", template_sha256="").sha256,
            messages=_messages(request),
            status="failed",
            reply=None,
            prompt_tokens=None,
            completion_tokens=None,
            latency_ms=0.0,
        )
        start = time.perf_counter()
        try:
            reply = await self._llm.chat(request)
        except LLMError as error:
            spent = (time.perf_counter() - start) * 1000
            self._save(_failed(call, error, spent))
            raise
        self._save(_answered(call, reply))
        return reply


class LedgeredMarked(Ledgered):
    """The same for a model that gives answer distributions too; these cost nothing and are passed through."""

    def __init__(self, llm: LLM, find: Find, save: Save, marked: AnswersMarked) -> None:
        super().__init__(llm, find, save)
        self._marked = marked

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """See `AnswersMarked.distributions`."""
        return await self._marked.distributions(prefix, segments, marker, answers)

    def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """See `AnswersMarked.single_tokens`."""
        return self._marked.single_tokens(candidates)


def ledgered(llm: LLM, find: Find, save: Save) -> Ledgered:
    """Put a ledger before a language model; the result is `AnswersMarked` exactly if the model is."""
    if isinstance(llm, AnswersMarked):
        return LedgeredMarked(llm, find, save, marked=llm)
    return Ledgered(llm, find, save)


def _failed(call: Call, error: LLMError, latency_ms: float) -> Call:
    return replace(
        call,
        reply=error.raw,
        error=str(error),
        latency_ms=latency_ms,
        attempts=error.attempts,
    )


def _answered(call: Call, reply: Reply) -> Call:
    return replace(
        call,
        status="ok",
        reply=reply.text,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        latency_ms=reply.latency_ms,
        attempts=reply.attempts,
        finish_reason=reply.finish_reason,
    )


def _messages(request: Request) -> str:
    turns = [{"role": m.role, "text": m.text} for m in request.messages]
    return json.dumps(turns, ensure_ascii=False)
