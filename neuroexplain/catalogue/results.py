"""Saving and finding explanations, simulations, scores and n-grams."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.rows import Prepared, add, add_one
from neuroexplain.catalogue.spans import SpanReader
from neuroexplain.errors import CatalogueError
from neuroexplain.records import (
    Explanation,
    Failure,
    NeuronId,
    Ngram,
    Score,
    Simulation,
    SpanSimulation,
    Split,
)

_EXPLANATION, _SIMULATION = tables.Explanation, tables.Simulation
_NUMBERS = ("value", "ci_low", "ci_high", "null_mean", "null_own", "p_value", "floor", "coverage")


def save_explanation(
    connection: Connection,
    run_id: int,
    collection_id: int,
    neuron_id: int,
    key: str,
    explanation: Explanation,
    parent_id: int | None,
) -> int:
    """Add an explanation or the record of a failed one; the same failure once more is not added again."""
    codec.finite(f"explanation of {explanation.neuron}", scale=explanation.scale)
    failure, data = explanation.failure, explanation.data
    row = {
        "key": key,
        "collection_id": collection_id,
        "neuron_id": neuron_id,
        "polarity": explanation.neuron.polarity,
        "explainer": explanation.explainer,
        "llm": explanation.llm,
        "settings": codec.to_json(explanation.settings, "settings of the explainer"),
        "template_sha256": explanation.template_sha256,
        "prompt_sha256": explanation.prompt_sha256,
        "text": explanation.text,
        "data": None if data is None else codec.to_json(data, "data of the explanation"),
        "scale": float(explanation.scale),
        "status": explanation.status,
        **_failure(failure),
        "parent_id": parent_id,
        "run_id": run_id,
        "created_at": codec.now(),
    }
    if failure is not None:
        table = tables.Explanation
        same = [
            col(getattr(table, k)) == codec.clean(row[k])
            for k in ("key", "reason", "message", "raw_reply")
        ]
        known = connection.scalar(select(col(table.id)).where(*same).limit(1))
        if known is not None:
            return known
    return add_one(connection, tables.Explanation, row)


def _failure(failure: Failure | None) -> dict[str, Any]:
    names = ("reason", "message", "raw_reply")
    return {name: None if failure is None else getattr(failure, name) for name in names}


def superseded(table: type[tables.Explanation]) -> ColumnElement[bool]:
    """Whether an explanation of the same key replaces a row: a later one, or a good one if the row is a failure."""
    other = aliased(tables.Explanation)
    later = and_(col(other.status) == col(table.status), col(other.id) > col(table.id))
    better = and_(col(other.status) == "ok", col(table.status) == "failed")
    return exists().where(col(other.key) == col(table.key), or_(later, better))


def find_explanations(
    connection: Connection, *conditions: ColumnElement[bool]
) -> list[tuple[int, Explanation]]:
    """Good explanations that meet the conditions, the newest of every key, by id."""
    table = tables.Explanation
    query = _explanations().where(col(table.status) == "ok", ~superseded(table), *conditions)
    return [
        (row.id, _explanation(row)) for row in connection.execute(query.order_by(col(table.id)))
    ]


_KNOWN = (
    select(col(_EXPLANATION.key), func.max(col(_EXPLANATION.id)))
    .where(
        col(_EXPLANATION.key).in_(bindparam("keys", expanding=True)),
        col(_EXPLANATION.status) == "ok",
    )
    .group_by(col(_EXPLANATION.key))
)


def known_explanations(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """Rows of the newest good explanations of some keys."""
    return {key: number for key, number in connection.execute(_KNOWN, {"keys": list(keys)})}


@dataclass(frozen=True)
class KnownSimulation:
    """A simulation that the catalogue holds."""

    number: int
    """Row in the catalogue."""
    reasons: frozenset[str] = frozenset()
    """Why spans of it failed; empty where none did."""


def known_simulations(connection: Connection, keys: Sequence[str]) -> dict[str, KnownSimulation]:
    """The newest simulations of some keys, those without failed spans first."""
    table, failure = tables.Simulation, tables.SimulationFailure
    query = (
        select(col(table.key), col(table.id), col(failure.reason))
        .outerjoin(failure, col(failure.simulation_id) == col(table.id))
        .where(col(table.key).in_(keys))
        .order_by(col(table.id))
        .distinct()
    )
    found: dict[str, dict[int, set[str]]] = {}
    for key, number, reason in connection.execute(query):
        reasons = found.setdefault(key, {}).setdefault(number, set())
        if reason is not None:
            reasons.add(reason)
    return {
        key: KnownSimulation(*max(versions.items(), key=lambda v: (not v[1], v[0])))
        for key, versions in ((k, {n: frozenset(r) for n, r in v.items()}) for k, v in found.items())
    }


@dataclass(frozen=True)
class ExplanationRef:
    """Which explanation: enough to choose by, without its text and data."""

    number: int
    """Row in the catalogue."""
    neuron: NeuronId
    explainer: str
    llm: str | None
    key: str
    """Hash of everything that determines it."""
    made_by: str
    """Settings and prompt that it was written with; equal for those that can be compared."""


def explainers(
    connection: Connection, collection_id: int, layer: int | None = None
) -> dict[str, int]:
    """Explainers of the good explanations from a collection, and how many there are of each."""
    table, neuron = tables.Explanation, tables.Neuron
    query = (
        select(col(table.explainer), func.count(func.distinct(col(table.key))))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .where(col(table.collection_id) == collection_id, col(table.status) == "ok")
        .group_by(col(table.explainer))
    )
    if layer is not None:
        query = query.where(col(neuron.layer) == layer)
    return {name: n for name, n in connection.execute(query)}


def explanation_refs(
    connection: Connection, collection_id: int, layer: int | None = None
) -> list[ExplanationRef]:
    """Every good explanation from a collection, or from a layer of it, the newest of every key, by row."""
    table, neuron, subject = tables.Explanation, tables.Neuron, tables.Subject
    columns = (
        *(table.id, subject.name, neuron.layer, neuron.idx, table.polarity, table.explainer),
        *(table.llm, table.key, table.settings, table.template_sha256),
    )
    query = (
        select(*(col(c) for c in columns))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .join(subject, col(subject.id) == col(neuron.subject_id))
        .where(
            col(table.collection_id) == collection_id, col(table.status) == "ok", ~superseded(table)
        )
        .order_by(col(table.id))
    )
    if layer is not None:
        query = query.where(col(neuron.layer) == layer)
    return [
        ExplanationRef(
            number=r.id,
            neuron=NeuronId(r.name, r.layer, r.idx, r.polarity),
            explainer=r.explainer,
            llm=r.llm,
            key=r.key,
            made_by=f"{r.settings} {r.template_sha256 or ''}",
        )
        for r in connection.execute(query)
    ]


def _explanations() -> Select[*tuple[Any, ...]]:
    table, neuron, subject = tables.Explanation, tables.Neuron, tables.Subject
    return (
        select(table, col(subject.name), col(neuron.layer), col(neuron.idx))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .join(subject, col(subject.id) == col(neuron.subject_id))
    )


def _explanation(row: Row[Any]) -> Explanation:
    return Explanation(
        neuron=NeuronId(row.name, row.layer, row.idx, row.polarity),
        explainer=row.explainer,
        text=row.text,
        scale=row.scale,
        data=None if row.data is None else json.loads(row.data),
        llm=row.llm,
        settings=json.loads(row.settings),
        template_sha256=row.template_sha256,
        prompt_sha256=row.prompt_sha256,
    )


def save_simulation(
    connection: Connection,
    run_id: int,
    explanation_id: int,
    key: str,
    split: Split,
    simulation: Simulation,
) -> int:
    """Add a simulation with its failed spans."""
    spans, expected, failures = [], [], []
    for entry in simulation.spans:
        if entry.expected is not None:
            for level in (entry.expected.min(initial=0), entry.expected.max(initial=0)):
                codec.finite(f"simulation of span {entry.span.span}", level=float(level))
            spans.append(entry.span.span)
            expected.append(entry.expected)
        if entry.failure is not None:
            failures.append({"span": entry.span.span, **_failure(entry.failure)})
    row = {
        "explanation_id": explanation_id,
        "key": key,
        "split": split,
        "simulator": simulation.simulator,
        "llm": simulation.llm,
        "settings": codec.to_json(simulation.settings, "settings of the simulator"),
        "n": len(spans),
        "spans": codec.fixed(spans, 4),
        "expected": codec.halves(np.concatenate(expected) if expected else []),
        "run_id": run_id,
        "created_at": codec.now(),
    }
    simulation_id = add_one(connection, tables.Simulation, row)
    rows = ({"simulation_id": simulation_id, **failure} for failure in failures)
    add(connection, tables.SimulationFailure, rows)
    return simulation_id


def find_simulation(
    connection: Connection, spans: SpanReader, key: str, partial: bool = False
) -> tuple[int, Simulation] | None:
    """The newest simulation of a key in which no span failed; with `partial`, else the newest at all."""
    table, failure = tables.Simulation, tables.SimulationFailure
    failed = exists().where(col(failure.simulation_id) == col(table.id))
    query = select(table, failed.label("failed")).where(col(table.key) == key)
    if not partial:
        query = query.where(~failed)
    row: Any = connection.execute(
        query.order_by(failed, col(table.id).desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    corpus_id = _corpus_of(connection, row.explanation_id)
    worked = simulated(connection, spans, corpus_id, row)
    return row.id, Simulation(
        simulator=row.simulator,
        spans=worked + (unsimulated(connection, spans, corpus_id, row.id) if row.failed else ()),
        llm=row.llm,
        settings=json.loads(row.settings),
    )


def simulation(
    connection: Connection, spans: SpanReader, number: int
) -> Simulation:
    """A simulation by its row, with its failed spans.

    Raises:
        CatalogueError: there is no such row.
    """
    table = tables.Simulation
    row = connection.execute(select(table).where(col(table.id) == number)).one_or_none()
    if row is None:
        raise CatalogueError(f"the catalogue has no simulation {number}")
    corpus_id = _corpus_of(connection, row.explanation_id)
    worked = simulated(connection, spans, corpus_id, row)
    return Simulation(
        simulator=row.simulator,
        spans=worked + unsimulated(connection, spans, corpus_id, number),
        llm=row.llm,
        settings=json.loads(row.settings),
    )


def _corpus_of(connection: Connection, explanation_id: int) -> int:
    explanation, collection = tables.Explanation, tables.Collection
    query = (
        select(col(collection.corpus_id))
        .join(explanation, col(explanation.collection_id) == col(collection.id))
        .where(col(explanation.id) == explanation_id)
    )
    return int(connection.execute(query).scalar_one())


def unsimulated(
    connection: Connection, spans: SpanReader, corpus_id: int, simulation_id: int
) -> tuple[SpanSimulation, ...]:
    """The failed spans of a simulation."""
    table = tables.SimulationFailure
    rows = connection.execute(select(table).where(col(table.simulation_id) == simulation_id)).all()
    found = spans.read(connection, corpus_id, [row.span for row in rows])
    return tuple(
        SpanSimulation(
            found[row.span], None, Failure("simulate", row.reason, row.message, row.raw_reply)
        )
        for row in rows
    )


def simulated(
    connection: Connection, spans: SpanReader, corpus_id: int, row: Row[Any]
) -> tuple[SpanSimulation, ...]:
    """The spans of a simulation's row that worked."""
    numbers = codec.unfixed(row.spans, 4).tolist()
    found = spans.read(connection, corpus_id, numbers)
    levels = codec.split(codec.unhalves(row.expected), [len(found[n]) for n in numbers])
    return tuple(
        SpanSimulation(found[n], expected) for n, expected in zip(numbers, levels, strict=True)
    )


