"""Rankings: what a search gets from more than SQL, such as a meaning, a pattern of activation or a forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """Explanations or neurons with a value to sort by; the largest comes first, and of equals the smallest row."""

    kind: Literal["explanation", "neuron"]
    """What the rows are of."""
    name: str
    """What the values are: `cosine`, `correlation`, `quantile` or `bm25`."""
    rows: NDArray[np.int64]
    """[n]; rows of `explanation` or `neuron`, each once for explanations, at most once for each polarity for neurons."""
    polarities: NDArray[np.int8]
    """[n]; +1 or -1 for neurons, 0 for explanations."""
    values: NDArray[np.float64]
    """[n]; never ascending."""
    missing: int = 0
    """How many could not be ranked: explanations that the index does not cover yet, neurons without quantiles."""

    @classmethod
    def of_explanations(
        cls, name: str, rows: ArrayLike, values: ArrayLike, *, missing: int = 0
    ) -> Self:
        """Sort explanations by their values."""
        ids = np.asarray(rows, dtype=np.int64)
        return cls._sorted("explanation", name, ids, np.zeros(len(ids), np.int8), values, missing)

    @classmethod
    def of_neurons(
        cls,
        name: str,
        rows: ArrayLike,
        polarities: ArrayLike,
        values: ArrayLike,
        *,
        missing: int = 0,
    ) -> Self:
        """Sort neurons, each on one of its sides, by their values."""
        ids, sides = np.asarray(rows, dtype=np.int64), np.asarray(polarities, dtype=np.int8)
        return cls._sorted("neuron", name, ids, sides, values, missing)

    @classmethod
    def _sorted(
        cls,
        kind: Literal["explanation", "neuron"],
        name: str,
        rows: NDArray[np.int64],
        polarities: NDArray[np.int8],
        values: ArrayLike,
        missing: int,
    ) -> Self:
        numbers = np.asarray(values, dtype=np.float64)
        places = 2 * rows + (polarities < 0)
        inside = slice(None) if (np.diff(places) > 0).all() else np.argsort(places, kind="stable")
        rows, polarities, numbers = rows[inside], polarities[inside], numbers[inside]
        order = np.argsort(-numbers, kind="stable")
        return cls(kind, name, rows[order], polarities[order], numbers[order], missing)

    def without(self, rows: ArrayLike) -> Self:
        """All but some rows."""
        kept = ~np.isin(self.rows, np.asarray(rows, dtype=np.int64))
        columns = (self.rows[kept], self.polarities[kept], self.values[kept])
        return type(self)(self.kind, self.name, *columns, self.missing)

    def __len__(self) -> int:
        return len(self.rows)
