"""Queues: lists of things to decide, and who gets which of them when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, text

from neuroexplain.catalogue.reviewing import tables
from neuroexplain.catalogue.reviewing.events import COUNTS, check_target, target_id, to_ms
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add, add_one
from neuroexplain.errors import AbsentError, CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import DECIDING, Progress, Queue, QueueItem, Stratum, Target

LEASE = 30 * 60_000
"""Milliseconds for which an item lies before somebody, and nobody else is given it."""
_ITEM = """
    SELECT i.position, i.stratum, i.weight, i.shared, t.subject, t.layer, t.idx, t.polarity, t.text_sha256, t.text,
        o.text_sha256 AS other_sha256, o.text AS other_text
    FROM queue_item i JOIN target t ON t.id = i.target_id LEFT JOIN target o ON o.id = i.other_id
"""


def target_rows(connection: Connection, targets: Iterable[Target]) -> dict[Target, int]:
    """Rows of targets, made where there are none. Needs a transaction that holds the write lock."""
    rows = {}
    for target in targets:
        check_target(target)
        rows[target] = target_id(connection, target)
    return rows


def make(
    connection: Connection,
    queue: Queue,
    items: Sequence[QueueItem],
    rows: Mapping[Target, int] | None = None,
) -> Queue:
    """Write a queue with its items, unless it is there. Needs a transaction that holds the write lock.

    Args:
        connection: to the file of reviews.
        queue: with its strata.
        items: with their places.
        rows: of all their targets, by `target_rows`; looked up here where they are missing.

    Raises:
        CatalogueError: it has no items.
    """
    if find(connection, queue.uuid) is not None:
        return of(connection, queue.uuid)
    if not items:
        raise CatalogueError(f'queue "{queue.name}" would be empty: nothing meets its conditions')
    row = {
        **{n: getattr(queue, n) for n in ("uuid", "name", "mode", "blind", "seed", "made_by")},
        "plan": codec.to_json(queue.plan, "plan of the queue"),
        "made_ms": codec.now_ms() if not queue.made_at else to_ms(queue.made_at),
    }
    number = add_one(connection, tables.Queue, row)
    add(
        connection,
        tables.Stratum,
        [
            {"queue_id": number, "number": n, **vars(stratum)}
            for n, stratum in enumerate(queue.strata)
        ],
    )
    if rows is None:
        both = (target for item in items for target in (item.target, item.other))
        rows = target_rows(connection, {target for target in both if target is not None})
    add(connection, tables.QueueItem, [_row(rows, number, item) for item in items])
    return of(connection, queue.uuid)


def _row(rows: Mapping[Target, int], queue_id: int, item: QueueItem) -> dict[str, Any]:
    return {
        "queue_id": queue_id,
        "position": item.position,
        "target_id": rows[item.target],
        "other_id": None if item.other is None else rows[item.other],
        "stratum": item.stratum,
        "weight": item.weight,
        "shared": int(item.shared),
    }


def find(connection: Connection, uuid: str) -> int | None:
    """Row of a queue."""
    found: int | None = connection.execute(
        text("SELECT id FROM queue WHERE uuid = :uuid"), {"uuid": uuid}
    ).scalar()
    return found


def of(connection: Connection, uuid: str) -> Queue:
    """The queue of a name.

    Raises:
        AbsentError: there is none.
    """
    found = every(connection, uuid)
    if not found:
        raise AbsentError(f'no queue "{uuid}" in this file of reviews')
    return found[0]


def every(connection: Connection, uuid: str | None = None) -> list[Queue]:
    """All queues, the newest first; or the one of a name."""
    where = "" if uuid is None else "WHERE q.uuid = :uuid"
    rows = connection.execute(
        text(
            "SELECT q.*, (SELECT count(*) FROM queue_item i WHERE i.queue_id = q.id) AS n "
            f"FROM queue q {where} ORDER BY q.made_ms DESC, q.id DESC"
        ),
        {} if uuid is None else {"uuid": uuid},
    ).all()
    return [
        Queue(
            **{n: getattr(row, n) for n in ("uuid", "name", "mode", "blind", "seed", "made_by")},
            plan=json.loads(row.plan),
            strata=_strata(connection, row.id),
            n_items=row.n,
            made_at=codec.iso(row.made_ms),
        )
        for row in rows
    ]


def _strata(connection: Connection, queue_id: int) -> tuple[Stratum, ...]:
    rows = connection.execute(
        text("SELECT name, population, sampled FROM stratum WHERE queue_id = :id ORDER BY number"),
        {"id": queue_id},
    )
    return tuple(Stratum(*row) for row in rows)


def items(
    connection: Connection, queue: Queue, *, start: int = 0, limit: int = -1
) -> list[QueueItem]:
    """Items by their places, from `start` on."""
    rows = connection.execute(
        text(
            f"{_ITEM} WHERE i.queue_id = :id AND i.position >= :start ORDER BY i.position LIMIT :most"
        ),
        {"id": find(connection, queue.uuid), "start": start, "most": limit},
    )
    return [_item(row) for row in rows]


_OPEN = f"""
    i.position NOT IN (
        SELECT e.position FROM event e
        WHERE e.queue = :uuid AND e.reviewer = :reviewer AND e.kind = :deciding AND {COUNTS}
    )
    AND (i.shared = 1 OR (
        i.position NOT IN (
            SELECT e.position FROM event e
            WHERE e.queue = :uuid AND e.reviewer <> :reviewer AND e.kind = :deciding AND {COUNTS}
        )
        AND i.position NOT IN (
            SELECT d.position FROM dealt d WHERE d.queue_id = :id AND d.reviewer <> :reviewer AND d.at_ms > :since
        )
    ))
