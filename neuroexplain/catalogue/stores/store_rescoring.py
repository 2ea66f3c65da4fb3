"""What scoring anew needs of a catalogue: how explanations were simulated and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.records import Score

_S, _MEASURE, _SCORER = tables.Score, tables.Measure, tables.Scorer
_E, _SIMULATION, _METHOD = tables.Explanation, tables.Simulation, tables.Method
_NUMBERS = tuple(f.name for f in fields(Score) if f.name != "scorer")


@dataclass(frozen=True)
class ScoredBy:
    """A run that scored an explanation on the test split."""

    run: int
    simulator: str
    llm: str | None


def _build_runs() -> Select[*tuple[Any, ...]]:
    return (
        select(col(_S.run_id), col(_MEASURE.simulator), col(_MEASURE.llm))
        .join(_MEASURE, col(_MEASURE.id) == col(_S.measure_id))
        .where(
            col(_S.explanation_id) == bindparam("explanation"),
            col(_MEASURE.split) == "test",
            col(_S.simulation_id).is_not(None),
        )
        .order_by(col(_S.id).desc())
    )


def _build_simulations() -> Select[*tuple[Any, ...]]:
    columns = (_SIMULATION.id, _SIMULATION.explanation_id, _METHOD.plugin, _METHOD.llm)
    return (
        select(*(col(c) for c in columns))
        .join(_METHOD, col(_METHOD.id) == col(_SIMULATION.method_id))
        .where(
            col(_SIMULATION.explanation_id).in_(listed("explanations")),
            col(_SIMULATION.split) == "test",
        )
        .order_by(col(_SIMULATION.id))
    )


def _build_scores() -> Select[*tuple[Any, ...]]:
    return (
        select(col(_SCORER.name), *(col(getattr(_S, name)) for name in _NUMBERS))
        .join(_MEASURE, col(_MEASURE.id) == col(_S.measure_id))
        .join(_SCORER, col(_SCORER.id) == col(_MEASURE.scorer_id))
        .where(col(_S.simulation_id) == bindparam("simulation"), col(_MEASURE.split) == "test")
        .order_by(col(_S.id))
    )


_RUNS, _SIMULATIONS = Prepared(_build_runs()), Prepared(_build_simulations())
_SCORES = Prepared(_build_scores())
_PARENT = Prepared(
    select(col(_E.parent_id), col(_METHOD.plugin))
    .join(_METHOD, col(_METHOD.id) == col(_E.method_id))
    .where(col(_E.id) == bindparam("number"))
)


class RescoringStore(StoreFile):
    """Earlier simulations and scores of explanations."""

    def scored_by(self, explanation: int) -> list[ScoredBy]:
        """Runs that scored an explanation's simulations on the test split, the newest first, each once."""
        with self._database.reading() as connection:
            rows = _RUNS(connection, explanation=explanation)
        found = [ScoredBy(r.run_id, r.simulator, r.llm) for r in rows if r.run_id is not None]
        return list(dict.fromkeys(found))

    def simulations_of(self, explanations: Sequence[int]) -> list[int]:
        """Simulations of some explanations on the test split: the newest of each explanation, simulator and language model."""
        with self._database.reading() as connection:
            rows = _SIMULATIONS(connection, explanations=str(list(explanations)))
        return list({(r.explanation_id, r.plugin, r.llm): r.id for r in rows}.values())

    def scores_of(self, simulation: int) -> dict[str, Score]:
        """The newest scores of a simulation on the test split, by scorer."""
        with self._database.reading() as connection:
            rows = _SCORES(connection, simulation=simulation)
        return {
            name: Score(name, **dict(zip(_NUMBERS, numbers, strict=True)))
            for name, *numbers in rows
        }

    def origin(self, explanation: int, explainer: str) -> int:
        """What an explanation goes back to: itself, or the first of its parents that another explainer wrote.

        Args:
            explanation: its row.
            explainer: whose explanations are passed over, as far as they have a parent.
        """
        with self._database.reading() as connection:
            while True:
                rows = _PARENT(connection, number=explanation)
                if not rows or rows[0].plugin != explainer or rows[0].parent_id is None:
                    return explanation
                explanation = rows[0].parent_id  # always an older row
