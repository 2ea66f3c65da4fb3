"""Lists of levels in replies: JSON and nothing else, read strictly, with words for the model about what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from neuroexplain.levels import MAX_LEVEL
from neuroexplain.records import Floats

KEY = "fires"
"""Of a reply's list."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)


def list_schema(entry: dict[str, Any], length: int) -> str:
    """JSON schema of a reply, in the form that strict servers take: `{"fires": [entry, ...]}`.

    The readers are stricter still, but a server prepares a schema once, not for each prompt.

    Args:
        entry: schema of what an entry holds; it is a list itself.
        length: of an entry.
    """
    entries = {"type": "array", "items": entry, "minItems": length, "maxItems": length}
    return json.dumps(
        {
            "type": "object",
            "properties": {KEY: {"type": "array", "items": entries}},
            "required": [KEY],
            "additionalProperties": False,
        }
    )


LEVELS_SCHEMA = list_schema({"type": "integer", "minimum": 0}, 2)
"""Of what `parse_levels` reads."""


def parse_list(text: str, entry: str, key: str = KEY) -> list[Any]:
    """The entries of a reply `{"fires": [...]}`, or of the list alone, with nothing round it but one code fence.

    Args:
        text: the reply.
        entry: what the list is one of, in words.
        key: of the list.

    Raises:
        ValueError: the reply is anything else, with what is wrong in words that the model can act on.
    """
    stripped = text.strip()
    fenced = _FENCED.fullmatch(stripped)
    try:
        found = json.loads(fenced[1] if fenced else stripped, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the reply is not JSON alone: {error}") from None
    if isinstance(found, dict) and found.keys() != {key}:
        keys = ", ".join(map(json.dumps, found))[:80] or "none"
        raise ValueError(f'the only key is "{key}"; the reply has {keys}')
    entries = found[key] if isinstance(found, dict) else found
    if not isinstance(entries, list):
        raise ValueError(f"the reply holds no list of {entry}")
    return entries


def parse_levels(text: str, n: int) -> Floats:
    """Levels from a reply about numbered things, `{"fires": [[number, level], ...]}`; those that it does not name are 0.

    >>> parse_levels('{"fires": [[2, 7], [3, 10]]}', 4).tolist()
    [0.0, 7.0, 10.0, 0.0]

    Args:
        text: the reply.
        n: numbers are 1 to n.

    Raises:
        ValueError: the reply has another form, with what is wrong in words that the model can act on.
    """
    levels = np.zeros(n, dtype=np.float32)
    seen: set[int] = set()
    for pair in parse_list(text, "[number, level] pairs"):
        number, level = _pair(pair, n)
        if number in seen:
            raise ValueError(f"number {number} is listed twice")
        seen.add(number)
        levels[number - 1] = level
    return levels


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) < len(members):
        raise ValueError("an object has a key twice")
    return made


def _pair(pair: object, n: int) -> tuple[int, float]:
    match pair:
        case [int() as number, int() | float() as level] if not (
            isinstance(number, bool) or isinstance(level, bool)
        ):
            if not 1 <= number <= n:
                raise ValueError(f"there is no number {number}; numbers are 1 to {n}")
            if not 0 <= level <= MAX_LEVEL:
                raise ValueError(
                    f"level {level} of number {number} is not between 0 and {MAX_LEVEL}"
                )
            return number, float(level)
    raise ValueError(f"{json.dumps(pair)[:80]} is not a [number, level] pair")
