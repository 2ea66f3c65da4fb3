"""Scores of one side against those of another, as numbers for an SVG: points, or squares where these would hide each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 300
"""Of the plot, in pixels."""
MOST_POINTS = 2_000
CELLS = 30
"""Along either side, where there are more."""
_PALEST = 0.12


@dataclass(frozen=True)
class Point:
    """A pair."""

    x: float
    y: float


@dataclass(frozen=True)
class Square:
    """Some pairs."""

    x: float
    y: float
    n: int
    opacity: float
    """Of its colour; grows with the root of the number."""


@dataclass(frozen=True)
class Scatter:
    """First scores to the right, second ones upwards; the same scale on both."""

    n: int
    low: float
    high: float
    zero: float | None
    """Where 0 is from the left; None where it is not in the plot."""
    points: tuple[Point, ...]
    squares: tuple[Square, ...]
    cell: float
    """Side of a square in pixels."""


def scatter(first: NDArray[np.float64], second: NDArray[np.float64]) -> Scatter | None:
    """Place pairs of scores, [pair] each; None where there are none."""
    if not len(first):
        return None
    low = min(float(first.min()), float(second.min()), 0.0)
    high = max(float(first.max()), float(second.max()), 1.0)
    x = (first - low) / (high - low) * SIDE
    y = SIDE - (second - low) / (high - low) * SIDE
    many = len(first) > MOST_POINTS
    points = () if many else tuple(map(Point, x.round(1).tolist(), y.round(1).tolist()))
    zero = round(-low / (high - low) * SIDE, 1) if low < 0 else None
    squares = _squares(x, y) if many else ()
    return Scatter(len(first), low, high, zero, points, squares, SIDE / CELLS)


def _squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Square, ...]:
    cell = SIDE / CELLS
    columns, rows = (np.minimum((v / cell).astype(np.int64), CELLS - 1) for v in (x, y))
    counts = np.bincount(columns * CELLS + rows, minlength=CELLS**2)
    shade = _PALEST + (1 - _PALEST) * np.sqrt(counts / counts.max())
    return tuple(
        Square(
            place // CELLS * cell,
            place % CELLS * cell,
            int(counts[place]),
            round(float(shade[place]), 3),
        )
        for place in np.flatnonzero(counts).tolist()
    )
