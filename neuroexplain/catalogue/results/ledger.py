"""The ledger: every call of a language model that was paid for, and what servers were found to be able to do."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, cast, func, select, update
from sqlmodel import col

from neuroexplain.calls import Call, Reply
from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add_many, add_one

log = logging.getLogger(__name__)

_CALL, _SOURCE = tables.LlmCall, tables.LlmSource
_FIND = Prepared(
    select(
        # As bytes: a damaged text could not be read at all.
        cast(col(_CALL.reply), LargeBinary).label("reply"),
        *(
            col(c)
            for c in (
                _CALL.id,
                _CALL.finish_reason,
                _CALL.prompt_tokens,
                _CALL.completion_tokens,
                _CALL.cached_tokens,
                _CALL.reasoning_tokens,
                _CALL.latency_ms,
                _CALL.attempts,
                _CALL.served_model,
                _SOURCE.endpoint,
            )
        ),
    )
    .join(_SOURCE, col(_SOURCE.id) == col(_CALL.source_id))
    .where(
        col(_CALL.request) == bindparam("request"),
        col(_CALL.status) == "ok",
        col(_CALL.retired) == 0,
    )
    .order_by(col(_CALL.id).desc())
)
_FIND_SOURCE = Prepared(
    select(col(_SOURCE.id)).where(
        col(_SOURCE.model) == bindparam("model"), col(_SOURCE.endpoint) == bindparam("endpoint")
    )
)
_STAGES = (("explain",), ("revise",), ("simulate", "score", "repair"))
"""Purposes whose calls are mixed; those of another stage may have come in runs of their own."""


def find_reply(connection: Connection, request_sha256: str) -> Reply | None:
    """The newest good reply to a request; a row that was damaged counts as absent, and is reported."""
    for row in _FIND(connection, request=bytes.fromhex(request_sha256)):
        text = codec.read_text(row.reply)
        if text is None:
            log.warning("row %d of the ledger is damaged; its request is sent again", row.id)
            continue
        return Reply(
            text=text,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            cached_tokens=row.cached_tokens,
            reasoning_tokens=row.reasoning_tokens,
            latency_ms=row.latency_ms,
            finish_reason=row.finish_reason or "stop",
            cached=True,
            attempts=row.attempts,
            endpoint=row.endpoint,
            served_model=row.served_model,
        )
    return None


def save_calls(connection: Connection, run_id: int | None, calls: Sequence[Call]) -> list[int]:
    """Add calls to the ledger; returns their rows."""
    return add_many(connection, _CALL, [_row(connection, run_id, call) for call in calls])


def _row(connection: Connection, run_id: int | None, call: Call) -> dict[str, Any]:
    codec.finite(f"call of {call.model}", latency_ms=call.latency_ms)
    return {
        "request": bytes.fromhex(call.request_sha256),
        "prompt": bytes.fromhex(call.prompt_sha256),
        "source_id": source_id(connection, call.model, call.endpoint),
        "run_id": run_id,
        "purpose": call.purpose,
        "status": call.status,
        "retired": 0,
        "messages": codec.packed_text(call.messages),
        "reply": call.reply,
        "finish_reason": call.finish_reason,
        "error": call.error,
        "prompt_tokens": call.usage.prompt,
        "completion_tokens": call.usage.completion,
        "cached_tokens": call.usage.cached,
        "reasoning_tokens": call.usage.reasoning,
        "cost_nano": call.cost_nano,
        "latency_ms": call.latency_ms,
        "attempts": call.attempts,
        "served_model": call.served_model,
        "created_ms": now_ms(),
    }


def source_id(connection: Connection, model: str, endpoint: str) -> int:
    """Row of a place where calls go; added where there is none."""
    place = {"model": model, "endpoint": endpoint}
    known = _FIND_SOURCE(connection, **place)
    return int(known[0].id) if known else add_one(connection, _SOURCE, place)


def retire(connection: Connection, requests: Sequence[str]) -> int:
    """Keep replies to some requests, but answer the requests from them no more; returns how many."""
    table = tables.LlmCall
    place = (col(table.request) == bindparam("this"), col(table.retired) == 0)
    statement = update(table).where(*place).values(retired=1)
    return sum(
        connection.execute(statement, {"this": bytes.fromhex(sha256)}).rowcount
        for sha256 in requests
    )


def save_probe(
    connection: Connection,
    run_id: int | None,
    model: str,
    endpoint: str,
    capabilities: Mapping[str, Any],
) -> int:
    """Add what a server was found to be able to do."""
    row = {
        "run_id": run_id,
        "source_id": source_id(connection, model, endpoint),
        "capabilities": codec.to_json(capabilities, "capabilities of a server"),
        "created_ms": now_ms(),
    }
    return add_one(connection, tables.LlmProbe, row)


def probes(connection: Connection, run_id: int | None = None) -> list[dict[str, Any]]:
    """What servers were found to be able to do, newest first; in one run, or in all."""
    table, source = tables.LlmProbe, tables.LlmSource
    query = (
        select(table, col(source.model), col(source.endpoint))
        .join(source, col(source.id) == col(table.source_id))
        .order_by(col(table.id).desc())
    )
    if run_id is not None:
        query = query.where(col(table.run_id) == run_id)
    return [
        {
            "run_id": row.run_id,
            "model": row.model,
            "endpoint": row.endpoint,
            **json.loads(row.capabilities),
        }
        for row in connection.execute(query)
    ]


def lengths(connection: Connection, model: str) -> dict[str, dict[str, float]]:
    """What good calls of a model took on average, by purpose, over the newest 10,000 of each stage.

    `n`, `prompt_tokens`, `completion_tokens`, `cached_tokens`, `latency_ms`: means; absent where no call says.
    """
    columns = ("prompt_tokens", "completion_tokens", "cached_tokens", "latency_ms")
    found = {}
    for purposes in _STAGES:
        newest = _newest(model, purposes).limit(10_000).subquery()
        means = (func.avg(newest.c[name]) for name in columns)
        query = select(newest.c.purpose, func.count(), *means).group_by(newest.c.purpose)
        for purpose, n, *values in connection.execute(query):
            told = zip(columns, values, strict=True)
            found[purpose] = {"n": float(n)} | {k: float(v) for k, v in told if v is not None}
    return found


def sample(connection: Connection, model: str, at_most: int) -> list[tuple[str, str, int]]:
    """The newest good calls of a model that say how long their prompts were, so many of each stage.

    Damaged rows are left out.

    Returns:
        Purpose, messages as JSON, prompt tokens.
    """
    found = []
    for purposes in _STAGES:
        query = (
            _newest(model, purposes)
            .where(col(_CALL.prompt_tokens).is_not(None))
            .with_only_columns(col(_CALL.purpose), col(_CALL.messages), col(_CALL.prompt_tokens))
            .limit(at_most)
        )
        for purpose, messages, tokens in connection.execute(query):
            with suppress(zlib.error, ValueError):
                found.append((purpose, codec.unpacked_text(messages), int(tokens)))
    return found


def _newest(model: str, purposes: Sequence[str]) -> Any:
    """Selects the good calls of a model for some purposes, the newest first."""
    source = select(col(_SOURCE.id)).where(col(_SOURCE.model) == model)
    return (
        select(_CALL)
        .where(
            col(_CALL.source_id).in_(source),
            col(_CALL.status) == "ok",
            col(_CALL.purpose).in_(purposes),
        )
        .order_by(col(_CALL.id).desc())
    )


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