def save_scores(
    connection: Connection,
    run_id: int,
    explanation_id: int,
    simulation_id: int,
    key: str,
    split: Split,
    scores: Sequence[Score],
    simulation: Simulation,
) -> None:
    """Add scores. One that is there already, by key, explanation and scorer, is not added twice, but made the newest."""
    newest = newest_score_keys(connection, explanation_id, split)
    rows = []
    for score in scores:
        numbers = {name: getattr(score, name) for name in _NUMBERS}
        codec.finite(f"score {score.scorer} of explanation {explanation_id}", **numbers)
        if newest.get(score.scorer) == key:
            continue
        rows.append(
            {
                **vars(score),
                "explanation_id": explanation_id,
                "simulation_id": simulation_id,
                "key": key,
                "simulator": simulation.simulator,
                "llm": simulation.llm,
                "split": split,
                "run_id": run_id,
                "created_at": codec.now(),
            }
        )
        if newest:
            same = {name: rows[-1][name] for name in ("key", "explanation_id", "scorer")}
            connection.execute(delete(tables.Score).filter_by(**same))
    add(connection, tables.Score, rows)


_SCORE = tables.Score
_NEWEST = Prepared(
    select(col(_SCORE.scorer), col(_SCORE.key))
    .where(
        col(_SCORE.explanation_id) == bindparam("explanation"),
        col(_SCORE.split) == bindparam("split"),
    )
    .order_by(col(_SCORE.id))
)


def newest_score_keys(
    connection: Connection, explanation_id: int, split: Split
) -> dict[str, str]:
    """Keys of an explanation's newest scores, by scorer."""
    rows = _NEWEST(connection, explanation=explanation_id, split=split)
    return {row.scorer: row.key for row in rows}


def save_ngrams(
    connection: Connection,
    collection: Collection,
    neuron_id: int,
    polarity: int,
    ngrams: Sequence[Ngram],
) -> None:
    """Replace the n-grams of a neuron's polarity."""
    place = {"neuron_id": neuron_id, "collection_id": collection.id, "polarity": polarity}
    connection.execute(delete(tables.Ngram).filter_by(**place))
    rows = []
    for rank, ngram in enumerate(ngrams):
        numbers = {"mean_response": ngram.mean_response, "max_response": ngram.max_response}
        codec.finite(f"n-gram {ngram.text!r}", **numbers)
        rows.append({**place, "rank": rank, "ngram": ngram.text, **numbers, "count": ngram.count})
    add(connection, tables.Ngram, rows)
