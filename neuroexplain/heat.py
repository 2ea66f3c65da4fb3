"""Tokens with their heat: levels as classes of colour, and runs of equal heat as one piece."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neuroexplain.levels import MAX_LEVEL, printable
from neuroexplain.records import Floats

HEATS = 21
"""Degrees of heat, 0 to 20: half levels."""


class Run(NamedTuple):
    """A token, or several of one heat."""

    text: str
    heat: int
    peak: bool = False
    """Whether it is the row's strongest token."""


def heats(levels: Floats) -> list[int]:
    """[token]; degrees of heat of levels 0 to 10."""
    scaled = np.rint(levels * ((HEATS - 1) / MAX_LEVEL))
    found: list[int] = np.clip(scaled, 0, HEATS - 1).astype(int).tolist()
    return found


def runs(tokens: Sequence[str], levels: Floats, *, warm: bool = False) -> list[Run]:
    """Tokens with their heat; those with none that follow on each other are one run.

    Args:
        tokens: texts.
        levels: [token]; 0 to 10.
        warm: whether warm tokens of one heat that follow on each other are one run too; the peak stays by itself.
    """
    degrees = heats(levels)
    peak = int(np.argmax(levels)) if len(levels) and max(degrees) > 0 else -1
    texts = tokens if "".join(tokens).isprintable() else [shown(token) for token in tokens]
    starts = [
        place
        for place, heat in enumerate(degrees)
        if place == 0 or heat != degrees[place - 1] or peak in (place, place - 1)
    ]
    found: list[Run] = []
    for start, end in pairwise([*starts, len(tokens)]):
        heat = degrees[start]
        if warm or heat == 0:
            found.append(Run("".join(texts[start:end]), heat, start == peak))
        else:
            found += [Run(texts[place], heat, place == peak) for place in range(start, end)]
    return found


def shown(token: str) -> str:
    """A token on one line, in characters that can be seen; a line break as ↵."""
    return printable(token.replace("\n", "↵"))
