"""What a server's HTTP response means: a completion, or the one error that says what went wrong.

    200  a completion; a web page, an error object, no choices, no text, a refusal, a filtered or cut reply and
         missing token counts are permanent errors; JSON that breaks off is worth another try
    401 403 404 400 422 and other 4xx, 429 insufficient_quota   permanent
    408 409 425 429 5xx                                         worth another try

Messages are one line and never hold a key or a header; `raw` keeps the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm.retry import retry_after

_TRY_AGAIN = (408, 409, 425, 429)
_SAID = 300  # characters of a server's own words in a message


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
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


def completion(response: Response) -> Completion:
    """Read a response with a status below 300.

    Raises:
        LLMPermanentError: it holds no complete answer.
        LLMUnavailableError: it breaks off, or reports an error that may pass.
    """
    url, raw = response.url, response.body
    data = _json(response)
    if isinstance(data, dict) and data.get("error"):
        status = _get(data, "error", "code")
        if isinstance(status, int) and 400 <= status < 600:
            raise failure(Response(url, status, response.headers, raw))
        raise LLMPermanentError(f"{url} answered with an error: {said(raw)}", raw=raw)
    choice, usage = _get(data, "choices", 0), _get(data, "usage")
    if not isinstance(choice, dict):
        raise LLMPermanentError(f"{url} answered without choices", raw=raw)
    text, reason = _get(choice, "message", "content"), choice.get("finish_reason") or "stop"
    _check_finished(choice, response)
    if not isinstance(text, str):
        raise LLMPermanentError(f"{url} answered without text (finish_reason {reason})", raw=raw)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise LLMPermanentError(f"{url} answered with half of a surrogate pair", raw=raw)
    counts = _get(usage, "prompt_tokens"), _get(usage, "completion_tokens")
    if not all(isinstance(count, int) for count in counts):
        raise LLMPermanentError(
            f"{url} sent no token counts (usage), so what a run spends cannot be known", raw=raw
        )
    return Completion(text, *counts, reason)


def _json(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except ValueError:
        pass
    kind = response.headers.get("content-type", "no content type").partition(";")[0].strip()
    if "json" in kind.lower():
        raise LLMUnavailableError(
            f"the answer of {response.url} is no valid JSON; it may have been cut off",
            raw=response.body,
        )
    raise LLMPermanentError(
        f"{response.url} answered with {kind}, not JSON; is this the base URL? It usually ends in /v1",
        raw=response.body,
    )


def _check_finished(choice: dict[str, Any], response: Response) -> None:
    url, raw = response.url, response.body
    refusal = _get(choice, "message", "refusal")
    if refusal:
        raise LLMPermanentError(f"the model at {url} refused: {_line(str(refusal))}", raw=raw)
    match choice.get("finish_reason"):
        case "length":
            raise LLMPermanentError(
                f"the reply from {url} was cut off at the token limit (finish_reason length); raise max_tokens",
                raw=raw,
            )
        case "content_filter":
            raise LLMPermanentError(f"{url} filtered the reply (content_filter)", raw=raw)


def failure(response: Response) -> LLMError:
    """The error that a status of 400 or more means."""
    url, status, raw = response.url, response.status, response.body
    words = said(raw)
    because = f": {words}" if words else ""
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
            f"{url} {what} ({status}){because}{asked}", raw=raw, retry_after=wait
        )
    else:
        message = f"{url} refused the request ({status}){because}"
    return LLMPermanentError(message, raw=raw)


def unknown_model(response: Response) -> bool:
    """Whether an error may mean that the server does not have the model."""
    if response.status == 404:
        return True
    code, parameter = field(response.body, "code"), field(response.body, "param")
    return response.status == 400 and (code == "model_not_found" or parameter == "model")


def refused_parameter(response: Response, sent: Sequence[str]) -> str | None:
    """Which of the sent parameters an error names as not supported, if any."""
    if response.status not in (400, 422):
        return None
    parameter = field(response.body, "param")
    if parameter is not None:
        return parameter if parameter in sent else None
    # Servers without `param` name it in their words, in quotes or as a path: ["body", "seed"].
    words = _tokens(response.body)
    return next((name for name in sent if name in words), None)


def model_ids(response: Response) -> list[str]:
    """Names from a server's list of models; empty where it gave none."""
    try:
        data = json.loads(response.body)
    except ValueError:
        return []
    entries = _get(data, "data")
    ids = [_get(entry, "id") for entry in entries] if isinstance(entries, list) else []
    return [name for name in ids if isinstance(name, str)]


def said(body: str) -> str:
    """A server's own words about an error, on one line; empty where it sent a web page."""
    message = field(body, "message")
    if message is None:
        try:
            message = json.dumps(json.loads(body))
        except ValueError:
            message = "" if "<" in body[:100] else body
    return _line(message)


def field(body: str, name: str) -> str | None:
    """A text of an error body, from `{"error": {name: ...}}` or `{name: ...}`."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    for found in (_get(data, "error", name), _get(data, name)):
        if isinstance(found, str):
            return found
    return None


def _get(data: Any, *path: str | int) -> Any:
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
    line = " ".join(text.split())
    return line if len(line) <= _SAID else f"{line[:_SAID]}…"


def _tokens(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
