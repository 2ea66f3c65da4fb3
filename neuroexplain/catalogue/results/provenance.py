"""Where an explanation comes from: its method, its run, the calls that were paid for, and what it was edited from."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, cast, func, or_, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.results.runs import same_key
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.errors import AbsentError
from neuroexplain.records import NeuronId

_E, _M, _RUN = tables.Explanation, tables.Method, tables.Run
_N, _S = tables.Neuron, tables.Subject
_CALL, _SOURCE = tables.LlmCall, tables.LlmSource
_CALLS_SHOWN = 8
"""Of a prompt that was sent several times."""
_NEAR = 20_000
"""Calls before an explanation among which its own is sought first."""
_CALL_AT = Prepared(
    select(col(_CALL.id), col(_CALL.created_ms))
    .where(col(_CALL.id) >= bindparam("number"))
    .order_by(col(_CALL.id))
    .limit(1)
)
_PLAIN = ("purpose", "status", "finish_reason", "error", "prompt_tokens", "completion_tokens",
          "cached_tokens", "reasoning_tokens", "latency_ms", "attempts", "served_model", "run_id")  # fmt: skip


@dataclass(frozen=True)
class PaidCall:
    """A call of the ledger."""

    model: str
    endpoint: str
    """Base URL; empty where the model ran in process."""
    request_sha256: str
    """Of all that decides the reply."""
    messages: tuple[Mapping[str, Any], ...] | None
    """The rendered prompt, with `role` and `content`; None where the row is damaged."""
    reply: str | None
    cost_usd: float | None
    """None where no price or no token count is known."""
    created_at: str
    purpose: str
    status: str
    finish_reason: str | None
    error: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    latency_ms: float
    attempts: int
    served_model: str | None
    run_id: int | None


@dataclass(frozen=True)
class Ancestor:
    """An explanation that another one revises."""

    id: int
    text: str
    explainer: str
    llm: str | None
    created_at: str


@dataclass(frozen=True)
class Provenance:
    """All that led to an explanation, or to the record of why there is none."""

    id: int
    neuron: NeuronId
    text: str
    """Empty where it failed."""
    key: str
    """SHA-256 in hex, of all that decides it."""
    explainer: str
    llm: str | None
    settings: Mapping[str, Any]
    """Of the explainer."""
    template_sha256: str | None
    """Of the prompt's template; None where nobody was asked."""
    prompt_sha256: str | None
    """Of the rendered prompt."""
    status: str
    reason: str | None
    message: str | None
    raw_reply: str | None
    """Kept here where it could not be used; those that could are in `calls`."""
    created_at: str
    run_id: int
    command: str
    run_started_at: str
    versions: Mapping[str, Any]
    """Of the packages that the run used."""
    ancestors: tuple[Ancestor, ...]
    """What it revises, what that revises, …"""
    calls: tuple[PaidCall, ...] = ()
    """With its prompt, the newest first."""
    calls_cut: bool = False
    """Whether the ledger was not read to its end for want of time."""


_ONE = Prepared(
    select(
        *(col(c) for c in (_E.id, _E.key, _E.prompt_sha256, _E.text, _E.status, _E.reason)),
        *(col(c) for c in (_E.message, _E.raw_reply, _E.parent_id, _E.run_id, _E.created_ms)),
        *(col(c) for c in (_M.plugin, _M.llm, _M.settings, _M.template_sha256)),
        *(col(c) for c in (_RUN.command, _RUN.started_at, _RUN.versions)),
        *(col(c) for c in (_S.name, _N.layer, _N.idx, _E.polarity)),
    )
    .join(_N, col(_N.id) == col(_E.neuron_id))
    .join(_S, col(_S.id) == col(_N.subject_id))
    .join(_M, col(_M.id) == col(_E.method_id))
    .join(_RUN, col(_RUN.id) == col(_E.run_id))
    .where(col(_E.id) == bindparam("number"))
)


