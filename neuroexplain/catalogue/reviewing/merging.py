"""Reviews of another file, taken into this one: by import of lines, or from a file of reviews as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, text

from neuroexplain.catalogue.reviewing import events, queues, said
from neuroexplain.catalogue.reviewing.lines import Record
from neuroexplain.catalogue.storage import codec
from neuroexplain.errors import CatalogueError, ExchangeError
from neuroexplain.reviewed import Event, Queue, QueueItem, SavedQuery, Target


@dataclass(frozen=True)
class Taken:
    """What was new, what was known already, and what it is about."""

    new: dict[str, int]
    """By `events`, `queues` and `queries`."""
    known: dict[str, int]
    targets: frozenset[Target]
    """Explanations with new events."""


def records(connection: Connection) -> Iterator[Record]:
    """All that a file of reviews holds, in an order that two files of the same contents share."""
    for queue in sorted(queues.every(connection), key=lambda q: (q.made_at, q.uuid)):
        yield queue, queues.items(connection, queue)
    yield from saved_queries(connection)
    yield from events.read(connection, "1", {}, end=events.ORDER)


def saved_queries(connection: Connection) -> list[SavedQuery]:
    """Queries by name."""
    rows = connection.execute(text("SELECT * FROM saved_query ORDER BY name"))
    return [SavedQuery(r.name, r.query, r.made_by, codec.iso(r.made_ms)) for r in rows]


def take(connection: Connection, given: Iterable[tuple[str, Record]]) -> Taken:
    """Add what this file lacks. Needs a transaction that holds the write lock, and that an error ends.

    An undo may come before what it takes back, or without it.

    Args:
        connection: to this file.
        given: records, each with the place that it stands at, for messages.

    Raises:
        ExchangeError: a record cannot be kept, or has the uuid of another; the message begins with its place.
    """
    new = dict.fromkeys(("events", "queues", "queries"), 0)
    known = dict(new)
    targets: set[Target] = set()
    for place, record in given:
        try:
            match record:
                case Event():
                    kind, added = "events", _take_event(connection, record)
                    if added:
                        targets.add(record.target)
                case SavedQuery():
                    kind, added = "queries", _take_query(connection, record)
                case queue, items:
                    kind, added = "queues", _take_queue(connection, queue, items)
        except CatalogueError as error:
            raise ExchangeError(f"{place}: {error}") from error
        counts = new if added else known
        counts[kind] += 1
    return Taken(new, known, frozenset(targets))


def _take_event(connection: Connection, event: Event) -> bool:
    known = events.find(connection, event.uuid)
    if known is None:
        events.check(event)
        events.insert(connection, event, events.to_ms(event.at))
        return True
    if _whole(known) != _whole(event):
        raise events.other_content(event)
    return False


def _whole(event: Event) -> tuple[Any, ...]:
    """All that an event says, but its place in the log of one file."""
    said_ = said.to_json(event.data), said.to_json(event.seen)
    return replace(event, number=0), said_, events.to_ms(event.at)


def _take_queue(connection: Connection, queue: Queue, items: list[QueueItem]) -> bool:
    if queues.find(connection, queue.uuid) is None:
        queues.make(connection, queue, items)
        return True
    known = queues.of(connection, queue.uuid)
    if asdict(known) != asdict(queue) or queues.items(connection, known) != items:
        raise CatalogueError(
            f'queue {queue.uuid} "{queue.name}" is there already and has other contents'
        )
    return False


def _take_query(connection: Connection, query: SavedQuery) -> bool:
    """The later of two of one name stands."""
    found = {known.name: known for known in saved_queries(connection)}.get(query.name)
    made_ms = events.to_ms(query.made_at)
    if found is not None and (found.made_at, found.query) >= (codec.iso(made_ms), query.query):
        return False
    values = {"name": query.name, "query": query.query, "made_by": query.made_by, "now": made_ms}
    save_query(connection, values)
    return True


def save_query(connection: Connection, values: dict[str, Any]) -> None:
    """Keep a query in place of what had its name: `name`, `query`, `made_by` and `now`, in milliseconds."""
    for name in ("name", "query", "made_by"):
        if codec.clean(values[name]) != values[name]:
            raise CatalogueError(f"{name} of a saved query holds half a character")
    connection.execute(
        text("INSERT OR REPLACE INTO saved_query VALUES (:name, :query, :made_by, :now)"), values
    )
