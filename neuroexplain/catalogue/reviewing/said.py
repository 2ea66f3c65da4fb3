"""What events say, as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from neuroexplain.catalogue.storage import codec
from neuroexplain.errors import CatalogueError, unknown
from neuroexplain.reviewed import (
    KINDS,
    VERDICTS,
    Adjudicated,
    Data,
    Edited,
    Judged,
    MarkedSpan,
    Preferred,
    Seen,
    Simulated,
    Undone,
    Written,
)

_WINNERS = ("left", "right", "tie")


def to_json(said: Data | Seen) -> str:
    """As it is stored.

    Raises:
        CatalogueError: a number that is not finite, or a word that is none of the valid ones.
    """
    if not isinstance(said, Seen):
        _check(said)
    return codec.to_json(asdict(said), "event")


def data(kind: str, stored: str | Mapping[str, Any]) -> Data:
    """What an event of a kind says.

    Raises:
        CatalogueError: it is nothing that this kind of event can say.
    """
    if kind not in KINDS:
        raise CatalogueError(unknown("kind of event", kind, KINDS))
    values = json.loads(stored) if isinstance(stored, str) else dict(stored)
    try:
        match KINDS[kind]:
            case made if made is Judged:
                values["tags"] = tuple(map(str, values.get("tags", ())))
            case made if made is Simulated:
                values["spans"] = tuple(
                    MarkedSpan(s["document"], s["start"], tuple(s["levels"]))
                    for s in values["spans"]
                )
        found = KINDS[kind](**_known(KINDS[kind], values))
    except (TypeError, KeyError) as error:
        raise CatalogueError(
            f"an event of kind {kind} lacks something, or is of no use: {error}"
        ) from error
    _check(found)
    return found


def seen(stored: str | Mapping[str, Any]) -> Seen:
    """What was on the page."""
    values = json.loads(stored) if isinstance(stored, str) else stored
    return Seen(**_known(Seen, values))


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a newer version may have added."""
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _check(said: Data) -> None:
    match said:
        case Judged(verdict=verdict) | Adjudicated(verdict=verdict) if verdict not in VERDICTS:
            raise CatalogueError(unknown("verdict", verdict, VERDICTS))
        case Judged(confidence=confidence) if confidence not in (None, 1, 2, 3):
            raise CatalogueError(f"confidence is 1, 2 or 3, not {confidence}")
        case Preferred(winner=winner) if winner not in _WINNERS:
            raise CatalogueError(unknown("winner", winner, _WINNERS))
        case Written(text=text) | Edited(text=text) if not text.strip():
            raise CatalogueError("the text is empty")
        case Undone(event=event) if not event:
            raise CatalogueError("an event that undoes has to say which")
        case Simulated(spans=spans, value=value, reason=reason):
            if any(not 0 <= level <= 10 for s in spans for level in s.levels):
                raise CatalogueError("levels are from 0 to 10")
            if (value is None) == (reason is None):
                raise CatalogueError("a score has a value, or a reason why it has none")
