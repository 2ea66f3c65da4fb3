"""Saving scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.rows import Prepared, add
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
    add(connection, tables.Score, [r for e in entries for r in _rows(connection, run_id, e)])
    return [None] * len(entries)


def _rows(connection: Connection, run_id: int, entry: NewScores) -> list[dict[str, Any]]:
    """What has to be added of some scores; older rows that stand for the same are removed."""
    newest = newest_score_keys(connection, entry.explanation_id, entry.split)
    rows = []
    for score in entry.scores:
        numbers = {name: getattr(score, name) for name in _NUMBERS}
        codec.finite(f"score {score.scorer} of explanation {entry.explanation_id}", **numbers)
        if newest.get(score.scorer) == entry.key:
            continue
        rows.append(
            {
                **vars(score),
                "explanation_id": entry.explanation_id,
                "simulation_id": entry.simulation_id,
                "key": entry.key,
                "simulator": entry.simulator,
                "llm": entry.llm,
                "split": entry.split,
                "run_id": run_id,
                "created_at": codec.now(),
            }
        )
        if newest:
            same = {name: rows[-1][name] for name in ("key", "explanation_id", "scorer")}
            connection.execute(delete(tables.Score).filter_by(**same))
    return rows


_SCORE = tables.Score
_NEWEST = Prepared(
    select(col(_SCORE.scorer), col(_SCORE.key))
    .where(
        col(_SCORE.explanation_id) == bindparam("explanation"),
        col(_SCORE.split) == bindparam("split"),
    )
    .order_by(col(_SCORE.id))
)


def newest_score_keys(connection: Connection, explanation_id: int, split: Split) -> dict[str, str]:
    """Keys of an explanation's newest scores, by scorer."""
    rows = _NEWEST(connection, explanation=explanation_id, split=split)
    return {row.scorer: row.key for row in rows}


def newest_scores(
    connection: Connection, collection: Collection, explainer: str, scorer: str, simulator: str
) -> dict[NeuronId, float]:
    """The newest defined scores of an explainer's explanations on the test split, by neuron."""
    explanation, neuron = tables.Explanation, tables.Neuron
    columns = (neuron.layer, neuron.idx, explanation.polarity, _SCORE.value)
    query = (
        select(*(col(c) for c in columns))
        .join(explanation, col(explanation.id) == col(_SCORE.explanation_id))
        .join(neuron, col(neuron.id) == col(explanation.neuron_id))
        .where(
            col(explanation.collection_id) == collection.id,
            col(explanation.explainer) == explainer,
            col(_SCORE.scorer) == scorer,
            col(_SCORE.simulator) == simulator,
            col(_SCORE.split) == "test",
            col(_SCORE.value).is_not(None),
        )
        .order_by(col(_SCORE.id))
    )
    name = collection.subject.name
    return {NeuronId(name, r.layer, r.idx, r.polarity): r.value for r in connection.execute(query)}
