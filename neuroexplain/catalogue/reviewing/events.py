"""The log of reviews: what goes into it, what of it counts, and what follows from that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from neuroexplain.catalogue.reviewing import said, tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add_one
from neuroexplain.errors import CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import (
    DECIDING,
    Event,
    Judged,
    Judgement,
    Seen,
    Target,
    Undoing,
    Undone,
)

COUNTS = """e.kind <> 'undo' AND NOT EXISTS (
    SELECT 1 FROM event u WHERE u.undoes = e.uuid AND u.reviewer = e.reviewer
)"""
"""Of an event `e`: its reviewer has not taken it back. What others send that would take it back is without effect."""
ORDER = "e.at_ms, e.uuid"
"""Of what reviewers did: the same in every file that holds it. `add` sees to it that of one reviewer it is that of the log."""
LONGEST = 1_000
"""Characters of a name."""
_TARGETS = """
    t.subject, t.layer, t.idx, t.polarity, t.text_sha256, t.text,
    o.text_sha256 AS other_sha256, o.text AS other_text
    FROM event e JOIN target t ON t.id = e.target_id LEFT JOIN target o ON o.id = e.other_id
"""


def target_id(connection: Connection, target: Target) -> int:
    """Row of a target, made where there is none. Needs a transaction that holds the write lock."""
    n = target.neuron
    place = {"subject": n.subject, "layer": n.layer, "idx": n.index, "polarity": n.polarity}
    key = place | {"text_sha256": bytes.fromhex(target.text_sha256)}
    found = connection.execute(
        text(
            "SELECT id FROM target WHERE subject = :subject AND layer = :layer AND idx = :idx "
            "AND polarity = :polarity AND text_sha256 = :text_sha256"
        ),
        key,
    ).scalar()
    return found or add_one(connection, tables.Target, key | {"text": target.text})


def add(connection: Connection, event: Event) -> Event:
    """Add what a reviewer does now, unless it is there; returns it with its number.

    Its time is put behind that of all that the reviewer did before, where a clock was set back meanwhile.

    Raises:
        CatalogueError: it says nothing that it may, takes back what another reviewer did, what is taken back already or
            what is not there, or has the uuid of something else.
    """
    check(event)
    known = find(connection, event.uuid)
    if known is not None:
        # Sent again, by a page whose first answer was lost.
        if _said(known) != _said(event):
            raise other_content(event)
        return known
    if isinstance(event.data, Undone):
        _check_undo(connection, event.data.event, event)
    last: int | None = connection.execute(
        text("SELECT max(at_ms) FROM event WHERE reviewer = :reviewer"),
        {"reviewer": event.reviewer},
    ).scalar()
    at_ms = to_ms(event.at)
    insert(connection, event, at_ms if last is None else max(at_ms, last + 1))
    made = find(connection, event.uuid)
    assert made is not None
    return made


def other_content(event: Event) -> CatalogueError:
    """Says that there is another event of the same uuid."""
    return CatalogueError(
        f"event {event.uuid} of {event.reviewer} is there already and says something else; "
        "every event needs a uuid of its own"
    )


def _said(event: Event) -> tuple[Any, ...]:
    """What makes an event that is sent again the same one; not when, nor by which version."""
    about = event.target, event.other, event.queue, event.position
    return event.reviewer, about, event.data, event.seconds


def insert(connection: Connection, event: Event, at_ms: int) -> None:
    """Write an event that was checked and whose uuid is not there yet. Needs a transaction that holds the write lock.

    Raises:
        CatalogueError: it says nothing that it may.
    """
    row = {
        "uuid": event.uuid,
        "kind": event.kind,
        "reviewer": event.reviewer,
        "target_id": target_id(connection, event.target),
        "other_id": None if event.other is None else target_id(connection, event.other),
        "queue": event.queue,
        "position": event.position,
        "seconds": event.seconds,
        "data": said.to_json(event.data),
        "seen": said.to_json(event.seen),
        "undoes": event.data.event if isinstance(event.data, Undone) else None,
        "at_ms": at_ms,
    }
    add_one(connection, tables.Event, row)


def check(event: Event) -> None:
    """Refuse an event that cannot be kept as it is.

    Raises:
        CatalogueError: a text that UTF-8 cannot hold, a hash that is not the text's, a place or a time below 0.
    """
    for what, name in (("uuid", event.uuid), ("reviewer", event.reviewer)):
        if not 0 < len(name) <= LONGEST or codec.clean(name) != name:
            raise CatalogueError(
                f"{what} of an event: {name[:80]!r} is none; it has 1 to {LONGEST} characters"
            )
    for target in (event.target, event.other):
        if target is not None:
            check_target(target)
    codec.finite("event", seconds=event.seconds)
    if (event.seconds or 0) < 0 or (event.position or 0) < 0:
        raise CatalogueError("an event has no seconds and no position below 0")


def check_target(target: Target) -> None:
    """Refuse a target that is not what it says.

    Raises:
        CatalogueError: its text is not fit for UTF-8, or its hash is another.
    """
    if max(target.neuron.layer, target.neuron.index) >= 2**31:
        raise CatalogueError(f"{target.neuron} is no neuron: no subject has so many")
    if codec.clean(target.text) != target.text:
        raise CatalogueError(f"the explanation of {target.neuron} holds half a character")
    if Target.of(target.neuron, target.text) != target:
        raise CatalogueError(f"the hash of the explanation of {target.neuron} is not its text's")


def _check_undo(connection: Connection, uuid: str, event: Event) -> None:
    undone = find(connection, uuid)
    if undone is None:
        raise CatalogueError("there is no event to take back; it may be in another file of reviews")
    if undone.reviewer != event.reviewer:
        raise CatalogueError(
            f"that is a decision of {undone.reviewer}, which {event.reviewer} cannot take back"
        )
    if isinstance(undone.data, Undone):
        raise CatalogueError("what was taken back stays so; decide again instead")
    if not counting(connection, "e.uuid = :uuid", {"uuid": uuid}):
        raise CatalogueError("that is taken back already")


def find(connection: Connection, uuid: str) -> Event | None:
    """The event of a name, whether it counts or not."""
    found = read(connection, "e.uuid = :uuid", {"uuid": uuid})
    return found[0] if found else None


def read(
    connection: Connection,
    where: str,
    values: dict[str, Any],
    *,
    limit: int = -1,
    end: str = "e.id",
) -> list[Event]:
    """Events that meet a condition on `e`, `t` (target) and `o` (other), in order of the log.

    Args:
        connection: in a transaction.
        where: SQL of this package, never of a user.
        values: its parameters.
        limit: events at most; -1 for all.
        end: what they are sorted by.
    """
    rows = connection.execute(
        text(f"SELECT e.*, {_TARGETS} WHERE {where} ORDER BY {end} LIMIT :most"),
        values | {"most": limit},
    )
    return [_event(row) for row in rows]


def counting(
    connection: Connection,
    where: str,
    values: dict[str, Any],
    *,
    limit: int = -1,
    end: str = "e.id",
) -> list[Event]:
    """The same, of events that nobody has taken back."""
    return read(connection, f"{where} AND {COUNTS}", values, limit=limit, end=end)


def _event(row: Any) -> Event:
    neuron = NeuronId(row.subject, row.layer, row.idx, row.polarity)
    other = None
    if row.other_sha256 is not None:
        other = Target(neuron, row.other_sha256.hex(), row.other_text)
    return Event(
        uuid=row.uuid,
        reviewer=row.reviewer,
        target=Target(neuron, row.text_sha256.hex(), row.text),
        data=said.data(row.kind, row.data),
        at=codec.iso(row.at_ms),
        other=other,
        queue=row.queue,
        position=row.position,
        seconds=row.seconds,
        seen=said.seen(row.seen),
        number=row.id,
    )


def newest(
    connection: Connection,
    reviewer: str,
    queue: str | None = None,
    *,
    uuid: str | None = None,
    kinds: Sequence[str] = (),
) -> Event | None:
    """The last event of a reviewer that counts; of one queue, of a name, or of some kinds where they are given."""
    where, values = "e.reviewer = :reviewer", {"reviewer": reviewer}
    for name, value in (("queue", queue), ("uuid", uuid)):
        if value is not None:
            where, values = f"{where} AND e.{name} = :{name}", values | {name: value}
    if kinds:
        where = f"{where} AND e.kind IN (SELECT value FROM json_each(:kinds))"
        values = values | {"kinds": json.dumps(kinds)}
    found = counting(connection, where, values, limit=1, end="e.at_ms DESC, e.uuid DESC")
    return found[0] if found else None


def take_back(
    connection: Connection, reviewer: str, wanted: Undoing, *, at: str, seen: Seen
) -> Event | None:
    """Take back what a reviewer decided, and return it; None where there is nothing to take back.

    One that is sent again, by its uuid, takes back nothing more. Needs a transaction that holds the write lock: what is
    newest is looked up in it, so that two at once take back two.

    Raises:
        CatalogueError: there is something else under its uuid.
    """
    known = find(connection, wanted.uuid)
    if known is not None:
        if known.reviewer != reviewer or not isinstance(known.data, Undone):
            raise CatalogueError(
                f"event {wanted.uuid} is there already and says something else; "
                "every event needs a uuid of its own"
            )
        return find(connection, known.data.event)
    kinds = tuple(DECIDING.values()) + (() if wanted.queue is None else ("skip", "own"))
    undone = newest(connection, reviewer, wanted.queue, uuid=wanted.event, kinds=kinds)
    if undone is not None:
        event = replace(
            undone, uuid=wanted.uuid, data=Undone(undone.uuid), at=at, seconds=None, seen=seen
        )
        add(connection, event)
    return undone


_JUDGEMENTS = f"""
    WITH live AS (
        SELECT e.*, row_number() OVER (PARTITION BY e.target_id, e.reviewer ORDER BY e.at_ms DESC, e.uuid DESC) AS place
        FROM event e WHERE e.kind = 'verdict' AND {COUNTS} AND {{where}}
    )
    SELECT live.*, t.subject, t.layer, t.idx, t.polarity, t.text_sha256, t.text, i.weight
    FROM live JOIN target t ON t.id = live.target_id
    LEFT JOIN queue q ON q.uuid = live.queue
    LEFT JOIN queue_item i ON i.queue_id = q.id AND i.position = live.position AND i.target_id = live.target_id
    WHERE live.place = 1 ORDER BY live.at_ms, live.uuid
