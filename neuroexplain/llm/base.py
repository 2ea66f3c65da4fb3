"""What a language model is to the rest of the package: a chat reply, and where it can, exact answer distributions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol, runtime_checkable

from neuroexplain.calls import Reply as Reply
from neuroexplain.records import Floats
from neuroexplain.templates import Message, messages_json, prompt_sha256

Purpose = Literal["explain", "revise", "simulate", "score", "repair", "probe"]


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
    schema: str | None = None
    """JSON schema of the reply, as JSON. A server that knows none is asked for JSON, or for text: the reader stays strict."""
    top_logprobs: int = 0
    """Most probable tokens that are wanted where the reply begins. The reply's text is then these with their log probabilities,
    see `alternatives`, and no more of it is written; a server that gives fewer is asked for those."""

    @cached_property
    def messages_json(self) -> str:
        """The messages as servers want them: sent, hashed and kept, it is made once."""
        return messages_json(self.messages)

    @property
    def prompt_sha256(self) -> str:
        """Hash of the rendered prompt; that of `Prompt.sha256`."""
        return prompt_sha256(self.messages_json)

    def as_json(self) -> str:
        """All that decides the reply, as JSON in one form."""
        settings = _settings(
            self.max_tokens,
            self.temperature,
            self.seed,
            self.sample,
            self.schema,
            self.top_logprobs,
        )
        return f'{settings[:-1]},"messages":{self.messages_json}}}'

    def sha256(self, model: str) -> str:
        """Content address of the call; `model` is `LLM.identity`, which holds the endpoint too."""
        return _address(model, self.as_json())


@dataclass(frozen=True)
class MarkedRequest:
    """One text with a marker behind each segment, and the few answers whose probabilities are wanted there.

    The text is `prefix + segments[0] + marker + segments[1] + marker + ...`.
    """

    prefix: str
    segments: tuple[str, ...]
    marker: str
    answers: tuple[str, ...]
    top: int
    """Most probable tokens that are asked for at every place of the text."""
    purpose: Purpose = "simulate"

    def as_json(self) -> str:
        """All that decides the reply, as JSON in one form."""
        parts = (self.prefix, self.segments, self.marker, self.answers, self.top)
        return _canonical({"marked": parts})

    def sha256(self, model: str) -> str:
        """Content address of the call; `model` is `LLM.identity`."""
        return _address(model, self.as_json())

    @cached_property
    def messages_json(self) -> str:
        """The text as the only turn, as JSON."""
        return messages_json(self.messages)

    @property
    def prompt_sha256(self) -> str:
        """Hash of the text as the only turn."""
        return prompt_sha256(self.messages_json)

    @cached_property
    def text(self) -> str:
        """The whole text."""
        return self.prefix + "".join(f"{segment}{self.marker}" for segment in self.segments)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The text as the only turn."""
        return (Message("user", self.text),)


@lru_cache(256)
def _settings(
    max_tokens: int,
    temperature: float,
    seed: int,
    sample: int,
    schema: str | None,
    top_logprobs: int,
) -> str:
    """What decides a reply beside the messages; the same for thousands of requests."""
    settings = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "sample": sample,
        "schema": schema,
    }
    # Only where it is asked for: what ledgers hold of other requests keeps its address.
    return _canonical(settings | ({"top_logprobs": top_logprobs} if top_logprobs else {}))


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _address(model: str, body: str) -> str:
    return hashlib.sha256(f"{model}\n{body}".encode()).hexdigest()


class LLM(Protocol):
    """A language model that answers chats."""

    @property
    def spec(self) -> str:
        """As the user wrote it, for example `openai:gpt-5-mini`; stored with what the model wrote."""

    @property
    def identity(self) -> str:
        """What makes two models the same for the ledger: the spec and the endpoint, or the weights' hash."""

    async def chat(self, request: Request) -> Reply:
        """Answer one chat; where `top_logprobs` are asked for, by what could have begun the reply.

        Raises:
            LLMPermanentError: the call can never succeed, and others like it cannot either.
            LLMReplyError: this one call had no usable reply; others may.
            LLMUnavailableError: it did not succeed within the retry policy.
            PostponedError: it was not made, because the run is being stopped or the answer comes with a batch.
        """

    def stop(self) -> None:
        """Begin nothing new: calls that wait for their turn, or to be tried again, raise StoppingError."""

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
            LLMPermanentError: an answer is not a single token of this model, or it gives no such probabilities.
            LLMReplyError: the text does not fit the model.
        """

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which of some answers are one token of this model."""


@runtime_checkable
class ScoresText(Protocol):
    """A server that returns the probabilities of a text's own tokens, from which those of answers can be read."""

    def check_texts(self) -> None:
        """Refuse a server that gives none, or wrong ones.

        Raises:
            LLMPermanentError: it does, or nobody has found out what it gives.
        """

    async def marked(self, request: MarkedRequest) -> Reply:
        """Log probabilities of the answers at every marker, as a JSON list of lists, [segment][answer].

        Raises:
            LLMPermanentError: the server gives none, or gives wrong ones.
            LLMReplyError: the text does not fit the model, or the answers are not among its most probable tokens.
            LLMUnavailableError: it did not succeed within the retry policy.
        """

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which of some answers are one token of this model."""


@runtime_checkable
class GivesAlternatives(Protocol):
    """Servers of which it is found out whether their replies come with alternatives, as `top_logprobs` wants them."""

    def check_alternatives(self) -> None:
        """Refuse servers whose replies come with none.

        Raises:
            LLMPermanentError: one of them is such.
        """
