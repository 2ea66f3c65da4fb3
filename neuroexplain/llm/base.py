"""What a language model is to the rest of the package: a chat reply, and where it can, exact answer distributions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from neuroexplain.records import Floats
from neuroexplain.templates import Message

Purpose = Literal["explain", "simulate", "repair"]


@dataclass(frozen=True)
class Request:
    """One chat call, with every setting that can change the reply."""

    messages: tuple[Message, ...]
    purpose: Purpose
    """What the call is for; not sent, and not part of the hash."""
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    sample: int = 0
    """Number of the sample among several of the same prompt; keeps their ledger entries apart."""

    def sha256(self, model: str) -> str:
        """Content address of the call: model, messages and every sampling setting.

        `model` is `LLM.identity`, which holds the endpoint too.
        """
        body = {
            "model": model,
            "messages": [[m.role, m.text] for m in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            "sample": self.sample,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """What a language model answered."""

    text: str
    prompt_tokens: int | None
    """None where the server does not say."""
    completion_tokens: int | None
    latency_ms: float
    finish_reason: str = "stop"
    """`length` where the reply was cut off at the token limit; what is there of it is in `text`."""
    cached: bool = False
    """Whether the ledger had the reply, so that nothing was spent."""
    attempts: int = 1
    """Requests that it took, retries included."""


class LLM(Protocol):
    """A language model that answers chats."""

    @property
    def spec(self) -> str:
        """As the user wrote it, for example `openai:gpt-5-mini`; stored with what the model wrote."""

    @property
    def identity(self) -> str:
        """What makes two models the same for the ledger: the spec and the endpoint, or the weights' hash."""

    async def chat(self, request: Request) -> Reply:
        """Answer one chat.

        Raises:
            LLMPermanentError: the call can never succeed, and others like it cannot either.
            LLMReplyError: this one call had no usable reply; others may.
            LLMUnavailableError: it did not succeed within the retry policy.
        """

    async def close(self) -> None:
        """Free connections or weights."""


@runtime_checkable
class AnswersMarked(Protocol):
    """A language model that can say how probable each of a few answers is at marked places of one text."""

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """Exact probabilities of the answers behind every segment.

        The model reads `prefix + segments[0] + marker + segments[1] + marker + ...`; at the end of each
        segment, before the marker, the softmax over exactly the answers' token ids is taken.

        Returns:
            [segment, answer], rows sum to 1.

        Raises:
            LLMPermanentError: an answer is not a single token of this model.
            LLMReplyError: the text does not fit the model.
        """

    def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which of some answers are one token of this model."""
