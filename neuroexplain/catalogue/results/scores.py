"""Saving scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results.methods import measure_id, scorer_id
from neuroexplain.catalogue.searching.entries import ScoreEntry, forget_score, note_scores
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add_many
from neuroexplain.records import NeuronId, Score, Split

_NUMBERS = ("value", "ci_low", "ci_high", "null_mean", "null_own", "p_value", "floor", "coverage")


@dataclass(frozen=True)
class NewScores:
    """Scores of one simulation, or of texts about one explanation, that are to be saved."""

    explanation_id: int
    simulation_id: int | None
    """None where the subject ran on texts, and nothing was simulated."""
    key: str
    """Hash of everything that determines them."""
    split: Split
    scores: Sequence[Score]
    simulator: str
    """That predicted; of texts, where they come from."""
    llm: str | None
    """That the simulator asked, or that wrote the texts, if any."""


def save_scores(connection: Connection, run_id: int, entries: Sequence[NewScores]) -> list[None]:
    """Add scores. One that is there already, by key, explanation and scorer, is not added twice, but made the newest.

    Raises:
        CatalogueError: a number is not finite.
    """
    found = [row for entry in entries for row in _rows(connection, run_id, entry)]
    numbers = add_many(connection, _SCORE, [row for row, _ in found])
    newest = [
        ScoreEntry(scorer, row["explanation_id"], number, row["value"], row["p_value"])
        for number, (row, scorer) in zip(numbers, found, strict=True)
        if scorer is not None
    ]
    note_scores(connection, newest)
    return [None] * len(entries)


def _rows(
    connection: Connection, run_id: int, entry: NewScores
) -> list[tuple[dict[str, Any], int | None]]:
    """What has to be added of some scores; older rows that stand for the same are removed.

    Beside each row that of its scorer, where it is on the test split and so becomes the one that searches know.
    """
    newest = _NEWEST(connection, explanation=entry.explanation_id, split=entry.split)
    known = {row.name: row.key for row in newest}
    key, rows = codec.digest(entry.key), []
    for score in entry.scores:
        numbers = {name: getattr(score, name) for name in _NUMBERS}
        codec.finite(f"score {score.scorer} of explanation {entry.explanation_id}", **numbers)
        if known.get(score.scorer) == key:
            continue
        scorer = scorer_id(connection, score.scorer)
        row = {
            **{name: value for name, value in vars(score).items() if name != "scorer"},
            "explanation_id": entry.explanation_id,
            "simulation_id": entry.simulation_id,
            "key": key,
            "measure_id": measure_id(connection, scorer, entry.simulator, entry.llm, entry.split),
            "run_id": run_id,
            "created_ms": codec.now_ms(),
        }
        if known:
            same = {name: row[name] for name in ("key", "explanation_id", "measure_id")}
            forget_score(connection, scorer, entry.explanation_id)
            connection.execute(delete(_SCORE).filter_by(**same))
        rows.append((row, scorer if entry.split == "test" else None))
    return rows


_SCORE, _MEASURE, _SCORER = tables.Score, tables.Measure, tables.Scorer
_NEWEST = Prepared(
    select(col(_SCORER.name), col(_SCORE.key))
    .join(_MEASURE, col(_MEASURE.id) == col(_SCORE.measure_id))
    .join(_SCORER, col(_SCORER.id) == col(_MEASURE.scorer_id))
    .where(
        col(_SCORE.explanation_id) == bindparam("explanation"),
        col(_MEASURE.split) == bindparam("split"),
    )
    .order_by(col(_SCORE.id))
)


def newest_score_keys(connection: Connection, explanation_id: int, split: Split) -> dict[str, str]:
    """Keys of an explanation's newest scores, by scorer."""
    rows = _NEWEST(connection, explanation=explanation_id, split=split)
    return {row.name: row.key.hex() for row in rows}


def newest_scores(
    connection: Connection, collection: Collection, explainer: str, scorer: str, simulator: str
) -> dict[NeuronId, float]:
    """The newest defined scores of an explainer's explanations on the test split, by neuron."""
    explanation, neuron, method = tables.Explanation, tables.Neuron, tables.Method
    columns = (neuron.layer, neuron.idx, explanation.polarity, _SCORE.value)
    query = (
        select(*(col(c) for c in columns))
        .join(explanation, col(explanation.id) == col(_SCORE.explanation_id))
        .join(neuron, col(neuron.id) == col(explanation.neuron_id))
        .join(method, col(method.id) == col(explanation.method_id))
        .join(_MEASURE, col(_MEASURE.id) == col(_SCORE.measure_id))
        .join(_SCORER, col(_SCORER.id) == col(_MEASURE.scorer_id))
        .where(
            col(explanation.collection_id) == collection.id,
            col(method.plugin) == explainer,
            col(_SCORER.name) == scorer,
            col(_MEASURE.simulator) == simulator,
            col(_MEASURE.split) == "test",
            col(_SCORE.value).is_not(None),
        )
        .order_by(col(_SCORE.id))
    )
    name = collection.subject.name
    return {NeuronId(name, r.layer, r.idx, r.polarity): r.value for r in connection.execute(query)}
