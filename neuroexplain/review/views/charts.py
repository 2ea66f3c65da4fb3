"""Plots as numbers for templates, which draw them as SVG: positions are in pixels, from the top left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroexplain.levels import MAX_LEVEL
from neuroexplain.records import Floats

WIDTH = 132
"""Of a strip."""
_BINS = 11
_CELL = 14
_BARS = 24
_HEIGHT = 80
_BAR = 12
_TICKS = ("0.05", "0.5", "0.95")
"""Quantiles that are drawn."""


@dataclass(frozen=True)
class Strip:
    """A score with its interval, null and floor on one axis."""

    zero: float
    value: float | None
    low: float | None
    """None where there is no interval."""
    high: float | None
    null: float | None
    floor: float | None


def strip(score: Mapping[str, Any], low: float, high: float) -> Strip:
    """A score on an axis from `low` to `high`."""

    def place(value: float | None) -> float | None:
        if value is None:
            return None
        return round(4 + (WIDTH - 8) * (min(max(value, low), high) - low) / (high - low), 1)

    zero = place(0.0)
    assert zero is not None
    names = ("value", "ci_low", "ci_high", "null_mean", "floor")
    value, ci_low, ci_high, null, floor = (place(score[name]) for name in names)
    return Strip(zero, value, ci_low, ci_high, null, floor)


def axis(scores: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The least and the largest of a scorer's numbers, with 0 and 1 inside, so that its strips can be compared."""
    names = ("value", "ci_low", "ci_high", "null_mean", "floor")
    numbers = [s[name] for s in scores for name in names if s[name] is not None]
    return min([0.0, *numbers]), max([1.0, *numbers])


@dataclass(frozen=True)
class Square:
    """How many tokens have a real and a simulated level."""

    x: float
    y: float
    side: float
    n: int
    real: int
    simulated: int


def scatter(real: Floats, simulated: Floats) -> tuple[Square, ...]:
    """Tokens by their real and simulated level, each 0 to 10: a square for every pair that occurs, by the logarithm of how many."""
    levels = [np.clip(np.rint(v), 0, MAX_LEVEL).astype(int) for v in (real, simulated)]
    counts = np.bincount(levels[0] * _BINS + levels[1], minlength=_BINS**2).reshape(_BINS, _BINS)
    places = np.argwhere(counts)
    found = counts[places[:, 0], places[:, 1]]
    sides = np.maximum(2.0, (_CELL - 2) * np.log1p(found) / np.log1p(found.max(initial=1)))
    squares = []
    for (r, s), n, side in zip(places.tolist(), found.tolist(), sides.tolist(), strict=True):
        x, y = r * _CELL + (_CELL - side) / 2, (MAX_LEVEL - s) * _CELL + (_CELL - side) / 2
        squares.append(Square(round(x, 1), round(y, 1), round(side, 1), n, r, s))
    return tuple(squares)


@dataclass(frozen=True)
class Bar:
    """Tokens with an activation from `low` to `high`."""

    x: float
    y: float
    width: float
    height: float
    low: float
    high: float
    n: int


def histogram(values: Floats, low: float, high: float) -> tuple[Bar, ...]:
    """Activations from `low` to `high` in bins of equal width; heights go by the logarithm of how many."""
    if not len(values):
        return ()
    counts, edges = np.histogram(values, _BARS, (low, high))
    most = np.log1p(counts.max())
    bars = []
    for i, n in enumerate(counts.tolist()):
        height = round(float(_HEIGHT * np.log1p(n) / most), 1)
        bars.append(
            Bar(
                i * _BAR,
                _HEIGHT - height,
                _BAR - 1,
                height,
                float(edges[i]),
                float(edges[i + 1]),
                n,
            )
        )
    return tuple(bars)


@dataclass(frozen=True)
class Tick:
    """A quantile on a histogram."""

    x: float
    percent: str
    value: float


def ticks(bars: Sequence[Bar], quantiles: Mapping[str, float]) -> tuple[Tick, ...]:
    """Where the quantiles of all tokens lie on a histogram; those outside of it are left out."""
    if not bars:
        return ()
    low, high = bars[0].low, bars[-1].high
    found = [(level, quantiles[level]) for level in _TICKS if level in quantiles]
    return tuple(
        Tick(
            round(_BAR * len(bars) * (value - low) / ((high - low) or 1), 1),
            f"{100 * float(level):g} %",
            value,
        )
        for level, value in found
        if low <= value <= high
    )