"""


def judgements(connection: Connection, where: str, values: dict[str, Any]) -> list[Judgement]:
    """Of each target and reviewer the last of the verdicts that count and meet a condition on `e`.

    The condition is SQL of this package, never of a user.
    """
    return [
        _judgement(row) for row in connection.execute(text(_JUDGEMENTS.format(where=where)), values)
    ]


def judged(connection: Connection, where: str, values: dict[str, Any]) -> list[tuple[Target, str]]:
    """Targets with those who ever gave a verdict on them, by a condition on `e`; all may have been taken back."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT t.subject, t.layer, t.idx, t.polarity, t.text_sha256, t.text, e.reviewer "
            f"FROM event e JOIN target t ON t.id = e.target_id WHERE e.kind = 'verdict' AND {where}"
        ),
        values,
    )
    return [
        (Target(NeuronId(*place), sha256.hex(), said_), reviewer)
        for *place, sha256, said_, reviewer in rows
    ]


def _judgement(row: Any) -> Judgement:
    judged = said.data("verdict", row.data)
    assert isinstance(judged, Judged)
    neuron = NeuronId(row.subject, row.layer, row.idx, row.polarity)
    return Judgement(
        target=Target(neuron, row.text_sha256.hex(), row.text),
        reviewer=row.reviewer,
        verdict=judged.verdict,
        confidence=judged.confidence,
        tags=judged.tags,
        note=judged.note,
        seconds=row.seconds,
        at=codec.iso(row.at_ms),
        event=row.uuid,
        queue=row.queue,
        position=row.position,
        weight=row.weight,
    )


