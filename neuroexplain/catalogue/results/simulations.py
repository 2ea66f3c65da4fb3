"""Saving and finding simulations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.results.methods import method_id
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add, add_many
from neuroexplain.errors import CatalogueError
from neuroexplain.records import Failure, Simulation, SpanSimulation, Split


@dataclass(frozen=True)
class NewSimulation:
    """A simulation that is to be saved, with its failed spans."""

    explanation_id: int
    key: str
    """Hash of everything that determines it."""
    split: Split
    simulation: Simulation


def save_simulations(
    connection: Connection, run_id: int, entries: Sequence[NewSimulation]
) -> list[int]:
    """Add simulations; returns their rows.

    Raises:
        CatalogueError: a level is not finite.
    """
    rows = [_row(connection, run_id, entry) for entry in entries]
    numbers = add_many(connection, tables.Simulation, rows)
    failures = (
        {"simulation_id": number, "span": span.span.span, **codec.failure(span.failure)}
        for number, entry in zip(numbers, entries, strict=True)
        for span in entry.simulation.spans
        if span.failure is not None
    )
    add(connection, tables.SimulationFailure, failures)
    return numbers


def _row(connection: Connection, run_id: int, entry: NewSimulation) -> dict[str, Any]:
    simulation = entry.simulation
    worked = [(s.span.span, s.expected) for s in simulation.spans if s.expected is not None]
    joined = np.concatenate([np.zeros(0, np.float32), *(levels for _, levels in worked)])
    if not np.isfinite(joined).all():
        wrong = next(span for span, levels in worked if not np.isfinite(levels).all())
        raise CatalogueError(
            f"simulation of span {wrong}: level is not finite; undefined numbers are stored as None with a reason"
        )
    return {
        "explanation_id": entry.explanation_id,
        "key": codec.digest(entry.key),
        "split": entry.split,
        "method_id": method_id(
            connection, simulation.simulator, simulation.llm, simulation.settings
        ),
        "n": len(worked),
        "spans": codec.fixed([span for span, _ in worked], 4),
        "expected": codec.halves(joined),
        "run_id": run_id,
        "created_ms": codec.now_ms(),
    }


@dataclass(frozen=True)
class KnownSimulation:
    """A simulation that the catalogue holds."""

    number: int
    """Row in the catalogue."""
    reasons: frozenset[str] = frozenset()
    """Why spans of it failed; empty where none did."""
    empty: bool = False
    """Whether all of them did."""


def known_simulations(connection: Connection, keys: Sequence[str]) -> dict[str, KnownSimulation]:
    """The newest simulations of some keys, those without failed spans first."""
    table, failure = tables.Simulation, tables.SimulationFailure
    named = {codec.digest(key): key for key in keys}
    query = (
        select(col(table.key), col(table.id), col(table.n), col(failure.reason))
        .outerjoin(failure, col(failure.simulation_id) == col(table.id))
        .where(col(table.key).in_(list(named)))
        .order_by(col(table.id))
        .distinct()
    )
    found: dict[str, dict[int, KnownSimulation]] = {}
    for key, number, n, reason in connection.execute(query):
        versions = found.setdefault(named[key], {})
        before = versions.get(number, KnownSimulation(number))
        reasons = before.reasons if reason is None else before.reasons | {reason}
        versions[number] = KnownSimulation(number, reasons, bool(reasons) and n == 0)
    return {
        key: max(versions.values(), key=lambda v: (not v.reasons, v.number))
        for key, versions in found.items()
    }


def _build_simulation() -> Select[*tuple[Any, ...]]:
    table, explanation, collection = tables.Simulation, tables.Explanation, tables.Collection
    method = tables.Method
    columns = (method.plugin, method.llm, method.settings, table.spans, table.expected)
    return (
        select(*(col(c) for c in columns), col(collection.corpus_id))
        .join(method, col(method.id) == col(table.method_id))
        .join(explanation, col(explanation.id) == col(table.explanation_id))
        .join(collection, col(collection.id) == col(explanation.collection_id))
        .where(col(table.id) == bindparam("number"))
    )


_BY_NUMBER = Prepared(_build_simulation())
_FAILED = Prepared(
    select(tables.SimulationFailure).where(
        col(tables.SimulationFailure.simulation_id) == bindparam("number")
    )
)


def simulation(connection: Connection, spans: SpanReader, number: int) -> Simulation:
    """A simulation by its row, with its failed spans.

    Raises:
        CatalogueError: there is no such row.
    """
    found = _BY_NUMBER(connection, number=number)
    if not found:
        raise CatalogueError(f"the catalogue has no simulation {number}")
    (row,) = found
    return Simulation(
        simulator=row.plugin,
        spans=(
            *simulated(connection, spans, row.corpus_id, row),
            *unsimulated(connection, spans, row.corpus_id, number),
        ),
        llm=row.llm,
        settings=json.loads(row.settings),
    )


def unsimulated(
    connection: Connection, spans: SpanReader, corpus_id: int, simulation_id: int
) -> tuple[SpanSimulation, ...]:
    """The failed spans of a simulation."""
    rows = _FAILED(connection, number=simulation_id)
    found = spans.read(connection, corpus_id, [row.span for row in rows])
    return tuple(
        SpanSimulation(
            found[row.span], None, Failure("simulate", row.reason, row.message, row.raw_reply)
        )
        for row in rows
    )


def simulated(
    connection: Connection, spans: SpanReader, corpus_id: int, row: Any
) -> tuple[SpanSimulation, ...]:
    """The spans of a simulation's row that worked."""
    numbers = codec.unfixed(row.spans, 4).tolist()
    found = spans.read(connection, corpus_id, numbers)
    levels = codec.split(codec.unhalves(row.expected), [len(found[n]) for n in numbers])
    return tuple(
        SpanSimulation(found[n], expected) for n, expected in zip(numbers, levels, strict=True)
    )
