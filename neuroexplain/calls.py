"""Calls of language models, as the ledger keeps them: what was asked, what came back, what it took."""

from __future__ import annotations

from dataclasses import dataclass

from neuroexplain.records import Status


@dataclass(frozen=True)
class Usage:
    """Tokens that a server counted for one call; None where it did not say."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    """Of the prompt's tokens, those that the server had in its cache."""
    reasoning: int | None = None
    """Of the completion's tokens, those that are not in the reply."""


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
    cached_tokens: int | None = None
    """Prompt tokens that the server had in its cache."""
    reasoning_tokens: int | None = None
    """Completion tokens that are not in the text."""
    endpoint: str = ""
    """Base URL that answered; empty where there is none, as in process."""
    served_model: str | None = None
    """The model's name in the server's answer."""

    @property
    def usage(self) -> Usage:
        """The tokens that were counted."""
        return Usage(
            self.prompt_tokens, self.completion_tokens, self.cached_tokens, self.reasoning_tokens
        )


@dataclass(frozen=True)
class Call:
    """One language model call for the ledger."""

    request_sha256: str
    purpose: str
    model: str
    """Identity of the language model, part of the request's hash."""
    prompt_sha256: str
    messages: str
    """The rendered messages, as JSON."""
    status: Status
    reply: str | None
    usage: Usage = Usage()
    latency_ms: float = 0.0
    attempts: int = 1
    """Requests that it took, retries included."""
    cost_nano: int | None = None
    """Billionths of a dollar; None where no price or no token count is known."""
    finish_reason: str | None = None
    error: str | None = None
    endpoint: str = ""
    """Base URL that answered; empty where there is none, as in process."""
    served_model: str | None = None
    """The model's name in the server's answer."""


@dataclass(frozen=True)
class Waiting:
    """A request that waits for the answer of an offline batch."""

    request_sha256: str
    prompt_sha256: str
    model: str
    """Identity of the language model."""
    purpose: str
    body: str
    """All that decides the reply, as JSON: what the request's hash was taken of."""
    tries: int = 0
    """Request files that came back without an answer to it."""