def decisions(connection: Connection) -> dict[str, int]:
    """Decisions that count, by reviewer."""
    rows = connection.execute(
        text(
            "SELECT e.reviewer, count(*) FROM event e "
            f"WHERE e.kind NOT IN ('skip', 'own', 'edit') AND {COUNTS} GROUP BY 1 ORDER BY 1"
        )
    )
    return {row[0]: row[1] for row in rows}


_OF_NEURONS = """e.target_id IN (
    SELECT named.id FROM json_each(:neurons) AS n CROSS JOIN target AS named
    WHERE named.subject = n.value ->> 0 AND named.layer = n.value ->> 1
        AND named.idx = n.value ->> 2 AND named.polarity = n.value ->> 3
)"""


def of_neurons(neurons: Sequence[NeuronId]) -> tuple[str, dict[str, Any]]:
    """A condition on `e`: about one of some neurons, of which there may be any number."""
    named = [(n.subject, n.layer, n.index, n.polarity) for n in neurons]
    return _OF_NEURONS, {"neurons": json.dumps(named)}


def to_ms(at: str) -> int:
    """An ISO time as it is stored.

    Raises:
        CatalogueError: it is no time, or one without a zone.
    """
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CatalogueError(
            f'"{at}" is no ISO time with a zone, such as 2026-11-25T12:00:00.000+00:00'
        )
    return round(moment.timestamp() * 1000)
