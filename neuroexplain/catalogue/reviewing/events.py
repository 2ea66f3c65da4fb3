"""The log of reviews: what goes into it, what of it counts, and what follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from neuroexplain.catalogue.reviewing import said, tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add_one
from neuroexplain.errors import CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Event, Judged, Judgement, Target, Undone

_COUNTS = "e.kind <> 'undo' AND NOT EXISTS (SELECT 1 FROM event u WHERE u.undoes = e.uuid)"
"""Of an event `e`: nobody has taken it back."""
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
    """Add an event, unless it is there; returns it with its number.

    Raises:
        CatalogueError: it says nothing that it may, or takes back what another reviewer did or what is not there.
    """
    known = find(connection, event.uuid)
    if known is not None:
        return known
    undoes = event.data.event if isinstance(event.data, Undone) else None
    if undoes is not None:
        _check_undo(find(connection, undoes), event)
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
        "undoes": undoes,
        "at_ms": to_ms(event.at),
    }
    add_one(connection, tables.Event, row)
    made = find(connection, event.uuid)
    assert made is not None
    return made


def _check_undo(undone: Event | None, event: Event) -> None:
    if undone is None:
        raise CatalogueError("there is no event to take back; it may be in another file of reviews")
    if undone.reviewer != event.reviewer:
        raise CatalogueError(
            f"that is a decision of {undone.reviewer}, which {event.reviewer} cannot take back"
        )
    if isinstance(undone.data, Undone):
        raise CatalogueError("what was taken back stays so; decide again instead")


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
    return read(connection, f"{where} AND {_COUNTS}", values, limit=limit, end=end)


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


def newest(connection: Connection, reviewer: str, queue: str | None) -> Event | None:
    """The last event of a reviewer that counts; of one queue where it is given."""
    where, values = "e.reviewer = :reviewer", {"reviewer": reviewer}
    if queue is not None:
        where, values = f"{where} AND e.queue = :queue", values | {"queue": queue}
    found = counting(connection, where, values, limit=1, end="e.id DESC")
    return found[0] if found else None


_JUDGEMENTS = f"""
    WITH live AS (
        SELECT e.*, row_number() OVER (PARTITION BY e.target_id, e.reviewer ORDER BY e.at_ms DESC, e.uuid DESC) AS place
        FROM event e WHERE e.kind = 'verdict' AND {_COUNTS}
    )
    SELECT live.*, t.subject, t.layer, t.idx, t.polarity, t.text_sha256, t.text, i.weight
    FROM live JOIN target t ON t.id = live.target_id
    LEFT JOIN queue q ON q.uuid = live.queue
    LEFT JOIN queue_item i ON i.queue_id = q.id AND i.position = live.position AND i.target_id = live.target_id
    WHERE live.place = 1 AND {{where}} ORDER BY live.id
"""


def judgements(connection: Connection, where: str, values: dict[str, Any]) -> list[Judgement]:
    """What reviewers think, by a condition on `live` and `t`: SQL of this package, never of a user."""
    return [
        _judgement(row) for row in connection.execute(text(_JUDGEMENTS.format(where=where)), values)
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
            f"WHERE e.kind NOT IN ('skip', 'own', 'edit') AND {_COUNTS} GROUP BY 1 ORDER BY 1"
        )
    )
    return {row[0]: row[1] for row in rows}


def of_neuron(neurons: Sequence[NeuronId]) -> tuple[str, dict[str, Any]]:
    """A condition on `t`: one of some neurons."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    for i, n in enumerate(neurons):
        parts.append(
            f"(t.subject = :s{i} AND t.layer = :l{i} AND t.idx = :i{i} AND t.polarity = :p{i})"
        )
        values |= {f"s{i}": n.subject, f"l{i}": n.layer, f"i{i}": n.index, f"p{i}": n.polarity}
    return f"({' OR '.join(parts) or '0'})", values


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
