"""Long results as columns: some hundred thousand rows cost their numbers, not an object each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select

Floats64 = NDArray[np.float64]
Integers = NDArray[np.int64]
ColumnKind = Literal["integer", "number", "name", "text"]

_AT_ONCE = 5000
"""Rows that are taken together."""


@dataclass(frozen=True, eq=False)
class Names:
    """A column of few different names, or None."""

    codes: Integers
    """[row]; places in `known`."""
    known: tuple[str | None, ...]
    """In order of their first row."""

    def __getitem__(self, row: int) -> str | None:
        return self.known[int(self.codes[row])]

    def __iter__(self) -> Iterator[str | None]:
        return (self.known[code] for code in self.codes.tolist())

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, rows: NDArray[Any]) -> Names:
        """The column of some rows: their places, or a mask."""
        return Names(self.codes[rows], self.known)

    def equal(self, name: str | None) -> NDArray[np.bool_]:
        """[row]; where the name stands."""
        if name not in self.known:
            return np.zeros(len(self.codes), np.bool_)
        found: NDArray[np.bool_] = self.codes == self.known.index(name)
        return found

    def count(self) -> dict[str, int]:
        """How often each name stands there, the most frequent first; None is not counted."""
        counts = np.bincount(self.codes, minlength=len(self.known)).tolist()
        found = [(name, n) for name, n in zip(self.known, counts, strict=True) if name and n]
        return dict(sorted(found, key=lambda entry: (-entry[1], entry[0])))


def read(
    connection: Connection, query: Select[*tuple[Any, ...]], kinds: Mapping[str, ColumnKind]
) -> dict[str, Any]:
    """All rows of a query, by column.

    Args:
        connection: a reading transaction.
        query: selects the columns in the order of `kinds`.
        kinds: what every column holds. NULL becomes NaN among numbers; it may not occur among integers.

    Returns:
        int64 arrays of integers, float64 arrays of numbers, `Names` of names, lists of texts.
    """
    columns = [_Column(kind) for kind in kinds.values()]
    found = connection.execution_options(yield_per=_AT_ONCE).execute(query)
    for block in found.partitions():
        for column, values in zip(columns, zip(*block, strict=True), strict=True):
            column.add(values)
    return {name: column.whole() for name, column in zip(kinds, columns, strict=True)}


@dataclass
class _Column:
    kind: ColumnKind
    blocks: list[Any] = field(default_factory=list)
    known: dict[str | None, int] = field(default_factory=dict)

    def add(self, values: Iterable[Any]) -> None:
        """Take some rows in."""
        match self.kind:
            case "integer":
                self.blocks.append(np.array(values, np.int64))
            case "number":
                self.blocks.append(np.array(values, np.float64))  # None becomes NaN
            case "name":
                known = self.known
                codes = [known.setdefault(value, len(known)) for value in values]
                self.blocks.append(np.array(codes, np.int64))
            case "text":
                self.blocks.extend(values)

    def whole(self) -> Any:
        """The column."""
        if self.kind == "text":
            return self.blocks
        empty: Any = np.zeros(0, np.float64 if self.kind == "number" else np.int64)
        values = np.concatenate([empty, *self.blocks])
        return Names(values, tuple(self.known)) if self.kind == "name" else values
