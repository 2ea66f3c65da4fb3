"""Reviews as lines of JSON: what every line holds, and its reading and writing.

The first line says what the file is; then come queues, saved queries and events, one a line, as `{"event": {…}}`. Neurons
and explanations stand in them by name and text, so a file is of use beside any catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neuroexplain.catalogue.reviewing import said
from neuroexplain.catalogue.reviewing.events import LONGEST, check, check_target, to_ms
from neuroexplain.catalogue.storage import codec
from neuroexplain.errors import CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import (
    Blind,
    Event,
    Mode,
    Queue,
    QueueItem,
    SavedQuery,
    Stratum,
    Target,
)

FORMAT, VERSION = "neuroexplain reviews", 1
Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Place = Annotated[int, Field(ge=0, lt=2**31)]
Record = Event | tuple[Queue, list[QueueItem]] | SavedQuery
"""What a line holds, but the first."""


@dataclass(frozen=True)
class Header:
    """The first line."""

    format: str
    version: int


@dataclass(frozen=True)
class EventLine:
    """One thing that a reviewer did."""

    uuid: Name
    kind: str
    reviewer: Name
    neuron: Name
    text: str
    at: str
    said: dict[str, Any]
    seen: dict[str, Any]
    other: str | None = None
    queue: Name | None = None
    position: Place | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


@dataclass(frozen=True)
class StratumLine:
    """A part of a population."""

    name: str
    population: Annotated[int, Field(ge=0, lt=2**63)]
    sampled: Place


@dataclass(frozen=True)
class ItemLine:
    """One thing to decide, at the place that it has in the list."""

    neuron: Name
    text: str
    other: str | None = None
    stratum: Place | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    shared: bool = False


@dataclass(frozen=True)
class QueueLine:
    """A list of things to decide."""

    uuid: Name
    name: str
    mode: Mode
    blind: Blind
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    plan: dict[str, Any]
    made_by: str
    made_at: str
    strata: tuple[StratumLine, ...]
    items: Annotated[tuple[ItemLine, ...], Field(min_length=1)]


@dataclass(frozen=True)
class QueryLine:
    """A query under a name."""

    name: Name
    query: str
    made_by: str
    made_at: str


_HEADER = TypeAdapter(Header)
_LINES: dict[str, TypeAdapter[dict[str, Any]]] = {
    "event": TypeAdapter(dict[str, EventLine]),
    "queue": TypeAdapter(dict[str, QueueLine]),
    "query": TypeAdapter(dict[str, QueryLine]),
}
_ANY: TypeAdapter[dict[str, Any]] = TypeAdapter(
    Annotated[dict[str, Any], Field(min_length=1, max_length=1)]
)


def header() -> str:
    """The first line."""
    return _line({"format": FORMAT, "version": VERSION})


def check_header(line: str) -> None:
    """Refuse a file that does not begin as one of this format.

    Raises:
        CatalogueError: it is of another, or of a newer version.
    """
    try:
        found = _HEADER.validate_json(line, strict=True)
    except ValidationError as error:
        raise CatalogueError(
            f'no file of reviews, which begins with {{"format": "{FORMAT}", …}}: {said.first(error)}'
        ) from error
    if found.format != FORMAT:
        raise CatalogueError(f'a file of "{found.format}", not of "{FORMAT}"')
    if found.version != VERSION:
        raise CatalogueError(
            f"version {found.version} of the format, this one reads {VERSION}: upgrade neuroexplain to read it"
        )


def written(record: Record) -> str:
    """A record as a line."""
    match record:
        case Event():
            return _line({"event": _event(record)})
        case SavedQuery():
            return _line({"query": asdict(record)})
        case queue, items:
            return _line({"queue": _queue(queue, items)})


def read(line: str) -> Record:
    """A line as a record.

    Raises:
        CatalogueError: it is none: where in it, and what is valid there.
    """
    try:
        ((kind, _),) = _ANY.validate_json(line, strict=True).items()
        if kind not in _LINES:
            raise CatalogueError(f'"{kind}" is none of {", ".join(_LINES)}')
        # Once more, as JSON: read as Python's values, a list would be no tuple.
        found = _LINES[kind].validate_json(line, strict=True)[kind]
    except ValidationError as error:
        raise CatalogueError(said.first(error)) from error
    match found:
        case EventLine():
            return _read_event(found)
        case QueueLine():
            return _read_queue(found)
        case _:
            return SavedQuery(found.name, found.query, found.made_by, _time(found.made_at))


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _event(event: Event) -> dict[str, Any]:
    return {
        "uuid": event.uuid,
        "kind": event.kind,
        "reviewer": event.reviewer,
        "neuron": str(event.target.neuron),
        "text": event.target.text,
        "at": event.at,
        "said": asdict(event.data),
        "seen": asdict(event.seen),
        "other": None if event.other is None else event.other.text,
        "queue": event.queue,
        "position": event.position,
        "seconds": event.seconds,
    }


def _read_event(line: EventLine) -> Event:
    neuron = NeuronId.parse(line.neuron)
    found = Event(
        uuid=line.uuid,
        reviewer=line.reviewer,
        target=Target.of(neuron, line.text),
        data=said.data(line.kind, line.said),
        at=_time(line.at),
        other=None if line.other is None else Target.of(neuron, line.other),
        queue=line.queue,
        position=line.position,
        seconds=line.seconds,
        seen=said.seen(line.seen),
    )
    check(found)
    return found


def _queue(queue: Queue, items: list[QueueItem]) -> dict[str, Any]:
    values = asdict(queue)
    del values["n_items"]
    return values | {
        "items": [
            {
                "neuron": str(item.target.neuron),
                "text": item.target.text,
                "other": None if item.other is None else item.other.text,
                "stratum": item.stratum,
                "weight": item.weight,
                "shared": item.shared,
            }
            for item in items
        ]
    }


def _read_queue(line: QueueLine) -> tuple[Queue, list[QueueItem]]:
    items = []
    for position, item in enumerate(line.items):
        neuron = NeuronId.parse(item.neuron)
        target = Target.of(neuron, item.text)
        check_target(target)
        if item.stratum is not None and item.stratum >= len(line.strata):
            raise CatalogueError(f"items.{position}.stratum: there are {len(line.strata)}")
        other = None if item.other is None else Target.of(neuron, item.other)
        items.append(QueueItem(position, target, other, item.stratum, item.weight, item.shared))
    found = Queue(
        **{n: getattr(line, n) for n in ("uuid", "name", "mode", "blind", "seed", "plan")},
        strata=tuple(Stratum(s.name, s.population, s.sampled) for s in line.strata),
        n_items=len(items),
        made_by=line.made_by,
        made_at=_time(line.made_at),
    )
    return found, items


def _time(at: str) -> str:
    """As the file of reviews has it."""
    return codec.iso(to_ms(at))
