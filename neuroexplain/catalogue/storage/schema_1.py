"""What rows of schema 1 become: functions that the second migration calls.

A request used to be known by another hash of the same things. The settings that went into it were not kept beside it, so
they are found by trying: those of the run, and the usual ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import product
from typing import Any

_USUAL: dict[str, set[float]] = {"max_tokens": {100, 1000}, "temperature": {0.0}, "seed": {0}}
_TYPES = {"max_tokens": int, "temperature": float, "seed": int}


def hash_bytes(text: str) -> bytes:
    """A SHA-256 in hex as bytes; that of the text where it is none, so that no row is lost."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    return found if len(found) == 32 else hashlib.sha256(text.encode()).digest()


def messages_now(messages: str) -> str:
    """A call's messages in the form in which servers want them; what is none stays as it is."""
    turns = _turns(messages)
    if turns is None:
        return messages
    return json.dumps([{"role": role, "content": text} for role, text in turns])


def request_now(request_sha256: str, model: str, messages: str, config: str) -> bytes:
    """The hash by which a request is known now; the old one where nobody can tell its settings.

    Args:
        request_sha256: the old one.
        model: identity of the language model.
        messages: of the call.
        config: settings of the run, as JSON.
    """
    turns = _turns(messages)
    for settings in _settings(config) if turns is not None else ():
        old = json.dumps({**settings, "model": model, "messages": turns}, sort_keys=True)
        if hashlib.sha256(old.encode()).hexdigest() == request_sha256:
            new = json.dumps(settings | {"schema": None}, sort_keys=True, separators=(",", ":"))
            body = f'{model}\n{new[:-1]},"messages":{messages_now(messages)}}}'
            return hashlib.sha256(body.encode()).digest()
    return hash_bytes(request_sha256)


def _turns(messages: str) -> list[list[str]] | None:
    """Role and text of every turn."""
    try:
        return [[turn["role"], turn["text"]] for turn in json.loads(messages)]
    except (ValueError, TypeError, KeyError):
        return None


@lru_cache
def _settings(config: str) -> tuple[dict[str, Any], ...]:
    """What may have decided a reply beside the messages."""
    found = {name: set(values) for name, values in _USUAL.items()}
    for name, value in _entries(json.loads(config)):
        if name in found:
            with suppress(ValueError, TypeError):
                found[name].add(_TYPES[name](value))
    return tuple(
        dict(zip(found, values, strict=True)) | {"sample": 0} for values in product(*found.values())
    )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a JSON value with what is behind it, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from _entries(inner)