"""
"""Of an item `i`: the reviewer has not decided it, and it is for all, or nobody else has decided it or has it now."""
_SKIPPED = f"""i.position IN (
    SELECT e.position FROM event e
    WHERE e.queue = :uuid AND e.reviewer = :reviewer AND e.kind = 'skip' AND {COUNTS}
)"""


def _open_to(connection: Connection, queue: Queue, reviewer: str) -> dict[str, Any]:
    """Values of the parameters of `_OPEN`."""
    return {
        "id": find(connection, queue.uuid),
        "uuid": queue.uuid,
        "reviewer": reviewer,
        "deciding": DECIDING[queue.mode],
        "since": codec.now_ms() - LEASE,
    }


def coming(
    connection: Connection, queue: Queue, reviewer: str, *, limit: int, after: int = -1
) -> list[QueueItem]:
    """What a reviewer is to decide next: first what was never looked at, then what was skipped.

    Args:
        connection: in a transaction.
        queue: from which.
        reviewer: for whom.
        limit: items at most.
        after: place behind which the first of them lies.
    """
    rows = connection.execute(
        text(
            f"""WITH chosen AS (
                SELECT i.*, {_SKIPPED} AS again FROM queue_item i
                WHERE i.queue_id = :id AND i.position > :after AND {_OPEN}
                ORDER BY again, i.position LIMIT :most
            )
            {_ITEM.replace("queue_item i", "chosen i").replace("SELECT", "SELECT i.again,", 1)}
            ORDER BY i.again, i.position"""
        ),
        _open_to(connection, queue, reviewer) | {"after": after, "most": limit},
    )
    return [_item(row, again=bool(row.again)) for row in rows]


_BEGUN = """
    SELECT q.id FROM queue q WHERE {which} AND q.uuid <> :besides
        AND EXISTS (SELECT 1 FROM dealt d WHERE d.queue_id = q.id AND d.reviewer = :reviewer)
"""
_WAITING = """
    SELECT DISTINCT t.subject, t.layer, t.idx, t.polarity
    FROM json_each(:neurons) AS n CROSS JOIN target t
    CROSS JOIN queue_item i ON i.target_id = t.id CROSS JOIN queue q ON q.id = i.queue_id
    WHERE t.subject = n.value ->> 0 AND t.layer = n.value ->> 1
        AND t.idx = n.value ->> 2 AND t.polarity = n.value ->> 3
        AND q.id IN (SELECT value FROM json_each(:begun))
        AND NOT EXISTS (
            SELECT 1 FROM event e
            WHERE e.queue = q.uuid AND e.position = i.position AND (e.reviewer = :reviewer OR i.shared = 0)
                AND e.kind = CASE q.mode WHEN 'pairwise' THEN 'preference' ELSE q.mode END AND {counts}
        )
