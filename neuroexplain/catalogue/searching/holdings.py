"""What a catalogue holds: explanations by subject, layer, method, state and score.

Cells say most of it. Neurons that have an explanation, and p-values, take a walk through all entries; it is over in a
second for a million of them, and what it found is kept until the catalogue changes.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from neuroexplain.catalogue.searching.entries import BINS, FAILED, REVIEWED, Cell
from neuroexplain.catalogue.searching.facets import Cells
from neuroexplain.catalogue.searching.sql import Sql, fetch
from neuroexplain.catalogue.searching.vocabulary import Vocabulary

LEVEL = 0.05
"""A score whose p-value is no larger beats its null."""
_NEURONS = Sql(
    "SELECT subject_id, count(DISTINCT neuron_id) FROM entry WHERE state <> ? GROUP BY subject_id",
    (FAILED,),
)
_TESTED = Sql(
    "SELECT method_id, count(*), sum(CASE WHEN p_value <= ? THEN 1 ELSE 0 END) FROM entry "
    "WHERE p_value IS NOT NULL AND state <> ? GROUP BY method_id",
    (LEVEL, FAILED),
)
_RECORDED = Sql("SELECT subject_id, widths, layers FROM collection WHERE current = 1")
_FAILURES = Sql(
    "SELECT reason, count(*) FROM explanation WHERE status = 'failed' GROUP BY reason ORDER BY 2 DESC, 1"
)


@dataclass(frozen=True)
class States:
    """Explanations by state; an older one of the same key does not count."""

    unreviewed: int = 0
    reviewed: int = 0
    failed: int = 0
    """Attempts without an explanation."""

    @property
    def good(self) -> int:
        """Those that say something."""
        return self.unreviewed + self.reviewed


@dataclass(frozen=True)
class SubjectHolding:
    """What there is about a subject."""

    subject: str
    recorded: int | None
    """Neurons of its current collection; None where it has none."""
    explained: int
    """Neurons with an explanation of either side."""
    scored: int
    """Explanations with a correlation."""
    states: States


@dataclass(frozen=True)
class LayerHolding:
    """What there is about a layer."""

    subject: str
    layer: int
    states: States
    by_method: tuple[int, ...]
    """Explanations that say something, in the order of `Holdings.methods`."""


@dataclass(frozen=True)
class MethodHolding:
    """What an explainer with a language model wrote, whatever its settings."""

    explainer: str
    llm: str | None
    states: States
    scored: int
    tested: int
    """Scores with a p-value."""
    beating: int
    """Of them with one of at most `LEVEL`."""
    bins: tuple[int, ...]
    """Scores by twentieths from -1 to 1."""


@dataclass(frozen=True)
class Holdings:
    """What a catalogue holds."""

    subjects: tuple[SubjectHolding, ...]
    layers: tuple[LayerHolding, ...]
    methods: tuple[MethodHolding, ...]
    """Those that wrote most first."""
    failures: tuple[tuple[str, int], ...]
    """Attempts at an explanation that failed, by reason, those that were tried again included."""


Pair = tuple[str, str | None]
Once = Callable[[Hashable, Callable[[], Any]], Any]
"""Finds out what is not known yet; see `Recall.once`."""


def read(connection: Connection, cells: Cells, names: Vocabulary, once: Once) -> Holdings:
    """What a catalogue holds.

    Args:
        connection: a reading transaction.
        cells: of the whole catalogue.
        names: of the catalogue.
        once: keeps each of the long walks, so that who was cut off in the second is spared the first.
    """
    explained = once("explained neurons", lambda: dict(fetch(connection, _NEURONS)))
    tested = once("tested scores", lambda: fetch(connection, _TESTED))
    methods = _methods(tested, cells, names)
    order = [(m.explainer, m.llm) for m in methods]
    return Holdings(
        subjects=_subjects(connection, explained, cells, names),
        layers=_layers(cells, names, order),
        methods=methods,
        failures=tuple((str(reason), int(n)) for reason, n in fetch(connection, _FAILURES)),
    )


def _subjects(
    connection: Connection, explained: dict[int, int], cells: Cells, names: Vocabulary
) -> tuple[SubjectHolding, ...]:
    recorded = {
        number: sum(json.loads(widths)[layer] for layer in json.loads(layers))
        for number, widths, layers in fetch(connection, _RECORDED)
    }
    by_subject = defaultdict(list)
    for cell, n in cells.counts:
        by_subject[cell.subject_id].append((cell, n))
    return tuple(
        SubjectHolding(
            subject=name,
            recorded=recorded.get(number),
            explained=explained.get(number, 0),
            scored=_scored(by_subject[number]),
            states=_states(by_subject[number]),
        )
        for number, name in sorted(names.subjects.items(), key=lambda item: item[1])
    )


def _layers(cells: Cells, names: Vocabulary, order: list[Pair]) -> tuple[LayerHolding, ...]:
    by_layer = defaultdict(list)
    for cell, n in cells.counts:
        by_layer[names.subjects[cell.subject_id], cell.layer].append((cell, n))
    made = []
    for (subject, layer), found in sorted(by_layer.items()):
        written: Counter[Pair] = Counter()
        for cell, n in found:
            written[names.methods[cell.method_id]] += n * (cell.state != FAILED)
        by_method = tuple(written[pair] for pair in order)
        made.append(LayerHolding(subject, layer, _states(found), by_method))
    return tuple(made)


def _methods(
    counts: Iterable[tuple[int, int, int]], cells: Cells, names: Vocabulary
) -> tuple[MethodHolding, ...]:
    tested: Counter[Pair] = Counter()
    beating: Counter[Pair] = Counter()
    for number, n, better in counts:
        tested[names.methods[number]] += n
        beating[names.methods[number]] += better
    by_method = defaultdict(list)
    for cell, n in cells.counts:
        by_method[names.methods[cell.method_id]].append((cell, n))
    made = []
    for pair, found in by_method.items():
        bins = [0] * BINS
        for cell, n in found:
            if cell.bin < BINS and cell.state != FAILED:
                bins[cell.bin] += n
        made.append(
            MethodHolding(
                *pair, _states(found), sum(bins), tested[pair], beating[pair], tuple(bins)
            )
        )
    return tuple(sorted(made, key=lambda m: (-m.states.good, m.explainer, m.llm or "")))


def _states(found: Iterable[tuple[Cell, int]]) -> States:
    counts: Counter[int] = Counter()
    for cell, n in found:
        counts[cell.state] += n
    reviewed, failed = counts[REVIEWED], counts[FAILED]
    return States(counts.total() - reviewed - failed, reviewed, failed)


def _scored(found: Iterable[tuple[Cell, int]]) -> int:
    return sum(n for cell, n in found if cell.bin < BINS and cell.state != FAILED)
