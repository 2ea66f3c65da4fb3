"""What a server's HTTP response means: a completion, or the one error that says what went wrong.

    200  a completion, whole or cut at the token limit          LLMReplyError: no choices, no text, a refusal, a filter
                                                                LLMPermanentError: a web page, an error object, no log
                                                                probabilities where they are asked for
                                                                LLMUnavailableError: JSON that breaks off
    4xx, 429 insufficient_quota                                 LLMPermanentError
    4xx and 5xx that say the prompt is too long, 413            LLMReplyError
    408 409 425 429 5xx                                         LLMUnavailableError

LLMReplyError fails one call, LLMPermanentError may end the run, LLMUnavailableError is tried again.
Messages are one line and never hold a key or a header; `raw` keeps the body.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroexplain.calls import Usage
from neuroexplain.errors import LLMError, LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.levels import printable
from neuroexplain.llm import alternatives
from neuroexplain.llm.retry import retry_after

_TRY_AGAIN = (408, 409, 425, 429)
_OVERLOAD = (429, 503, 529)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAID = 300  # characters of a server's own words in a message
_NO_JSON = (ValueError, RecursionError)
_ABSURD = 2**31
"""No count of tokens; sums of such would not fit the ledger."""
# How OpenAI and llama.cpp mark a prompt that the model cannot hold; others only say it.
_TOO_LONG_CODES = ("context_length_exceeded", "exceed_context_size_error")
_TOO_LONG_WORDS = re.compile(
    r"context[ _](length|size|window)|(prompt|input|request) (is |was )?too (long|large)",
    re.IGNORECASE,
)


_FILTERED_CODES = ("content_filter", "content_policy_violation", "invalid_prompt")
"""Of refusals that are about one prompt; others may pass."""


@dataclass(frozen=True)
class Response:
    """An HTTP response that has been read to its end."""

    url: str
    """Base URL of the server, for messages."""
    status: int
    headers: Mapping[str, str]
    """Found by names in lower case."""
    body: str


@dataclass(frozen=True)
class Completion:
    """The useful part of a chat completion."""

    text: str
    """What was said; or what could have begun it, as by `alternatives`."""
    usage: Usage
    finish_reason: str
    """`length` where the text was cut off at the token limit."""
    served_model: str | None
    """The model's name in the answer."""


def completion(response: Response, *, top_logprobs: bool = False) -> Completion:
    """Read a response with a status below 300.

    Args:
        response: what came.
        top_logprobs: whether alternatives to the reply's first token were asked for, in place of the reply.

    Raises:
        LLMReplyError: it holds no answer to this request.
        LLMPermanentError: it is no completion at all, or the server gives no log probabilities.
        LLMUnavailableError: it breaks off, or reports an error that may pass.
    """
    url, raw = response.url, response.body
    data = _json(response)
    if isinstance(data, dict) and data.get("error"):
        status = at(data, "error", "code")
        if isinstance(status, int) and 400 <= status < 600:
            raise failure(Response(url, status, response.headers, raw))
        raise LLMPermanentError(f"{url} answered with an error: {said(raw)}", raw=raw)
    choice, usage = at(data, "choices", 0), used(data)
    if not isinstance(choice, dict):
        raise LLMReplyError(
            f"{url} answered without choices", raw=raw, reason="no_choices", usage=usage
        )
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or not reason:
        reason = "stop"
    _require_willing(choice, reason, response, usage)
    text = (
        _alternatives(choice, response, usage)
        if top_logprobs
        else _text(choice, reason, response, usage)
    )
    served = at(data, "model")
    return Completion(text, usage, reason, served if isinstance(served, str) else None)


def _require_willing(choice: dict[str, Any], reason: str, response: Response, usage: Usage) -> None:
    refusal, url = at(choice, "message", "refusal"), response.url
    if refusal:
        code, why = "refusal", f"the model at {url} refused: {_line(str(refusal))}"
    elif reason == "content_filter":
        code, why = "filtered", f"{url} filtered the reply (content_filter)"
    else:
        return
    raise LLMReplyError(why, raw=response.body, reason=code, usage=usage)


def _text(choice: dict[str, Any], reason: str, response: Response, usage: Usage) -> str:
    text = at(choice, "message", "content")
    url, why = response.url, ""
    if not isinstance(text, str) or (not text and reason == "length"):
        # Models that think before they write can spend the whole limit on it.
        code = "truncated" if reason == "length" else "no_text"
        advice = "; raise max_tokens" if reason == "length" else ""
        why = f"{url} answered without text (finish_reason {reason}){advice}"
    elif _SURROGATE.search(text):
        code, why = "bad_text", f"{url} answered with half of a surrogate pair"
    if why:
        raise LLMReplyError(why, raw=response.body, reason=code, usage=usage)
    assert isinstance(text, str)
    return text


def _alternatives(choice: dict[str, Any], response: Response, usage: Usage) -> str:
    """What could have begun the reply, with log probabilities."""
    content, url = at(choice, "logprobs", "content"), response.url
    if not isinstance(content, list):
        raise LLMPermanentError(
            f"{url} gives no log probabilities with its replies; use another simulator, such as sparse",
            raw=response.body,
        )
    listed = at(content, 0, "top_logprobs")
    pairs = [
        (token, p)
        for entry in (listed if isinstance(listed, list) else [])
        for token, p in [(at(entry, "token"), at(entry, "logprob"))]
        if isinstance(token, str) and alternatives.is_logprob(p)
    ]
    if not pairs:
        raise LLMReplyError(
            f"{url} answered without alternatives to the first token",
            raw=response.body,
            reason="no_logprobs",
            usage=usage,
        )
    return alternatives.written(pairs)


