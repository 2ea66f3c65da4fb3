"""The explanations of one neuron with their scores and simulations, as `show --json` has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.spans import Excerpt
from neuroexplain.catalogue.results import live
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, listed

_E, _M, _S = tables.Explanation, tables.Method, tables.Score
_MEASURE, _SCORER = tables.Measure, tables.Scorer
_SIMULATION, _FAILURE = tables.Simulation, tables.SimulationFailure
_SCORE = (
    *("scorer", "simulator", "llm", "split", "value", "ci_low", "ci_high", "null_mean", "null_own"),
    *("null_n", "p_value", "null_reason", "floor", "n_tokens", "n_nonzero", "coverage", "reason"),
)
_Lists = dict[int, list[dict[str, Any]]]


def _build_explanations() -> Select[*tuple[Any, ...]]:
    columns = (_E.id, _E.text, _E.status, _E.reason, _E.message, _E.parent_id, _E.created_ms)
    return (
        select(*(col(c) for c in (*columns, _M.plugin, _M.llm)))
        .join(_M, col(_M.id) == col(_E.method_id))
        .where(
            col(_E.neuron_id) == bindparam("neuron"),
            col(_E.collection_id) == bindparam("collection"),
            col(_E.polarity) == bindparam("polarity"),
            ~live.superseded(_E),
        )
        .order_by(col(_E.id))
    )


def _build_scores() -> Select[*tuple[Any, ...]]:
    of = {"scorer": _SCORER.name, "simulator": _MEASURE.simulator, "llm": _MEASURE.llm}
    numbers = (_S.value, _S.ci_low, _S.ci_high, _S.null_mean, _S.null_own, _S.null_n, _S.p_value)
    counts = (_S.null_reason, _S.floor, _S.n_tokens, _S.n_nonzero, _S.coverage, _S.reason)
    return (
        select(
            *(col(c).label(name) for name, c in of.items()),
            *(col(c) for c in (_MEASURE.split, *numbers, *counts)),
            *(col(c) for c in (_S.explanation_id, _S.measure_id)),
        )
        .join(_MEASURE, col(_MEASURE.id) == col(_S.measure_id))
        .join(_SCORER, col(_SCORER.id) == col(_MEASURE.scorer_id))
        .where(col(_S.explanation_id).in_(listed("explanations")))
        .order_by(col(_S.id))
    )


def _build_simulations() -> Select[*tuple[Any, ...]]:
    columns = (_SIMULATION.id, _SIMULATION.explanation_id, _SIMULATION.split)
    arrays = (_SIMULATION.spans, _SIMULATION.expected)
    return (
        select(*(col(c) for c in (*columns, *arrays, _M.plugin, _M.llm)))
        .join(_M, col(_M.id) == col(_SIMULATION.method_id))
        .where(col(_SIMULATION.explanation_id).in_(listed("explanations")))
        .order_by(col(_SIMULATION.id))
    )


_EXPLANATIONS, _SCORES = Prepared(_build_explanations()), Prepared(_build_scores())
_SIMULATIONS = Prepared(_build_simulations())
_FAILURES = Prepared(
    select(*(col(c) for c in (_FAILURE.simulation_id, _FAILURE.span, _FAILURE.reason)))
    .where(col(_FAILURE.simulation_id).in_(listed("simulations")))
    .order_by(col(_FAILURE.simulation_id), col(_FAILURE.span))
)


@dataclass(frozen=True)
class Explained:
    """What the catalogue says of a neuron's explanations, with the simulated spans still to be looked up."""

    explanations: Sequence[Any]
    """Rows, the oldest first."""
    scores: _Lists
    """By explanation, as JSON objects."""
    simulations: Sequence[Any]
    """Rows, with `numbers`."""
    failures: dict[int, list[Any]]
    """Rows of failed spans, by simulation."""

    def spans(self) -> Iterable[int]:
        """Numbers of all spans that were simulated."""
        for row in self.simulations:
            yield from codec.unfixed(row.spans, 4).tolist()
        for rows in self.failures.values():
            yield from (row.span for row in rows)

    def shown(self, spans: dict[int, Excerpt]) -> list[dict[str, Any]]:
        """The explanations as JSON objects; `spans` has those of `spans()`."""
        simulated: _Lists = defaultdict(list)
        for row in self.simulations:
            simulated[row.explanation_id] += self._simulation(row, spans)
        return [
            {
                "id": row.id,
                "text": row.text,
                "explainer": row.plugin,
                "llm": row.llm,
                "status": row.status,
                "reason": row.reason,
                "message": row.message,
                "parent_id": row.parent_id,
                "created_at": codec.iso(row.created_ms),
                "scores": self.scores.get(row.id, []),
                "simulations": simulated.get(row.id, []),
            }
            for row in self.explanations
        ]

    def _simulation(self, row: Any, spans: dict[int, Excerpt]) -> list[dict[str, Any]]:
        found = [spans[number] for number in codec.unfixed(row.spans, 4).tolist()]
        levels = codec.unhalves(row.expected).tolist()
        entries, at = [], 0
        for span in found:
            entries.append(_simulated(row, span, levels[at : at + len(span.tokens)], None))
            at += len(span.tokens)
        failed = self.failures.get(row.id, ())
        return entries + [_simulated(row, spans[f.span], None, f.reason) for f in failed]


def _simulated(
    row: Any, span: Excerpt, expected: list[float] | None, reason: str | None
) -> dict[str, Any]:
    return {
        "split": row.split,
        "document": span.document,
        "start": span.start,
        "expected": expected,
        "status": "ok" if reason is None else "failed",
        "reason": reason,
        "simulator": row.plugin,
        "tokens": list(span.tokens),
    }


def explained(connection: Connection, collection_id: int, neuron: int, polarity: int) -> Explained:
    """Explanations from one collection: those of another were scored on other spans; `neuron` is the row.

    Of scores and simulations by the same plug-ins, those with later settings replace earlier ones.
    """
    place = {"neuron": neuron, "collection": collection_id, "polarity": polarity}
    rows = _EXPLANATIONS(connection, **place)
    if not rows:
        return Explained((), {}, (), {})
    ids = codec.to_json([row.id for row in rows], "explanations")
    newest = {(s.explanation_id, s.measure_id): s for s in _SCORES(connection, explanations=ids)}
    scores: _Lists = defaultdict(list)
    for score in newest.values():
        scores[score.explanation_id].append(dict(zip(_SCORE, score, strict=False)))
    simulations = {
        (s.explanation_id, s.plugin, s.llm, s.split): s
        for s in _SIMULATIONS(connection, explanations=ids)
    }
    failures: dict[int, list[Any]] = defaultdict(list)
    if simulations:
        numbers = codec.to_json([s.id for s in simulations.values()], "simulations")
        for row in _FAILURES(connection, simulations=numbers):
            failures[row.simulation_id].append(row)
    return Explained(rows, scores, list(simulations.values()), failures)
