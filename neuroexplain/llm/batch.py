"""`batch:DIR`: requests that are answered offline, by a batch service or a cluster's job.

Nothing is sent. A request whose answer is not in the ledger is written down, and the work that needs it is left for the
next time; when a run has gone over all neurons, the requests stand in files that any program for OpenAI's batch format
can answer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from neuroexplain.calls import Waiting
from neuroexplain.errors import AwaitedError, LLMReplyError
from neuroexplain.llm.base import Purpose, Reply, Request
from neuroexplain.templates import Message


class Unusable(Protocol):
    """An answer that came and is of no use."""

    @property
    def error(self) -> str:
        """`reason: message`."""

    @property
    def raw(self) -> str | None:
        """What came."""


class BatchLLM:
    """A language model that answers later.

    Args:
        spec: stored with what the model writes.
        identity: what the ledger knows it by.
        put: writes down a request that waits; returns once it is safe.
        unusable: an answer to a request that has come, and is of no use.
    """

    def __init__(
        self,
        spec: str,
        identity: str,
        put: Callable[[Waiting], Awaitable[None]],
        unusable: Callable[[str], Awaitable[Unusable | None]],
    ) -> None:
        self.spec = spec
        self.identity = identity
        self._put = put
        self._unusable = unusable

    async def chat(self, request: Request) -> Reply:
        """Write the request down.

        Raises:
            LLMReplyError: its answer has come, and is of no use. A refusal is one too: all of a batch are asked before the
                first answer is read, so that no other call is saved by giving up.
            AwaitedError: else.
        """
        key = request.sha256(self.identity)
        found = await self._unusable(key)
        if found is not None:
            reason, _, message = found.error.partition(": ")
            raise LLMReplyError(message, raw=found.raw, reason=reason)
        await self._put(
            Waiting(
                request_sha256=key,
                prompt_sha256=request.prompt_sha256,
                model=self.identity,
                purpose=request.purpose,
                body=request.as_json(),
            )
        )
        raise AwaitedError("the answer comes with a batch")

    def stop(self) -> None:
        """Nothing waits here."""

    async def close(self) -> None:
        """Nothing to free."""


def request_of(waiting: Waiting) -> Request:
    """A request from what was written down of it."""
    body: dict[str, Any] = json.loads(waiting.body)
    return Request(
        messages=tuple(Message(turn["role"], turn["content"]) for turn in body["messages"]),
        purpose=cast("Purpose", waiting.purpose),
        max_tokens=body["max_tokens"],
        temperature=body["temperature"],
        seed=body["seed"],
        sample=body["sample"],
        schema=body["schema"],
        top_logprobs=body.get("top_logprobs", 0),
    )
