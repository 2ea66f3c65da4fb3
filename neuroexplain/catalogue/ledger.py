"""Runs, and the calls of language models that they paid for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text, update
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.engine import add_one
from neuroexplain.errors import CatalogueError, unknown
from neuroexplain.records import Call

ENDS = ("done", "interrupted", "failed")

_FAILURES = text("""
    SELECT run_id, reason, count(*) AS n FROM (
        SELECT run_id, reason FROM explanation WHERE status = 'failed' AND reason <> 'dead_neuron'
        UNION ALL
        SELECT simulation.run_id, simulation_failure.reason
        FROM simulation_failure JOIN simulation ON simulation.id = simulation_failure.simulation_id
    ) GROUP BY run_id, reason ORDER BY reason
""")


def begin_run(
    connection: Connection,
    run_key: str,
    command: str,
    config: Mapping[str, Any],
    versions: Mapping[str, str],
) -> int:
    """Add a run in the state `running`."""
    row = {
        "run_key": run_key,
        "command": command,
        "state": "running",
        "config": codec.to_json(config, "config of the run"),
        "versions": codec.to_json(versions, "versions"),
        "counts": "{}",
        "message": "",
        "started_at": codec.now(),
    }
    return add_one(connection, tables.Run, row)


def finish_run(
    connection: Connection, run_id: int, state: str, counts: Mapping[str, int], message: str
) -> None:
    """Write how a run ended."""
    if state not in ENDS:
        raise CatalogueError(unknown("state", state, ENDS))
    values = {
        "state": state,
        "counts": codec.to_json(counts, "counts of the run"),
        "message": codec.clean(message),
        "finished_at": codec.now(),
    }
    done = connection.execute(
        update(tables.Run).where(col(tables.Run.id) == run_id).values(**values)
    )
    if done.rowcount != 1:
        raise CatalogueError(f"no run {run_id} in this catalogue; `neuroexplain runs` lists them")


def find_reply(connection: Connection, request_sha256: str) -> Call | None:
    """The newest good call of a request."""
    table = tables.LlmCall
    row = connection.execute(
        select(table)
        .where(col(table.request_sha256) == request_sha256, col(table.status) == "ok")
        .order_by(col(table.id).desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Call(**{f.name: row._mapping[f.name] for f in fields(Call)})


def save_call(connection: Connection, run_id: int | None, call: Call) -> int:
    """Add a call to the ledger."""
    numbers = {"latency_ms": call.latency_ms, "cost_usd": call.cost_usd}
    codec.finite(f"call of {call.model}", **numbers)
    row = {**asdict(call), "run_id": run_id, "created_at": codec.now()}
    return add_one(connection, tables.LlmCall, row)


def runs(connection: Connection) -> list[dict[str, Any]]:
    """Every run with its failures and what it spent, newest first.

    Tokens and cost are sums over the calls that say; None where there are calls and none of them does.
    """
    failures: dict[int, dict[str, int]] = defaultdict(dict)
    for run_id, reason, n in connection.execute(_FAILURES):
        failures[run_id][reason] = n
    spent = _spent(connection)
    nothing = {"llm_calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": None}
    rows = connection.execute(select(tables.Run).order_by(col(tables.Run.id).desc()))
    return [
        {
            "run_id": row.id,
            "run_key": row.run_key,
            "command": row.command,
            "state": row.state,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "seconds": _seconds(row.started_at, row.finished_at),
            "counts": json.loads(row.counts),
            "failures": failures.get(row.id, {}),
            **spent.get(row.id, nothing),
            "message": row.message,
        }
        for row in rows
    ]


def _spent(connection: Connection) -> dict[int, dict[str, Any]]:
    call = tables.LlmCall
    sums = (func.sum(c) for c in (call.prompt_tokens, call.completion_tokens, call.cost_usd))
    query = select(col(call.run_id), func.count(), *sums).group_by(col(call.run_id))
    names = ("llm_calls", "prompt_tokens", "completion_tokens", "cost_usd")
    return {
        run_id: dict(zip(names, numbers, strict=True))
        for run_id, *numbers in connection.execute(query)
        if run_id is not None
    }


def _seconds(started: str, finished: str | None) -> float | None:
    if finished is None:
        return None
    return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
