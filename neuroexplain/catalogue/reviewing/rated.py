"""What a catalogue knows of explanations that reviewers judged: who wrote them, and how they were scored."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.searching.entries import FAILED
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.records import NeuronId, Split
from neuroexplain.reviewed import Target

_E, _ENTRY, _METHOD, _S = tables.Explanation, tables.Entry, tables.Method, tables.Score
_MEASURE, _SCORER, _SUBJECT = tables.Measure, tables.Scorer, tables.Subject


@dataclass(frozen=True, order=True)
class Method:
    """Who writes explanations."""

    explainer: str
    llm: str
    """Empty where none was asked."""

    def __str__(self) -> str:
        return f"{self.explainer}, {self.llm}" if self.llm else self.explainer


@dataclass(frozen=True, order=True)
class Scale:
    """What a score is of; scores of different scales are never put together."""

    scorer: str
    simulator: str
    llm: str
    """Of the simulator; empty where none was asked."""
    split: Split

    def __str__(self) -> str:
        llm = f", {self.llm}" if self.llm else ""
        return f"{self.scorer} of {self.simulator}{llm}, {self.split} split"


@dataclass(frozen=True)
class Rated:
    """An explanation in the catalogue."""

    id: int
    target: Target
    method: Method
    correlation: float | None
    """The newest on the test split, whoever simulated; None where undefined, or not scored."""
    scores: dict[Scale, float]
    """The newest that are defined."""


_SUBJECTS = Prepared(select(col(_SUBJECT.id), col(_SUBJECT.name)))
_FOUND = Prepared(
    select(
        *(col(_ENTRY.id), col(_ENTRY.subject_id), col(_ENTRY.idx), col(_ENTRY.polarity)),
        *(col(_ENTRY.score), col(_E.text), col(_METHOD.plugin), col(_METHOD.llm)),
    )
    .join(_E, col(_E.id) == col(_ENTRY.id))
    .join(_METHOD, col(_METHOD.id) == col(_ENTRY.method_id))
    .where(
        col(_ENTRY.layer) == bindparam("layer"),
        col(_ENTRY.idx).in_(listed("indices")),
        col(_ENTRY.state) != FAILED,
    )
    .order_by(col(_ENTRY.id))
)
_SCORES = Prepared(
    select(
        *(col(_S.explanation_id), col(_SCORER.name), col(_MEASURE.simulator), col(_MEASURE.llm)),
        *(col(_MEASURE.split), col(_S.value)),
    )
    .join(_MEASURE, col(_MEASURE.id) == col(_S.measure_id))
    .join(_SCORER, col(_SCORER.id) == col(_MEASURE.scorer_id))
    .where(col(_S.explanation_id).in_(listed("explanations")))
    .order_by(col(_S.id))
)


def read(connection: Connection, targets: Iterable[Target]) -> dict[Target, list[Rated]]:
    """Explanations of the catalogue with the texts of some targets: one statement a layer, and one for all scores.

    Args:
        connection: in a reading transaction.
        targets: those that the catalogue lacks are not in the result.
    """
    wanted = {(t.neuron, t.text): t for t in targets}
    layers: dict[int, set[int]] = defaultdict(set)
    for target in wanted.values():
        layers[target.neuron.layer].add(target.neuron.index)
    names = {row.id: row.name for row in _SUBJECTS(connection)}
    found: dict[Target, list[Rated]] = defaultdict(list)
    for layer, indices in layers.items():
        rows = _FOUND.plain(connection, layer=layer, indices=json.dumps(sorted(indices)))
        for number, subject, idx, polarity, score, text, plugin, llm in rows:
            neuron = NeuronId(names[subject], layer, idx, polarity)
            meant = wanted.get((neuron, text))
            if meant is not None:
                method = Method(plugin, llm or "")
                found[meant].append(Rated(number, meant, method, score, {}))
    _add_scores(connection, [rated for several in found.values() for rated in several])
    return dict(found)


def _add_scores(connection: Connection, found: Sequence[Rated]) -> None:
    own = {rated.id: rated.scores for rated in found}
    for number, scorer, simulator, llm, split, value in _SCORES.plain(
        connection, explanations=json.dumps(sorted(own))
    ):
        scale = Scale(scorer, simulator, llm or "", split)
        if value is None:
            own[number].pop(scale, None)  # the newest counts, and it is undefined
        else:
            own[number][scale] = value
