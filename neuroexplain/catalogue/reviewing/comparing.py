"""Two methods, or two runs, on the same neurons: which explanations stand beside each other, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue.reviewing.frames import Frame
from neuroexplain.catalogue.storage.columns import Floats64, Integers
from neuroexplain.errors import ConfigError, unknown


@dataclass(frozen=True, eq=False)
class Beside:
    """Explanations of two sides, on the same polarity of the same neurons; of several by one side, the newest."""

    first: Integers
    """[pair]; row of the first side's explanation."""
    second: Integers
    """[pair]."""
    neuron: Integers
    """[pair]; row of the neuron."""
    first_score: Floats64
    """[pair]; NaN where undefined or not scored."""
    second_score: Floats64
    only_first: int
    """Polarities of neurons that the first side alone explains."""
    only_second: int

    def at(self, rows: NDArray[Any]) -> Beside:
        """Some pairs: their places, or a mask."""
        columns = (self.first, self.second, self.neuron, self.first_score, self.second_score)
        first, second, neuron, score, other = (column[rows] for column in columns)
        return Beside(first, second, neuron, score, other, self.only_first, self.only_second)

    @property
    def defined(self) -> NDArray[np.bool_]:
        """[pair]; whether both scores are."""
        found: NDArray[np.bool_] = ~np.isnan(self.first_score) & ~np.isnan(self.second_score)
        return found


def sides(frame: Frame) -> list[str]:
    """What can be compared: methods as `explainer, llm`, then runs that wrote explanations as `run N`."""
    methods = [str(frame.methods[place]) for place in np.unique(frame.method)]
    return [*methods, *(f"run {number}" for number in np.unique(frame.run))]


def rows_of(frame: Frame, side: str) -> Integers:
    """Places of a side's explanations in a population.

    Raises:
        ConfigError: there is no such side; the message has those that there are.
    """
    names = [str(method) for method in frame.methods]
    known = sides(frame)
    if side not in known:
        raise ConfigError(unknown("method or run", side, known))
    if side in names:
        mask = frame.method == names.index(side)
    else:
        mask = frame.run == int(side.removeprefix("run "))
    return np.flatnonzero(mask).astype(np.int64)


def beside(frame: Frame, scores: Floats64, first: str, second: str) -> Beside:
    """Put two sides beside each other.

    Args:
        frame: all explanations.
        scores: [explanation of the frame].
        first: one of `sides`.
        second: another.

    Raises:
        ConfigError: an unknown side, or twice the same.
    """
    if first == second:
        raise ConfigError(f'"{first}" is to be compared with itself; choose two')
    place = 2 * frame.neuron + (frame.polarity < 0)
    ours, theirs = (_newest(place, rows_of(frame, side)) for side in (first, second))
    _, left, right = np.intersect1d(
        place[ours], place[theirs], assume_unique=True, return_indices=True
    )
    a, b = ours[left], theirs[right]
    return Beside(
        frame.explanation[a],
        frame.explanation[b],
        frame.neuron[a],
        scores[a],
        scores[b],
        len(ours) - len(a),
        len(theirs) - len(b),
    )


def _newest(place: Integers, rows: Integers) -> Integers:
    """Of rows in ascending order, the last at each place."""
    _, back = np.unique(place[rows][::-1], return_index=True)
    found: Integers = rows[::-1][back]
    return found


def in_order(pairs: Beside, *, descending: bool = True) -> Beside:
    """Pairs in which both scores are defined by their difference, the largest first, or the smallest; of equal ones by row."""
    kept = pairs.at(pairs.defined)
    apart = kept.first_score - kept.second_score
    return kept.at(np.lexsort((kept.first, -apart if descending else apart)))


def behind(pairs: Beside, after: int) -> Beside:
    """The pairs behind one, which is named by its first explanation, so that a page goes on where another ended.

    Raises:
        ConfigError: there is no such pair any more.
    """
    (found,) = np.nonzero(pairs.first == after)
    if not len(found):
        raise ConfigError("the page before has changed: begin anew")
    return pairs.at(np.arange(len(pairs.first)) > found[0])
