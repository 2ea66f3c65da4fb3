"""What goes wrong with real servers, one by one and as a seeded mix."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate

from neuroexplain.testing.replies import Answer, Body, Made, Response, completion, failure

Spoilt = Response | Body
_TEXT = "Here you are."
_HTML = "<html><body><h1>503 Service Unavailable</h1></body></html>"


def _busy(**headers: str) -> Response:
    slow = failure("Rate limit reached.", 429, kind="requests", code="rate_limit_exceeded")
    return Response(slow.body, slow.status, {k.replace("_", "-"): v for k, v in headers.items()})


def _choice(made: Body, **changes: object) -> Body:
    """The same completion with its choices changed."""
    return made | {"choices": [choice | changes for choice in made["choices"]]}


def _message(made: Body, **changes: object) -> Body:
    message = made["choices"][0]["message"] | changes
    return _choice(made, message=message)


def _truncated(made: Body) -> Response:
    text = json.dumps(made)
    return Response(text[: len(text) * 2 // 3])


def _reset(made: Body) -> Response:
    text = json.dumps(made)
    return Response(text, cut=len(text) // 2, reset=True)


def _cut_short(made: Body) -> Body:
    text = str(made["choices"][0]["message"]["content"])
    return _choice(_message(made, content=text[: len(text) // 2]), finish_reason="length")


_INSTEAD: dict[str, Callable[[Body], Spoilt]] = {
    "rate_limit": lambda _: _busy(),
    "rate_limit_seconds": lambda _: _busy(Retry_After="1"),
    "rate_limit_date": lambda _: _busy(Retry_After=formatdate(time.time() + 2, usegmt=True)),
    "server_error": lambda _: failure("The server had an error.", 500, kind="server_error"),
    "unavailable_html": lambda _: Response(_HTML, 503, {"Content-Type": "text/html"}),
    "hang": lambda _: Response(delay=3600.0),
}
"""Sent without an answer being made."""
_SPOILT: dict[str, Callable[[Body], Spoilt]] = {
    "drip": lambda made: Response(made, drip=0.05),
    "reset": _reset,
    "truncated_json": _truncated,
    "wrong_json": lambda made: Response([made["id"]]),
    "no_choices": lambda made: made | {"choices": []},
    "null_content": lambda made: _message(made, content=None),
    "refusal": lambda made: _message(made, content=None, refusal="I cannot help with that."),
    "length": _cut_short,
    "wrong_model": lambda made: made | {"model": "another-model"},
    "no_usage": lambda made: {name: value for name, value in made.items() if name != "usage"},
}
"""Made of the completion that would have been sent."""


def _alone(spoil: Callable[[Body], Spoilt]) -> Callable[[Body], Spoilt]:
    return lambda body: spoil(completion(_TEXT, body))


FAULTS: dict[str, Callable[[Body], Spoilt]] = {
    **_INSTEAD,
    **{name: _alone(spoil) for name, spoil in _SPOILT.items()},
}
"""Every fault by its name: what is sent for a chat's body."""


def faulty(answer: Answer, rate: float, seed: int = 0, kinds: Sequence[str] = ()) -> Answer:
    """An answer with faults: `serve(faulty(answer, 0.3, seed=1))`.

    Whether a request meets with a fault, and which, hangs on the seed, its body, and how often this body was seen:
    not on the order of arrival. The same request may succeed when it is sent again.

    Args:
        answer: what is sent without a fault; also what drips, is cut off and so on.
        rate: share of the requests that meet with a fault.
        seed: another seed, another choice.
        kinds: names from `FAULTS`, all equally likely; every one unless given.

    Raises:
        ValueError: a kind is not known.
    """
    kinds = tuple(kinds) or tuple(FAULTS)
    unknown = sorted(set(kinds) - FAULTS.keys())
    if unknown:
        raise ValueError(f"unknown faults: {', '.join(unknown)}. Known: {', '.join(FAULTS)}")
    if rate <= 0:
        return answer
    seen: Counter[bytes] = Counter()

    def answered(body: Body) -> Made | Awaitable[Made]:
        key = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16).digest()
        drawn = hashlib.blake2b(f"{seed} {seen[key]} ".encode() + key, digest_size=16).digest()
        seen[key] += 1
        if int.from_bytes(drawn[:8]) >= rate * 2**64:
            return answer(body)
        kind = kinds[int.from_bytes(drawn[8:]) % len(kinds)]
        if kind in _INSTEAD:
            return _INSTEAD[kind](body)
        made = answer(body)
        if inspect.isawaitable(made):
            return _later(made, kind, body)
        return _spoil(made, kind, body)

    return answered


async def _later(made: Awaitable[Made], kind: str, body: Body) -> Made:
    return _spoil(await made, kind, body)


def _spoil(made: Made, kind: str, body: Body) -> Made:
    """A completion with a fault; a `Response` is left as it is."""
    if isinstance(made, Response):
        return made
    return _SPOILT[kind](completion(made, body) if isinstance(made, str) else made)
