"""Imported simulations: on spans that the collection's corpus has."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.exchange.import_spans import Shown
from neuroexplain.catalogue.results.methods import method_id
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add, add_many, listed
from neuroexplain.errors import CatalogueError, ExchangeError
from neuroexplain.exchanged import SimulationRecord, SpanLevels

if TYPE_CHECKING:
    from neuroexplain.catalogue.exchange.import_results import Incoming

_X, _M = tables.Simulation, tables.Method
_KNOWN = Prepared(
    select(
        *(col(c) for c in (_X.id, _X.explanation_id, _X.split)),
        *(col(c) for c in (_M.plugin, _M.llm)),
    )
    .join(_M, col(_M.id) == col(_X.method_id))
    .where(col(_X.explanation_id).in_(listed("explanations")))
    .order_by(col(_X.id))
)


def save_simulations(
    connection: Connection,
    run_id: int,
    explanations: Sequence[tuple[int, Incoming]],
    spans: Mapping[Shown, int],
    counts: Counter[str],
) -> dict[tuple[Any, ...], int]:
    """Add simulations of what has not been simulated yet.

    One with a span that the corpus lacks is left out, and counted.

    Args:
        connection: in a transaction that holds the write lock.
        run_id: that imports.
        explanations: with their rows.
        spans: numbers in the corpus.
        counts: of what was done.

    Returns:
        Rows of all, by explanation, simulator, language model and split.

    Raises:
        ExchangeError: a level is not finite.
    """
    ids = json.dumps([row for row, _ in explanations])
    known = {
        (r.explanation_id, r.plugin, r.llm, r.split): r.id
        for r in _KNOWN(connection, explanations=ids)
    }
    new: dict[tuple[Any, ...], tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for explanation, entry in explanations:
        for record in entry.record.simulations:
            place = explanation, record.simulator, record.llm, record.split
            if place in known or place in new:
                continue
            if any(Shown.of(span, record.split) not in spans for span in record.spans):
                counts["simulations without their spans"] += 1
                continue
            new[place] = _row(connection, run_id, place[0], entry, record, spans)
    numbers = add_many(connection, _X, [row for row, _ in new.values()])
    counts["simulations"] += len(numbers)
    failures = [
        {"simulation_id": number, **failure}
        for number, (_, failed) in zip(numbers, new.values(), strict=True)
        for failure in failed
    ]
    add(connection, tables.SimulationFailure, failures)
    return known | dict(zip(new, numbers, strict=True))


def storable(value: Any, what: str) -> str:
    """JSON text.

    Raises:
        ExchangeError: it holds NaN or infinity.
    """
    try:
        return codec.to_json(value, what)
    except CatalogueError as error:
        raise ExchangeError(str(error)) from None


def _row(
    connection: Connection,
    run_id: int,
    explanation: int,
    entry: Incoming,
    record: SimulationRecord,
    spans: Mapping[Shown, int],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A simulation, and its failed spans."""
    placed = {spans[Shown.of(span, record.split)]: span for span in record.spans}
    worked = {n: s.expected for n, s in placed.items() if s.expected is not None}
    levels = np.concatenate([np.zeros(0, np.float32), *worked.values()])
    if not np.isfinite(levels).all():
        raise ExchangeError(f"simulation of {entry.neuron}: a level is not finite")
    storable(record.settings, f"settings of the simulation of {entry.neuron}")
    expected = codec.halves(levels)
    row = {
        "explanation_id": explanation,
        "key": _key(entry, record, expected),
        "split": record.split,
        "method_id": method_id(connection, record.simulator, record.llm, record.settings),
        "n": len(worked),
        "spans": codec.fixed(list(worked), 4),
        "expected": expected,
        "run_id": run_id,
        "created_ms": codec.now_ms(),
    }
    return row, list(_failed(placed))


def _key(entry: Incoming, record: SimulationRecord, expected: bytes) -> bytes:
    if record.key is not None:
        return codec.digest(record.key)
    what = (record.simulator, record.llm, record.split, dict(record.settings), expected.hex())
    content = json.dumps([entry.key.hex(), *what], sort_keys=True)
    return hashlib.sha256(content.encode()).digest()


def _failed(spans: Mapping[int, SpanLevels]) -> Iterator[dict[str, Any]]:
    for number, span in spans.items():
        if span.expected is None:
            yield {
                "span": number,
                "reason": span.reason or "not_told",
                "message": span.message or "",
                "raw_reply": span.raw_reply,
            }