def used(data: Any) -> Usage:
    """The tokens that a server says it counted."""
    usage = at(data, "usage")
    return Usage(
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        _count(usage, "prompt_tokens_details", "cached_tokens"),
        _count(usage, "completion_tokens_details", "reasoning_tokens"),
    )


def _count(usage: Any, *path: str) -> int | None:
    count = at(usage, *path)
    counted = isinstance(count, int) and not isinstance(count, bool)
    return count if counted and 0 <= count < _ABSURD else None


def _json(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except _NO_JSON:
        pass
    kind = response.headers.get("content-type", "no content type").partition(";")[0].strip()
    if "json" in kind.lower():
        raise LLMUnavailableError(
            f"the answer of {response.url} is no valid JSON; it may have been cut off",
            raw=response.body,
            reason="broken_reply",
        )
    raise LLMPermanentError(
        f"{response.url} answered with {kind}, not JSON; is this the base URL? It usually ends in /v1",
        raw=response.body,
        whole_server=True,
    )


def failure(response: Response) -> LLMError:
    """The error that a status of 400 or more means."""
    url, status, raw = response.url, response.status, response.body
    words = said(raw)
    because = f": {words}" if words else ""
    if too_long(response):
        return LLMReplyError(
            f"the prompt does not fit the model at {url} ({status}); show it fewer or shorter texts{because}",
            raw=raw,
            reason="prompt_too_long",
        )
    if field(raw, "code") in _FILTERED_CODES:
        return LLMReplyError(
            f"{url} filtered the prompt ({status}){because}", raw=raw, reason="filtered"
        )
    if status == 401:
        message = f"the key was refused by {url} (401); set OPENAI_API_KEY to one of its keys"
    elif status == 403:
        message = f"{url} forbids this to the key (403){because}"
    elif status == 404:
        message = f"{url} has no chat completions (404){because}; the base URL usually ends in /v1"
    elif status == 429 and field(raw, "code") == "insufficient_quota":
        message = f"the quota of the key at {url} is used up (429){because}"
    elif status in _TRY_AGAIN or status >= 500:
        wait = retry_after(response.headers)
        asked = "" if wait is None else f"; it asks to wait {wait:.0f} s"
        what = "limits the rate" if status == 429 else "failed"
        return LLMUnavailableError(
            f"{url} {what} ({status}){because}{asked}",
            raw=raw,
            reason="rate_limited" if status == 429 else "server_error",
            retry_after=wait,
            overload=status in _OVERLOAD,
        )
    else:
        return LLMPermanentError(f"{url} refused the request ({status}){because}", raw=raw)
    return LLMPermanentError(message, raw=raw, whole_server=True)


def no_model(response: Response, model: str, models: Sequence[str]) -> LLMPermanentError:
    """The error where a server does not have the model; `models` are those that it has."""
    nearest = difflib.get_close_matches(model, models, n=10, cutoff=0.0)
    return LLMPermanentError(
        f"model {model} does not exist at {response.url}; it has: {', '.join(nearest)}",
        raw=response.body,
        whole_server=True,
    )


def too_long(response: Response) -> bool:
    """Whether an error means that this prompt does not fit the model; a shorter one may."""
    if {field(response.body, "code"), field(response.body, "type")} & {*_TOO_LONG_CODES}:
        return True
    if response.status in (400, 422):
        return _TOO_LONG_WORDS.search(said(response.body)) is not None
    return response.status == 413


def unknown_model(response: Response) -> bool:
    """Whether an error may mean that the server does not have the model."""
    if response.status == 404:
        return True
    code, parameter = field(response.body, "code"), field(response.body, "param")
    return response.status == 400 and (code == "model_not_found" or parameter == "model")


def refused_parameter(response: Response, sent: Sequence[str]) -> str | None:
    """Which of the sent parameters an error names as not supported, if any."""
    if response.status not in (400, 422) or too_long(response):
        return None
    parameter = field(response.body, "param")
    if parameter is not None:
        return parameter if parameter in sent else None
    # Servers without `param` name it in their words, in quotes or as a path: ["body", "seed"].
    words = _tokens(response.body)
    return next((name for name in sent if name in words), None)


def rate_limits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Requests and tokens a minute that a server says it allows; None where it does not say."""
    requests, tokens = (
        _rate(headers.get(f"x-ratelimit-limit-{what}")) for what in ("requests", "tokens")
    )
    return requests, tokens


def _rate(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and int(text) > 0 else None


def model_ids(response: Response) -> list[str]:
    """Names from a server's list of models; empty where it gave none."""
    try:
        data = json.loads(response.body)
    except _NO_JSON:
        return []
    entries = at(data, "data")
    ids = [at(entry, "id") for entry in entries] if isinstance(entries, list) else []
    return [name for name in ids if isinstance(name, str)]


def said(body: str) -> str:
    """A server's own words about an error, on one line; empty where it sent a web page."""
    message = field(body, "message")
    if message is None:
        try:
            message = json.dumps(json.loads(body))
        except _NO_JSON:
            message = "" if "<" in body[:100] else body
    return _line(message)


def field(body: str, name: str) -> str | None:
    """A text of an error body, from `{"error": {name: ...}}` or `{name: ...}`."""
    try:
        data = json.loads(body)
    except _NO_JSON:
        return None
    for found in (at(data, "error", name), at(data, name)):
        if isinstance(found, str):
            return found
    return None


def at(data: Any, *path: str | int) -> Any:
    """The value at a path of keys and indices, or None where the data has another shape."""
    for step in path:
        if isinstance(step, str) and isinstance(data, dict):
            data = data.get(step)
        elif isinstance(step, int) and isinstance(data, list) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _SAID else f"{line[:_SAID]}…"


def _tokens(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
