"""What a server sends: an answer with every detail chosen, and completions made from a text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]
"""A JSON object."""

FEATURES = (
    "json_schema",
    "json_object",
    "logprobs",
    "n",
    "max_completion_tokens",
    "seed",
    "temperature",
    "usage",
)
"""What a server may support or lack; servers lack it in silence."""
ALL = frozenset(FEATURES)

_PARAMETERS = {"top_logprobs": "logprobs"}
"""Parameters that go with a feature of another name."""
_CAPS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True)
class Response:
    """An answer with every detail chosen; the defaults are those of a plain 200."""

    body: str | bytes | Body | list[Any] = ""
    """Sent as it is; a dict or list is sent as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to, or in place of, `Content-Type: application/json`, `Content-Length` and `Date`."""
    delay: float = 0.0
    """Seconds before the first byte."""
    drip: float = 0.0
    """Seconds before every byte of the body."""
    cut: int | None = None
    """Close the connection after this many bytes of the body, though all were promised; -1: before any answer."""
    reset: bool = False
    """A connection that `cut` closes ends with a TCP reset rather than in order."""

    def encoded(self) -> bytes:
        """The body's bytes."""
        data = self.body
        if isinstance(data, dict | list):
            data = json.dumps(data)
        return data.encode() if isinstance(data, str) else data


Made = str | Body | Response
"""The assistant's text, a whole JSON object, or a `Response`."""
Answer = Callable[[Body], Made | Awaitable[Made]]
"""Makes the reply to one JSON body, at once or as a coroutine.

It is called in the thread of the server's event loop: a plain function must not block, since nothing else is
answered meanwhile (`Response.delay` is for latency); an `async` one may wait for whatever it likes.
"""


def failure(
    message: str,
    status: int = 400,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> Response:
    """An error as OpenAI's server sends it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Response({"error": error}, status)


def taken(body: Mapping[str, Any], supports: frozenset[str]) -> Body:
    """What of a body a server reads that ignores parameters which it does not support."""
    lacking = ALL - supports
    read = {n: value for n, value in body.items() if _PARAMETERS.get(n, n) not in lacking}
    if form(body) in lacking:
        del read["response_format"]
    return read


def form(body: Mapping[str, Any]) -> str:
    """The type of `response_format`; "text" unless one is asked for."""
    asked = body.get("response_format")
    return str(asked.get("type", "text")) if isinstance(asked, dict) else "text"


def cap(body: Mapping[str, Any]) -> int | None:
    """The most tokens that a body allows its reply, if it says so."""
    caps = [body[name] for name in _CAPS if isinstance(body.get(name), int)]
    return min((n for n in caps if n > 0), default=None)


def completion(
    text: str,
    body: Mapping[str, Any],
    *,
    supports: frozenset[str] = ALL,
    alternatives: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A chat completion as OpenAI's server sends it; tokens are words.

    It keeps to what the body asks: `n` choices of the same text, log-probabilities, and a reply that is cut off
    where the cap on its tokens is reached.

    Args:
        text: what the assistant says.
        body: the chat's JSON body.
        supports: of `FEATURES`; what is missing is ignored or left out.
        alternatives: probabilities of the tokens that could have begun the reply; as many are sent as are asked for.
    """
    body = taken(body, supports)
    words = len(text.split())
    limit = cap(body)
    finish = "stop"
    if limit is not None and words > limit:
        text, words, finish = _first(text, limit), limit, "length"
    logprobs = None
    if body.get("logprobs"):
        top = body.get("top_logprobs") or 0
        logprobs = {"content": _logprobs(text, top, alternatives), "refusal": None}
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}
    asked = body.get("n")
    n = asked if isinstance(asked, int) and asked > 0 else 1
    made = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice | {"index": i} for i in range(n)],
    }
    if "usage" in supports:
        prompt = sum(len(str(m.get("content") or "").split()) for m in body["messages"])
        made["usage"] = _usage(prompt, words * n)
    return made


def text_completion(
    text: str, body: Mapping[str, Any], *, supports: frozenset[str] = ALL
) -> dict[str, Any]:
    """The answer of `POST /v1/completions`; tokens are words."""
    made = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}],
    }
    if "usage" in supports:
        made["usage"] = _usage(len(str(body.get("prompt", "")).split()), len(text.split()))
    return made


def _usage(prompt: int, words: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": words,
        "total_tokens": prompt + words,
    }


def _first(text: str, words: int) -> str:
    """The beginning of a text: "a  b c", 2 → "a  b"."""
    for i, word in enumerate(re.finditer(r"\S+", text), 1):
        if i == words:
            return text[: word.end()]
    return text


def _logprobs(
    text: str, top: int, alternatives: Mapping[str, float] | None
) -> list[dict[str, Any]]:
    """An entry for every word: itself with probability 1/2, then others with 1/4, 1/8 and so on, unless they are given."""

    def entry(token: str, probability: float) -> dict[str, Any]:
        return {
            "token": token,
            "logprob": math.log(probability),
            "bytes": list(token.encode()),
        }

    entries: list[dict[str, Any]] = []
    for token in re.findall(r"\s*\S+", text):
        shares = alternatives if alternatives is not None and not entries else None
        if shares is None:
            shares = {token: 0.5} | {f"{token}{i}": 0.5 ** (i + 1) for i in range(1, top)}
        ranked = sorted(shares.items(), key=lambda share: -share[1])
        listed = [entry(*share) for share in ranked][:top]
        entries.append(entry(token, shares.get(token, 0.5)) | {"top_logprobs": listed})
    return entries