""".replace("{counts}", COUNTS)
_WHICH = {"blind": "q.blind <> 'none'", "marking": "q.mode = 'simulation'"}
Waiting = Literal["blind", "marking"]
"""Queues that hide something until an item is decided: how explanations do, or what neurons do on held-out spans."""


def waiting_among(
    connection: Connection,
    which: Waiting,
    neurons: Iterable[NeuronId],
    reviewer: str,
    besides: str = "",
) -> set[NeuronId]:
    """Neurons about which an item may still come to a reviewer from a queue that they have begun.

    Args:
        connection: in a transaction.
        which: kind of the queues.
        neurons: any number; they cost nothing where no such queue was begun.
        reviewer: for whom.
        besides: a queue that does not count.
    """
    values = {"reviewer": reviewer, "besides": besides}
    begun = connection.execute(text(_BEGUN.format(which=_WHICH[which])), values).scalars().all()
    if not begun:
        return set()
    named = [(n.subject, n.layer, n.index, n.polarity) for n in neurons]
    values |= {"neurons": json.dumps(named), "begun": json.dumps(list(begun))}
    return {NeuronId(*row) for row in connection.execute(text(_WAITING), values)}


def are_dealt(
    connection: Connection, queue: Queue, reviewer: str, found: Sequence[QueueItem]
) -> bool:
    """Whether items lie before a reviewer already, for a good while yet."""
    rows = connection.execute(
        text(
            "SELECT d.position FROM dealt d JOIN queue q ON q.id = d.queue_id "
            "WHERE q.uuid = :uuid AND d.reviewer = :reviewer AND d.at_ms > :since"
        ),
        {"uuid": queue.uuid, "reviewer": reviewer, "since": codec.now_ms() - LEASE // 2},
    )
    return {item.position for item in found} <= {row.position for row in rows}


def deal(connection: Connection, queue: Queue, reviewer: str, positions: Sequence[int]) -> None:
    """Note that items lie before a reviewer. Needs a transaction that holds the write lock."""
    number, now = find(connection, queue.uuid), codec.now_ms()
    for position in positions:
        connection.execute(
            text(
                "INSERT OR REPLACE INTO dealt (queue_id, position, reviewer, at_ms) "
                "VALUES (:id, :position, :reviewer, :now)"
            ),
            {"id": number, "position": position, "reviewer": reviewer, "now": now},
        )


def _item(row: Any, *, again: bool = False) -> QueueItem:
    neuron = NeuronId(row.subject, row.layer, row.idx, row.polarity)
    other = None
    if row.other_sha256 is not None:
        other = Target(neuron, row.other_sha256.hex(), row.other_text)
    return QueueItem(
        position=row.position,
        target=Target(neuron, row.text_sha256.hex(), row.text),
        other=other,
        stratum=row.stratum,
        weight=row.weight,
        shared=bool(row.shared),
        again=again,
    )


_PROGRESS = f"""
    SELECT e.position, e.kind, e.seconds FROM event e
    WHERE e.queue = :uuid AND e.reviewer = :reviewer AND e.kind IN (:deciding, 'skip')
        AND {COUNTS}
"""
_LEFT = f"SELECT count(*) FROM queue_item i WHERE i.queue_id = :id AND {_OPEN}"


def progress(connection: Connection, queue: Queue, reviewer: str) -> Progress:
    """How far a reviewer is."""
    deciding = DECIDING[queue.mode]
    rows = connection.execute(
        text(_PROGRESS), {"uuid": queue.uuid, "reviewer": reviewer, "deciding": deciding}
    ).all()
    left: int = connection.execute(text(_LEFT), _open_to(connection, queue, reviewer)).scalar_one()
    done = {row.position for row in rows if row.kind == deciding}
    skipped = {row.position for row in rows if row.kind == "skip"} - done
    seconds = sorted(
        row.seconds for row in rows if row.kind == deciding and row.seconds is not None
    )
    return Progress(
        queue=queue.uuid,
        reviewer=reviewer,
        done=len(done),
        skipped=len(skipped),
        left=left,
        median_seconds=_median(seconds),
    )


def _median(values: Sequence[float]) -> float | None:
    if not values:
        return None
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def reviewers(connection: Connection, queue: Queue) -> Mapping[str, int]:
    """Decisions that count, by reviewer."""
    rows = connection.execute(
        text(
            "SELECT e.reviewer, count(DISTINCT e.position) FROM event e WHERE e.queue = :uuid AND e.kind = :kind "
            f"AND {COUNTS} GROUP BY 1 ORDER BY 1"
        ),
        {"uuid": queue.uuid, "kind": DECIDING[queue.mode]},
    )
    return {row[0]: row[1] for row in rows}


def decided(connection: Connection, queue: Queue) -> int:
    """Items that somebody has decided."""
    found: int = connection.execute(
        text(
            "SELECT count(DISTINCT e.position) FROM event e "
            f"WHERE e.queue = :uuid AND e.kind = :kind AND {COUNTS}"
        ),
        {"uuid": queue.uuid, "kind": DECIDING[queue.mode]},
    ).scalar_one()
    return found
