"""What events say, as JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from neuroexplain.catalogue.storage import codec
from neuroexplain.errors import CatalogueError, unknown
from neuroexplain.reviewed import (
    KINDS,
    Data,
    Edited,
    Judged,
    Seen,
    Simulated,
    Undone,
    Written,
)

_READERS: dict[type[Any], TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (*KINDS.values(), Seen)
}
"""They pass over what a newer version may have added."""
HIGHEST = 10
"""Level that a reviewer marks a token with."""


def to_json(said: Data | Seen) -> str:
    """As it is stored.

    Raises:
        CatalogueError: it is nothing that such an event can say: a wrong word or type, a number that is not finite, a
            text that UTF-8 cannot hold.
    """
    stored = codec.to_json(asdict(said), "event")
    _read(type(said), stored, "event")
    return stored


def data(kind: str, stored: str | Mapping[str, Any]) -> Data:
    """What an event of a kind says.

    Raises:
        CatalogueError: it is nothing that this kind of event can say.
    """
    if kind not in KINDS:
        raise CatalogueError(unknown("kind of event", kind, KINDS))
    found: Data = _read(KINDS[kind], _text(stored), f"event of kind {kind}")
    return found


def seen(stored: str | Mapping[str, Any]) -> Seen:
    """What was on the page.

    Raises:
        CatalogueError: it is not that.
    """
    found: Seen = _read(Seen, _text(stored), "what was seen")
    return found


def _text(stored: str | Mapping[str, Any]) -> str:
    return stored if isinstance(stored, str) else codec.to_json(stored, "event")


def _read(kind: type[Any], stored: str, what: str) -> Any:
    try:
        found = _READERS[kind].validate_json(stored, strict=True)
    except ValidationError as error:
        raise CatalogueError(f"{what}: {first(error)}") from error
    if (
        isinstance(found, Judged)
        and found.confidence is not None
        and type(json.loads(stored)["confidence"]) is not int
    ):
        # A choice of values takes what equals one of them, and True does.
        raise CatalogueError(f"{what}: confidence: 1, 2 or 3, as a whole number")
    _check(found, what)
    return found


def first(error: ValidationError) -> str:
    """The first thing that is wrong with a record: where, and what is valid."""
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg']}" if where else fault["msg"]


def _check(said: Data | Seen, what: str) -> None:
    """What types do not say."""
    wrong = None
    match said:
        case Written(text=text) | Edited(text=text) if not text.strip():
            wrong = "the text is empty"
        case Undone(event=event) if not event:
            wrong = "it has to say which event it takes back"
        case Simulated(spans=spans, value=value, reason=reason, ci_low=low, ci_high=high):
            if any(not 0 <= level <= HIGHEST for s in spans for level in s.levels):
                wrong = f"levels are from 0 to {HIGHEST}"
            elif (value is None) == (reason is None):
                wrong = "a score has a value, or a reason why it has none"
            elif not all(n is None or math.isfinite(n) for n in (value, low, high)):
                wrong = "a score is a finite number"
        case Seen(score=float(score)) if not math.isfinite(score):
            wrong = "a score is a finite number"
    if wrong is not None:
        raise CatalogueError(f"{what}: {wrong}")