def provenance(connection: Connection, number: int) -> Provenance:
    """Of an explanation, all but its calls: those may take long to find.

    Raises:
        AbsentError: there is no such explanation.
    """
    rows = _ONE(connection, number=number)
    if not rows:
        raise AbsentError(f"no explanation {number} in this catalogue")
    (row,) = rows
    return Provenance(
        id=row.id,
        neuron=NeuronId(row.name, row.layer, row.idx, row.polarity),
        text=row.text,
        key=row.key.hex(),
        explainer=row.plugin,
        llm=row.llm,
        settings=json.loads(row.settings),
        template_sha256=row.template_sha256,
        prompt_sha256=None if row.prompt_sha256 is None else row.prompt_sha256.hex(),
        status=row.status,
        reason=row.reason,
        message=row.message,
        raw_reply=row.raw_reply,
        created_at=codec.iso(row.created_ms),
        run_id=row.run_id,
        command=row.command,
        run_started_at=row.started_at,
        versions=json.loads(row.versions),
        ancestors=_ancestors(connection, row.parent_id),
    )


def _ancestors(connection: Connection, parent: int | None) -> tuple[Ancestor, ...]:
    found: list[Ancestor] = []
    while parent is not None and (rows := _ONE(connection, number=parent)):
        (row,) = rows
        found.append(Ancestor(row.id, row.text, row.plugin, row.llm, codec.iso(row.created_ms)))
        parent = row.parent_id  # always an older row
    return tuple(found)


def calls(connection: Connection, found: Provenance) -> tuple[PaidCall, ...]:
    """Calls with an explanation's prompt, of its run or to its model: replies that were paid for earlier are used again.

    Nothing lists calls by their prompt. But they are in the order of time, and an explanation is saved soon after its call;
    so what came right before it is looked at first, and the whole ledger only where that was not it.
    """
    if found.prompt_sha256 is None:
        return ()
    # The ledger's name of a model is what the user wrote, and behind an @ where it is.
    beginning = f"{found.llm}@"
    asked = func.substr(col(_SOURCE.model), 1, len(beginning)) == beginning
    statement = (
        select(
            *(col(getattr(_CALL, name)) for name in (*_PLAIN, "request", "messages")),
            *(col(c) for c in (_CALL.cost_nano, _CALL.created_ms, _SOURCE.model, _SOURCE.endpoint)),
            # As bytes: a damaged text could not be read at all.
            cast(col(_CALL.reply), LargeBinary).label("reply"),
        )
        .join(_SOURCE, col(_SOURCE.id) == col(_CALL.source_id))
        .where(
            col(_CALL.prompt) == bytes.fromhex(found.prompt_sha256),
            or_(asked, col(_CALL.run_id).in_(same_key(found.run_id))),
        )
        .order_by(col(_CALL.id).desc())
        .limit(_CALLS_SHOWN)
    )
    last = _last_before(connection, found.created_at)
    near = statement.where(col(_CALL.id).between(last - _NEAR, last))
    rows = connection.execute(near).all() or connection.execute(statement).all()
    return tuple(_call(row) for row in rows)


def _last_before(connection: Connection, moment: str) -> int:
    """Row of the last call up to a time, as ISO text; 0 where there is none."""
    ms = 1000 * datetime.fromisoformat(moment).timestamp()
    low, high = 0, int(connection.scalar(select(func.max(col(_CALL.id)))) or 0)
    while low < high:  # calls up to `low` are not later, those behind `high` are
        middle = (low + high + 1) // 2
        ((number, created),) = _CALL_AT(connection, number=middle)
        if created <= ms:
            low = int(number)
        else:
            high = middle - 1
    return low


def _call(row: Any) -> PaidCall:
    return PaidCall(
        model=row.model,
        endpoint=row.endpoint,
        request_sha256=row.request.hex(),
        messages=_messages(row.messages),
        reply=codec.read_text(row.reply),
        cost_usd=None if row.cost_nano is None else row.cost_nano / 1e9,
        created_at=codec.iso(row.created_ms),
        **{name: getattr(row, name) for name in _PLAIN},
    )


def _messages(stored: bytes) -> tuple[Mapping[str, Any], ...] | None:
    try:
        return tuple(json.loads(codec.unpacked_text(stored)))
    except (zlib.error, ValueError):
        return None
