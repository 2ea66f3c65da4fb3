"""How well the neurons of a collection are explained, in numbers."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from sqlalchemy import Connection, Row, Select, or_
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.search import SearchRow, rows, to_row

_AT_ONCE = 1000
"""Rows that are read together."""


@dataclass
class _Numbers:
    """What is kept of the rows of a layer: some bytes for each."""

    values: array[float] = field(default_factory=lambda: array("d"))
    floors: array[float] = field(default_factory=lambda: array("d"))
    nulls: array[float] = field(default_factory=lambda: array("d"))
    above: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row[Any]) -> None:
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
    explanation, score = tables.Explanation, tables.Score
    query = rows(scorer, [simulator] if simulator else None).where(
        col(explanation.collection_id) == collection_id, col(explanation.status) == "ok"
    )
    if run_id is not None:
        query = query.where(or_(col(explanation.run_id) == run_id, col(score.run_id) == run_id))
    whole = _Numbers()
    layers: dict[int, _Numbers] = defaultdict(_Numbers)
    null_reasons: Counter[str] = Counter()
    best, worst = (
        _Top(top, lambda row: (row.value, -row.id)),
        _Top(top, lambda row: (-row.value, -row.id)),
    )
    count = 0
    for row in _wanted(connection, query.order_by(col(explanation.id)), explanations):
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

    def __init__(self, size: int, order: Callable[[Row[Any]], tuple[float, int]]) -> None:
        self._size = size
        self._order = order
        self._heap: list[tuple[tuple[float, int], SearchRow]] = []

    def add(self, row: Row[Any]) -> None:
        """Take a row in, if it comes before one that is there."""
        place = self._order(row)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (place, to_row(row)))
        elif self._heap and place > self._heap[0][0]:
            heapq.heapreplace(self._heap, (place, to_row(row)))

    def rows(self) -> list[SearchRow]:
        """Them, the first first."""
        return [row for _, row in sorted(self._heap, key=lambda entry: entry[0], reverse=True)]


def _wanted(
    connection: Connection, query: Select[Any], explanations: Sequence[int] | None
) -> Iterator[Row[Any]]:
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        if explanations is None:
            yield row
            continue
        place = bisect_left(explanations, row.id)
        if place < len(explanations) and explanations[place] == row.id:
            yield row


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
