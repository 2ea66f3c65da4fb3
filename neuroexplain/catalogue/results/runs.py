"""Runs: commands that wrote results, what they spent, and which process works on them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, text, update
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add_one
from neuroexplain.errors import CatalogueError, unknown

ENDS = ("done", "interrupted", "failed")
_WRITING = ("explain", "revise")
"""Purposes of calls that explanations come of."""

_FAILURES = text("""
    SELECT run_id, reason, count(*) AS n FROM (
        SELECT run_id, reason FROM explanation WHERE status = 'failed' AND reason <> 'dead_neuron'
        UNION ALL
        SELECT simulation.run_id, simulation_failure.reason
        FROM simulation_failure JOIN simulation ON simulation.id = simulation_failure.simulation_id
        UNION ALL
        SELECT run_id, reason FROM text_set WHERE reason IS NOT NULL
    ) GROUP BY run_id, reason ORDER BY reason
""")


def begin_run(
    connection: Connection,
    run_key: str,
    command: str,
    config: Mapping[str, Any],
    versions: Mapping[str, str],
    host: str,
    pid: int,
) -> int:
    """Add a run in the state `running`; one of the same key that was running has been killed, and is marked so.

    Whoever calls holds the lock of the run's key.
    """
    table = tables.Run
    connection.execute(
        update(table)
        .where(col(table.run_key) == run_key, col(table.state) == "running")
        .values(state="interrupted", message="killed", finished_at=col(table.seen_at))
    )
    # What an earlier one waited for is this one's to wait for.
    connection.execute(update(table).where(col(table.run_key) == run_key).values(waiting=0))
    now = codec.now()
    row = {
        "run_key": run_key,
        "command": command,
        "state": "running",
        "config": codec.to_json(config, "config of the run"),
        "versions": codec.to_json(versions, "versions"),
        "counts": "{}",
        "message": "",
        "started_at": now,
        "host": host,
        "pid": pid,
        "seen_at": now,
        "waiting": 0,
    }
    return add_one(connection, table, row)


def finish_run(
    connection: Connection,
    run_id: int,
    state: str,
    counts: Mapping[str, int],
    message: str,
    waiting: int = 0,
) -> None:
    """Write how a run ended."""
    if state not in ENDS:
        raise CatalogueError(unknown("state", state, ENDS))
    now = codec.now()
    values = {
        "state": state,
        "counts": codec.to_json(counts, "counts of the run"),
        "message": codec.clean(message),
        "finished_at": now,
        "seen_at": now,
        "waiting": waiting,
    }
    _update(connection, run_id, values)


def sign_of_life(
    connection: Connection, run_id: int, counts: Mapping[str, int], progress: Mapping[str, Any]
) -> None:
    """Write how far a run is."""
    values = {
        "counts": codec.to_json(counts, "counts of the run"),
        "progress": codec.to_json(progress, "progress of the run"),
        "seen_at": codec.now(),
    }
    _update(connection, run_id, values)


def _update(connection: Connection, run_id: int, values: Mapping[str, Any]) -> None:
    table = tables.Run
    done = connection.execute(update(table).where(col(table.id) == run_id).values(**values))
    if done.rowcount != 1:
        raise CatalogueError(f"no run {run_id} in this catalogue; `neuroexplain runs` lists them")


def newest(connection: Connection, run_key: str) -> dict[str, Any] | None:
    """The last run of a key: `id`, `command`, `host`, `pid`, `started_at`."""
    table = tables.Run
    columns = (table.id, table.command, table.host, table.pid, table.started_at)
    query = select(*(col(c) for c in columns)).where(col(table.run_key) == run_key)
    row = connection.execute(query.order_by(col(table.id).desc()).limit(1)).one_or_none()
    return None if row is None else dict(row._mapping)


def config_of(connection: Connection, run_id: int) -> tuple[str, dict[str, Any]]:
    """A run's command and settings.

    Raises:
        CatalogueError: there is no such run.
    """
    table = tables.Run
    query = select(col(table.command), col(table.config)).where(col(table.id) == run_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise CatalogueError(f"no run {run_id} in this catalogue; `neuroexplain runs` lists them")
    return row.command, json.loads(row.config)


def failures(connection: Connection, run_id: int) -> dict[str, int]:
    """What failed in a run or in others of the same key, by reason: a run that goes on does not fail once more."""
    same = set(connection.scalars(same_key(run_id)))
    found: Counter[str] = Counter()
    for failed, reason, n in connection.execute(_FAILURES):
        if failed in same:
            found[reason] += n
    return dict(found)


def failed_requests(connection: Connection, run_id: int, reasons: AbstractSet[str]) -> list[str]:
    """Requests whose replies could not be used in a run or in others of the same key, for some reasons.

    They are those to which what failed goes back. A reply that was retired before is none of them.
    """
    explanation, simulation = tables.Explanation, tables.Simulation
    failure, call = tables.SimulationFailure, tables.LlmCall
    same = same_key(run_id)
    written = select(col(explanation.prompt_sha256), col(explanation.raw_reply)).where(
        col(explanation.run_id).in_(same),
        col(explanation.status) == "failed",
        col(explanation.reason).in_(reasons),
    )
    texts = {(p, reply) for p, reply in connection.execute(written) if p is not None}
    simulated = (
        select(col(failure.raw_reply))
        .join(simulation, col(simulation.id) == col(failure.simulation_id))
        .where(col(simulation.run_id).in_(same), col(failure.reason).in_(reasons))
    )
    text_set = tables.TextSet
    about = select(col(text_set.raw_reply)).where(
        col(text_set.run_id).in_(same), col(text_set.reason).in_(reasons)
    )
    replies = {
        reply
        for query in (simulated, about)
        for (reply,) in connection.execute(query)
        if reply is not None
    }
    calls = (
        select(col(call.request), col(call.prompt), col(call.purpose), col(call.reply))
        .where(col(call.run_id).in_(same), col(call.status) == "ok", col(call.retired) == 0)
        .execution_options(yield_per=1000)
    )
    return [
        row.request.hex()
        for row in connection.execute(calls)
        if ((row.prompt, row.reply) in texts if row.purpose in _WRITING else row.reply in replies)
    ]


def same_key(run_id: int) -> Select[int]:
    """Rows of a run and of all those that did the same work before or after it."""
    run = tables.Run
    key = select(col(run.run_key)).where(col(run.id) == run_id).scalar_subquery()
    return select(col(run.id)).where(col(run.run_key) == key)


def spent_on(connection: Connection, run_key: str) -> tuple[int, int]:
    """Calls that all runs of a key have made, and what these cost in billionths of a dollar."""
    run, call = tables.Run, tables.LlmCall
    query = (
        select(func.count(), func.coalesce(func.sum(col(call.cost_nano)), 0))
        .select_from(call)
        .join(run, col(run.id) == col(call.run_id))
        .where(col(run.run_key) == run_key)
    )
    row = connection.execute(query).one()
    return int(row[0] or 0), int(row[1] or 0)


def runs(connection: Connection, run_id: int | None = None) -> list[dict[str, Any]]:
    """Every run with its failures and what it spent, newest first; or one.

    Tokens and cost are sums over the calls that say; None where there are calls and none of them does.
    """
    failures: dict[int, dict[str, int]] = defaultdict(dict)
    for failed, reason, n in connection.execute(_FAILURES):
        failures[failed][reason] = n
    spent = _spent(connection, run_id)
    query = select(tables.Run).order_by(col(tables.Run.id).desc())
    if run_id is not None:
        query = query.where(col(tables.Run.id) == run_id)
    return [
        _run(row, failures.get(row.id, {}), spent.get(row.id, {}))
        for row in connection.execute(query)
    ]


def _run(
    row: Any, failures: Mapping[str, int], stages: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    waits = row.state == "interrupted" and row.waiting > 0
    counts = json.loads(row.counts)
    return {
        "run_id": row.id,
        "run_key": row.run_key,
        "command": row.command,
        "state": "waiting" if waits else row.state,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "seconds": _seconds(row.started_at, row.finished_at or row.seen_at),
        "host": row.host,
        "pid": row.pid,
        "seen_at": row.seen_at,
        "progress": json.loads(row.progress) if row.progress else None,
        "counts": counts,
        "failures": dict(failures),
        "waiting": row.waiting,
        **_total(stages),
        "stages": stages,
        "message": row.message,
    }


_SUMS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd")


def _total(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"llm_calls": sum(s["llm_calls"] for s in stages.values())}
    for name in _SUMS:
        said = [s[name] for s in stages.values() if s[name] is not None]
        total[name] = sum(said) if said else None
    if not stages:
        total |= {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0}
    return total


def _spent(connection: Connection, run_id: int | None) -> dict[int, dict[str, dict[str, Any]]]:
    """Calls, tokens and cost by run and purpose."""
    call = tables.LlmCall
    numbers = (call.prompt_tokens, call.completion_tokens, call.cached_tokens, call.cost_nano)
    sums = (func.sum(col(c)) for c in numbers)
    place = (col(call.run_id), col(call.purpose))
    query = select(*place, func.count(), *sums).group_by(*place)
    if run_id is not None:
        query = query.where(col(call.run_id) == run_id)
    found: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for run, purpose, *totals in connection.execute(query):
        n, prompt, completion, cached, cost = totals
        if run is not None:
            found[run][purpose] = {
                "llm_calls": n,
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "cached_tokens": cached,
                "cost_usd": None if cost is None else cost / 1e9,
            }
    return found


def _seconds(started: str, until: str | None) -> float | None:
    if until is None:
        return None
    return (datetime.fromisoformat(until) - datetime.fromisoformat(started)).total_seconds()


def age(moment: str) -> float:
    """Seconds since a stored time."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
