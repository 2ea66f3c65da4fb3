"""Imported scores: one for what an explanation has no score of yet."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.results.methods import measure_id, scorer_id
from neuroexplain.catalogue.searching.entries import ScoreEntry
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add_many, listed
from neuroexplain.errors import ExchangeError
from neuroexplain.exchanged import ScoreRecord
from neuroexplain.records import Score

if TYPE_CHECKING:
    from neuroexplain.catalogue.exchange.import_results import Incoming, Outcome

_S = tables.Score
_COLUMNS = tuple(f.name for f in fields(Score) if f.name != "scorer")
_SHARES = ("p_value", "coverage")
_KNOWN = Prepared(
    select(*(col(c) for c in (_S.explanation_id, _S.measure_id, _S.value)))
    .where(col(_S.explanation_id).in_(listed("explanations")))
    .order_by(col(_S.id))
)


def save_scores(
    connection: Connection,
    run_id: int,
    explanations: Sequence[tuple[int, Incoming]],
    simulations: Mapping[tuple[Any, ...], int],
    outcome: Outcome,
) -> list[ScoreEntry]:
    """Add scores; another value of what was scored already is a conflict.

    Args:
        connection: in a transaction that holds the write lock.
        run_id: that imports.
        explanations: with their rows.
        simulations: rows, by explanation, simulator, language model and split.
        outcome: takes counts and conflicts.

    Returns:
        Those on the test split, for the tables that searches use.

    Raises:
        ExchangeError: a number is not finite, or out of its range.
    """
    ids = json.dumps([row for row, _ in explanations])
    known = {
        (r.explanation_id, r.measure_id): r.value for r in _KNOWN(connection, explanations=ids)
    }
    rows, tested = [], []
    for explanation, entry in explanations:
        for record in entry.record.scores:
            _check(entry, record)
            scorer = scorer_id(connection, record.score.scorer)
            what = (record.simulator, record.llm, record.split)
            measure = measure_id(connection, scorer, *what)
            place = explanation, measure
            if place in known:
                if known[place] != record.score.value:
                    outcome.conflict(
                        f"score {record.score.scorer} of {entry.neuron}: the catalogue has {known[place]}, "
                        f"the file {record.score.value}"
                    )
                continue
            known[place] = record.score.value
            simulation = simulations.get((explanation, *what))
            rows.append(_row(entry, record, place, simulation, run_id))
            tested.append(scorer if record.split == "test" else None)
    numbers = add_many(connection, _S, rows)
    outcome.counts["scores"] += len(rows)
    return [
        ScoreEntry(scorer, row["explanation_id"], number, row["value"], row["p_value"])
        for number, row, scorer in zip(numbers, rows, tested, strict=True)
        if scorer is not None
    ]


def _row(
    entry: Incoming,
    record: ScoreRecord,
    place: tuple[int, int],
    simulation: int | None,
    run_id: int,
) -> dict[str, Any]:
    explanation, measure = place
    if record.key is None:
        content = json.dumps([entry.key.hex(), asdict(record)], sort_keys=True)
        key = hashlib.sha256(content.encode()).digest()
    else:
        key = codec.digest(record.key)
    return {
        "explanation_id": explanation,
        "simulation_id": simulation,
        "key": key,
        "measure_id": measure,
        **{name: getattr(record.score, name) for name in _COLUMNS},
        "run_id": run_id,
        "created_ms": codec.now_ms(),
    }


def _check(entry: Incoming, record: ScoreRecord) -> None:
    """Refuse what the table would refuse, in words."""
    score = record.score
    what = f"score {score.scorer} of {entry.neuron}"
    for name in _COLUMNS:
        value = getattr(score, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ExchangeError(f"{what}: {name} is {value}; undefined numbers are null")
        if name in _SHARES and value is not None and not 0 <= value <= 1:
            raise ExchangeError(f"{what}: {name} is {value}, wanted a number from 0 to 1")
    if (score.value is None) == (score.reason is None):
        raise ExchangeError(f"{what}: wanted a value, or the reason why there is none")
