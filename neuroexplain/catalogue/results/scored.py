"""What a run's explanations are worth, as columns: explanations, and their newest scores on the test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, func, or_, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.results import runs as runs_
from neuroexplain.catalogue.results.live import superseded
from neuroexplain.catalogue.storage.columns import ColumnKind, Floats64, Integers, Names, read

_E, _N, _S = tables.Explanation, tables.Neuron, tables.Score
_METHOD, _MEASURE, _SCORER = tables.Method, tables.Measure, tables.Scorer


@dataclass(frozen=True, eq=False)
class ExplanationColumns:
    """Explanations and the records of failed ones that nothing supersedes, by row of the catalogue."""

    number: Integers
    """[explanation]; row in the catalogue, ascending."""
    neuron: Integers
    """Row of the neuron."""
    layer: Integers
    index: Integers
    polarity: Integers
    run: Integers
    """Run that wrote it."""
    explainer: Names
    llm: Names
    failure: Names
    """Reason; None where there is an explanation."""
    text: list[str]

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True, eq=False)
class ScoreColumns:
    """Scores on the test split, of every explanation the newest by scorer, simulator and its language model.

    NaN among the numbers is a NULL of the catalogue.
    """

    explanation: Integers
    """[score]; place among the explanations."""
    simulation: Integers
    """Row of the simulation; 0 where there is none."""
    run: Integers
    scorer: Names
    simulator: Names
    llm: Names
    """Of the simulator."""
    value: Floats64
    reason: Names
    ci_low: Floats64
    ci_high: Floats64
    null_mean: Floats64
    null_own: Floats64
    null_n: Integers
    null_reason: Names
    p_value: Floats64
    floor: Floats64
    n_tokens: Integers
    n_nonzero: Integers
    coverage: Floats64

    def __len__(self) -> int:
        return len(self.explanation)


@dataclass(frozen=True, eq=False)
class Scored:
    """Explanations with their scores."""

    explanations: ExplanationColumns
    scores: ScoreColumns

    def kept(self, mask: NDArray[np.bool_]) -> Scored:
        """Only some explanations, [explanation], and the scores of these."""
        inside = mask[self.scores.explanation]
        scores = _at(self.scores, inside)
        places = np.cumsum(mask) - 1
        moved = {f.name: getattr(scores, f.name) for f in fields(ScoreColumns)}
        moved["explanation"] = places[scores.explanation]
        return Scored(_at(self.explanations, mask), ScoreColumns(**moved))

    def of_scores(self, mask: NDArray[np.bool_]) -> Scored:
        """Only some scores, [score], with all explanations."""
        return Scored(self.explanations, _at(self.scores, mask))


_EXPLANATIONS: dict[str, ColumnKind] = {
    **dict.fromkeys(("number", "neuron", "layer", "index", "polarity", "run"), "integer"),
    **dict.fromkeys(("explainer", "llm", "failure"), "name"),
    "text": "text",
}
_SCORES: dict[str, ColumnKind] = {
    **{f.name: "number" for f in fields(ScoreColumns)},
    **dict.fromkeys(
        ("explanation", "simulation", "run", "null_n", "n_tokens", "n_nonzero"), "integer"
    ),
    **dict.fromkeys(("scorer", "simulator", "llm", "reason", "null_reason"), "name"),
}


def scored(connection: Connection, collection_id: int, run_ids: Sequence[int] | None) -> Scored:
    """A collection's explanations and their scores.

    Args:
        connection: a reading transaction.
        collection_id: row of the collection.
        run_ids: only explanations that these runs wrote or scored, with the scores that they made; where they made
            none, as a run that only explains, with the scores of others. None is whatever run.
    """
    own = col(_E.collection_id) == collection_id
    theirs = made = own
    if run_ids is not None:
        written, made = col(_E.run_id).in_(run_ids), col(_S.run_id).in_(run_ids)
        by_them = select(col(_S.explanation_id)).where(made, _on_test())
        theirs = or_(written, col(_E.id).in_(by_them))
        if connection.scalar(by_them.limit(1)) is None:
            made = written
    explanations = ExplanationColumns(**_explanations(connection, own, theirs))
    scores = _scores(connection, own, made)
    # A score of an explanation that another supersedes has no place here.
    places = np.searchsorted(explanations.number, scores["explanation"])
    there = np.append(explanations.number, -1)[places] == scores["explanation"]
    found = ScoreColumns(**{**scores, "explanation": places})
    return Scored(explanations, _newest(_at(found, there)))


def same_runs(connection: Connection, run_ids: Sequence[int]) -> list[int]:
    """Some runs, and all those that did the same work before or after them."""
    return sorted({run for one in run_ids for run in connection.scalars(runs_.same_key(one))})


def newest_scored_run(connection: Connection) -> int | None:
    """The last run that scored something, else the last that explained; None where none did either.

    Edits by people are runs of one explanation each: they count where there is nothing else.
    """
    edits = select(col(tables.Run.id)).where(col(tables.Run.command) == "review")
    scoring = select(func.max(col(_S.run_id))).where(_on_test())
    explaining = select(func.max(col(_E.run_id)))
    queries = (
        scoring.where(col(_S.run_id).not_in(edits)),
        explaining.where(col(_E.run_id).not_in(edits)),
        scoring,
    )
    return next(filter(None, map(connection.scalar, queries)), None)


def failed_spans(connection: Connection, simulations: Integers) -> dict[str, int]:
    """Spans that some simulations, by row, have no levels for; by reason, the most frequent first."""
    failure = tables.SimulationFailure
    columns = (col(failure.simulation_id), col(failure.reason))
    query = select(*columns, func.count()).group_by(*columns)
    found = read(connection, query, {"simulation": "integer", "reason": "name", "n": "integer"})
    wanted = np.isin(found["simulation"], simulations)
    counts: Counter[str] = Counter()
    for reason, n in zip(found["reason"].at(wanted), found["n"][wanted].tolist(), strict=True):
        counts[reason] += n
    return dict(counts.most_common())


def _explanations(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, Any]:
    columns = (
        *(_E.id, _E.neuron_id, _N.layer, _N.idx, _E.polarity, _E.run_id),
        *(_METHOD.plugin, _METHOD.llm, _E.reason, _E.text),
    )
    query = (
        select(*(col(c) for c in columns))
        .join(_N, col(_N.id) == col(_E.neuron_id))
        .join(_METHOD, col(_METHOD.id) == col(_E.method_id))
        .where(*conditions, ~superseded(_E))
        .order_by(col(_E.id))
    )
    return read(connection, query, _EXPLANATIONS)


def _scores(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, Any]:
    query = (
        select(*map(_score_column, _SCORES))
        .join(_E, col(_E.id) == col(_S.explanation_id))
        .join(_MEASURE, col(_MEASURE.id) == col(_S.measure_id))
        .join(_SCORER, col(_SCORER.id) == col(_MEASURE.scorer_id))
        .where(*conditions, col(_MEASURE.split) == "test")
        .order_by(col(_S.id))
    )
    return read(connection, query, _SCORES)


def _on_test() -> ColumnElement[bool]:
    """Whether a score is on the test split."""
    tests = select(col(_MEASURE.id)).where(col(_MEASURE.split) == "test")
    return col(_S.measure_id).in_(tests)


def _score_column(name: str) -> Any:
    match name:
        case "explanation" | "run":
            return col(getattr(_S, f"{name}_id"))
        case "simulation":
            return func.coalesce(col(_S.simulation_id), 0)
        case "scorer":
            return col(_SCORER.name)
        case "simulator" | "llm":
            return col(getattr(_MEASURE, name))
    return col(getattr(_S, name))


def _newest(scores: ScoreColumns) -> ScoreColumns:
    """Of rows in the order in which they were made, the last of every explanation, scorer and simulator."""
    key = scores.explanation
    for names in (scores.scorer, scores.simulator, scores.llm):
        key = key * max(1, len(names.known)) + names.codes
    _, last = np.unique(key[::-1], return_index=True)
    return _at(scores, np.sort(len(key) - 1 - last))


Columns = TypeVar("Columns", ExplanationColumns, ScoreColumns)


def _at(columns: Columns, rows: NDArray[Any]) -> Columns:
    """Some rows of all columns: a mask, or places."""
    found: dict[str, Any] = {}
    for f in fields(columns):
        column = getattr(columns, f.name)
        if isinstance(column, Names):
            found[f.name] = column.at(rows)
        elif isinstance(column, list):
            found[f.name] = [column[row] for row in np.arange(len(column))[rows].tolist()]
        else:
            found[f.name] = column[rows]
    return type(columns)(**found)
