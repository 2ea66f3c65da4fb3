"""How well the neurons of a collection are explained, in numbers."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean, median
from typing import Any

from sqlalchemy import Connection

from neuroexplain.catalogue.searching.entries import FAILED
from neuroexplain.catalogue.searching.found import SearchRow
from neuroexplain.catalogue.searching.shown import Found, measures_of, stream_found, to_row
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.catalogue.searching.vocabulary import Vocabulary


@dataclass
class _Numbers:
    """What is kept of the rows of a layer: some bytes for each."""

    values: array[float] = field(default_factory=lambda: array("d"))
    floors: array[float] = field(default_factory=lambda: array("d"))
    nulls: array[float] = field(default_factory=lambda: array("d"))
    above: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, row: Found) -> None:
        """Take a row in."""
        if row.value is not None:
            self.values.append(row.value)
        if row.reason is not None:
            self.reasons[row.reason] += 1
        if row.value is not None and row.floor is not None:
            self.floors.append(row.floor)
            self.above += row.value > row.floor
        if row.null_mean is not None:
            self.nulls.append(row.null_mean)

    def as_dict(self) -> dict[str, Any]:
        """Means, and counts of what is undefined."""
        return {
            "n_scored": len(self.values),
            "n_undefined": dict(self.reasons),
            "mean": _mean(self.values),
            "median": median(self.values) if self.values else None,
            "floor": _mean(self.floors),
            "null_mean": _mean(self.nulls),
            "share_above_floor": self.above / len(self.floors) if self.floors else None,
        }


def summary(
    connection: Connection,
    collection_id: int,
    *,
    run_id: int | None,
    explanations: Sequence[int] | None,
    simulator: str | None,
    scorer: str,
    top: int,
) -> dict[str, Any]:
    """Summary of the newest test scores of one scorer, over the good explanations of a collection.

    Args:
        connection: a reading transaction.
        collection_id: row of the collection.
        run_id: only explanations that this run wrote or scored.
        explanations: only these, by row, in ascending order.
        simulator: only scores of its simulations.
        scorer: whose scores.
        top: how many of the best and of the worst rows.
    """
    names = Vocabulary.read(connection)
    measures = measures_of(names, scorer, [simulator] if simulator else [])
    condition = Sql("x.collection_id = ? AND e.state <> ?", (collection_id, FAILED))
    if run_id is not None:
        condition += Sql(" AND (e.run_id = ? OR s.run_id = ?)", (run_id, run_id))
    found = stream_found(connection, Sql("entry e"), condition + " ORDER BY e.id", measures)
    make = partial(to_row, names=names, scorer=scorer)
    whole = _Numbers()
    layers: dict[int, _Numbers] = defaultdict(_Numbers)
    null_reasons: Counter[str] = Counter()
    best, worst = (
        _Top(top, lambda row: (row.value or 0, -row.id), make),
        _Top(top, lambda row: (-(row.value or 0), -row.id), make),
    )
    count = 0
    for row in _wanted(found, explanations):
        count += 1
        for numbers in (whole, layers[row.layer]):
            numbers.add(row)
        if row.null_reason is not None:
            null_reasons[row.null_reason] += 1
        if row.value is not None:
            best.add(row)
            worst.add(row)
    return {
        "scorer": scorer,
        "n_explanations": count,
        **whole.as_dict(),
        "null_reasons": dict(null_reasons),
        "layers": [{"layer": n, **layers[n].as_dict()} for n in sorted(layers)],
        "best": best.rows(),
        "worst": worst.rows(),
    }


class _Top:
    """The rows that come first in some order, of any number."""

    def __init__(
        self,
        size: int,
        order: Callable[[Found], tuple[float, int]],
        make: Callable[[Found], SearchRow],
    ) -> None:
        self._size = size
        self._order = order
        self._make = make
        self._heap: list[tuple[tuple[float, int], SearchRow]] = []

    def add(self, row: Found) -> None:
        """Take a row in, if it comes before one that is there."""
        place = self._order(row)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (place, self._make(row)))
        elif self._heap and place > self._heap[0][0]:
            heapq.heapreplace(self._heap, (place, self._make(row)))

    def rows(self) -> list[SearchRow]:
        """Them, the first first."""
        return [row for _, row in sorted(self._heap, key=lambda entry: entry[0], reverse=True)]


def _wanted(found: Iterator[Found], explanations: Sequence[int] | None) -> Iterator[Found]:
    for row in found:
        if explanations is None:
            yield row
            continue
        place = bisect_left(explanations, row.id)
        if place < len(explanations) and explanations[place] == row.id:
            yield row


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
