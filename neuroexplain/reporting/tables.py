"""The columns in which a terminal and a page show distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neuroexplain.reporting.distribution import Distribution
from neuroexplain.reporting.words import number, share


@dataclass(frozen=True)
class Column:
    """One column of numbers."""

    name: str
    short: str
    """Name in two short lines, for a terminal of 80 columns."""
    cell: Callable[[Distribution], str]


COLUMNS = (
    Column("n", "n", lambda d: f"{d.n}"),
    Column("undefined", "undef", lambda d: share((d.n - d.n_scored) / d.n if d.n else None)),
    Column("25 %", "25 %", lambda d: number(d.q25)),
    Column("median", "median", lambda d: number(d.median)),
    Column("75 %", "75 %", lambda d: number(d.q75)),
    Column("90 %", "90 %", lambda d: number(d.q90)),
    Column("null", "null", lambda d: number(d.null)),
    Column("over null", "over\nnull", lambda d: number(d.over_null)),
    Column("floor", "floor", lambda d: number(d.floor)),
    Column("above floor", "above\nfloor", lambda d: share(d.above_floor)),
    Column("p < .05", "p\n< .05", lambda d: share(d.p_below)),
    Column("q < .1", "q\n< .1", lambda d: share(d.q_below)),
)
"""Distributions of scores, left to right."""
