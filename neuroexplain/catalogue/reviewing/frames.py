"""Populations that queues are drawn from: a few numbers of every explanation, as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from neuroexplain.catalogue.reviewing.rated import Method
from neuroexplain.catalogue.searching.entries import FAILED, Cell
from neuroexplain.catalogue.searching.recall import Recall
from neuroexplain.catalogue.searching.search import matches
from neuroexplain.catalogue.searching.vocabulary import Vocabulary
from neuroexplain.catalogue.storage.columns import Floats64, Integers

_COLUMNS = "e.id, e.neuron_id, e.run_id, e.cell, e.score"
_AT_ONCE = 20_000


@dataclass(frozen=True, eq=False)
class Frame:
    """Explanations that can be judged, by row of the catalogue; a sampling frame."""

    explanation: Integers
    """[explanation]; row in the catalogue, ascending."""
    neuron: Integers
    """[explanation]; row of the neuron."""
    subject: Integers
    """[explanation]; place in `subjects`."""
    layer: Integers
    """[explanation]."""
    polarity: Integers
    """[explanation]; 1 or -1."""
    method: Integers
    """[explanation]; place in `methods`."""
    run: Integers
    """[explanation]; row of the run that wrote it."""
    score: Floats64
    """[explanation]; the newest correlation on the test split, NaN where undefined or not scored."""
    subjects: tuple[str, ...]
    methods: tuple[Method, ...]
    """In their order; those that wrote none of these too."""

    def __len__(self) -> int:
        return len(self.explanation)

    def at(self, rows: NDArray[Any]) -> Frame:
        """The frame of some explanations: their places, or a mask."""
        return Frame(
            explanation=self.explanation[rows],
            neuron=self.neuron[rows],
            subject=self.subject[rows],
            layer=self.layer[rows],
            polarity=self.polarity[rows],
            method=self.method[rows],
            run=self.run[rows],
            score=self.score[rows],
            subjects=self.subjects,
            methods=self.methods,
        )

    def without(self, explanations: Integers) -> Frame:
        """The frame less some explanations, by row of the catalogue."""
        return self.at(~np.isin(self.explanation, explanations))


def read(connection: Connection, recall: Recall, query: str) -> Frame:
    """What a query finds, failed explanations left out: a million rows in a second.

    Args:
        connection: a reading transaction, limited in time by the caller.
        recall: what earlier searches found out about this catalogue.
        query: in the language of `grammar`; an empty one finds everything.

    Raises:
        QueryError: an unknown field or a bad value, a term that ranks, a limit.
        CutError: the time was up. There is no part of a frame: weights drawn from it would be wrong.
    """
    number, neuron, run, cell, score = _columns(matches(connection, recall, query, _COLUMNS))
    names = recall.once("names", lambda: Vocabulary.read(connection))
    order = np.argsort(number, kind="stable")
    kinds, kind = np.unique(cell[order], return_inverse=True)
    cells = [Cell.of(int(each)) for each in kinds]
    writers = {n: Method(plugin, llm or "") for n, (plugin, llm) in names.methods.items()}
    methods = tuple(sorted(set(writers.values())))
    subjects = tuple(sorted(names.subjects.values()))

    def column(values: list[int]) -> Integers:
        return np.array(values, np.int64)[kind]

    found = Frame(
        explanation=number[order],
        neuron=neuron[order],
        subject=column([subjects.index(names.subjects[c.subject_id]) for c in cells]),
        layer=column([c.layer for c in cells]),
        polarity=column([c.polarity for c in cells]),
        method=column([methods.index(writers[c.method_id]) for c in cells]),
        run=run[order],
        score=score[order],
        subjects=subjects,
        methods=methods,
    )
    return found.at(column([c.state for c in cells]) != FAILED)


def _columns(rows: Iterator[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Rows of `_COLUMNS` as arrays, some thousands at a time: as tuples all of them would take a gigabyte."""
    kinds = (*(np.int64,) * 4, np.float64)
    blocks: list[list[Any]] = [[np.zeros(0, kind)] for kind in kinds]
    while block := list(islice(rows, _AT_ONCE)):
        for column, kind, values in zip(blocks, kinds, zip(*block, strict=True), strict=True):
            column.append(np.array(values, kind))  # None becomes NaN
    return tuple(np.concatenate(column) for column in blocks)
