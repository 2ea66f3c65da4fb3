"""What texts about an explanation do to neurons beside texts about other explanations, of the same length.

A text is compared with the others of its stratum: those of its length, or of neighbouring lengths where these are few. For a
text there is the difference from the mean of the others' responses, and the share of them that it exceeds. The mean of
these over the texts of an explanation is its score, in the units of the responses and as an area under the ROC curve.

Left out of what an explanation is compared with are the texts about its own neuron and those about the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Values = NDArray[np.float64]

PARTNERS = 10
"""Explanations that a stratum has texts about, where there are so many."""

_VARIES = 1e-9


@dataclass(frozen=True)
class Panel:
    """Texts about several explanations, which stand one behind the other."""

    explanation: Numbers
    """[text], ascending; each has at least one."""
    length: Numbers
    """[text]; tokens that count."""
    group: Numbers
    """[explanation], ascending; explanations of one neuron, among which the best is chosen, are a group."""
    identity: Numbers
    """[explanation]; the same for explanations in the same words."""

    @cached_property
    def starts(self) -> Numbers:
        """[explanation]; its first text."""
        return _starts(self.explanation)


class Contrasts(NamedTuple):
    """How texts stand beside others, [text, neuron]; NaN where there are no others."""

    difference: Values
    """From the mean of the others, in the units of the responses."""
    placement: Values
    """Share of the others that the text exceeds, ties counted half."""


class Contrast:
    """Compares responses to the texts of a set.

    Args:
        texts: what the responses are to.
    """

    def __init__(self, texts: Panel) -> None:
        group = texts.group[texts.explanation]
        identity = texts.identity[texts.explanation]
        stratum, self._beyond = strata(texts.length, group, identity)
        self._slope_of = _steepness(np.log(texts.length), texts.explanation)
        self._stratum = _Classes(stratum)
        self._own = _own(stratum, group, identity)
        others = self._stratum.count - sum(sign * own.count for sign, own in self._own)
        self.partners: Numbers = np.asarray(others, np.int64)
        """[text]; others that it is compared with."""

    def of(self, responses: NDArray[np.floating]) -> Contrasts:
        """The contrasts of some neurons.

        Args:
            responses: [text, neuron].
        """
        values = self._level(np.asarray(responses, np.float64))
        ranks = _codes(values)
        total, below = self._stratum.sums(values), self._stratum.below(ranks)
        for sign, own in self._own:
            total -= sign * own.sums(values)
            below -= sign * own.below(ranks)
        some = np.where(self.partners > 0, self.partners, np.nan)[:, None]
        return Contrasts(values - total / some, below / some)

    def _level(self, values: Values) -> Values:
        """Responses as they would be at the middle length of the stratum; its only length in nearly all cases."""
        if not self._beyond.any():
            return values
        return values - self._beyond[:, None] * (self._slope_of @ values)


def strata(lengths: Numbers, group: Numbers, identity: Numbers) -> tuple[Numbers, Values]:
    """Which texts are compared with each other.

    Lengths from the shortest on are put together until there are texts about `PARTNERS` explanations; what is left over at
    the end goes to the last stratum.

    Args:
        lengths: [text]
        group: [text]; whose neuron.
        identity: [text]; in whose words.

    Returns:
        Stratum of each text, and how far the logarithm of its length is from the mean of its stratum.
    """
    distinct, place = np.unique(lengths, return_inverse=True)
    wanted = min(PARTNERS, len(np.unique(group)), len(np.unique(identity)))
    numbers = np.zeros(len(distinct), np.int64)
    stratum, first = 0, 0
    for last in range(len(distinct)):
        inside = (place >= first) & (place <= last)
        partners = min(len(np.unique(group[inside])), len(np.unique(identity[inside])))
        numbers[first:] = stratum
        if partners >= wanted:
            stratum, first = stratum + 1, last + 1
    if first < len(distinct):  # too few are left at the end
        numbers[first:] = max(stratum - 1, 0)
    of_text = numbers[place]
    beyond = _within(np.log(lengths), of_text)
    return of_text, np.where(np.abs(beyond) > _VARIES, beyond, 0.0)


def _own(stratum: Numbers, group: Numbers, identity: Numbers) -> list[tuple[int, _Classes]]:
    """What a text is not compared with, its own kind: classes to be added up by their signs.

    What is of its group or in its words is that of the group, and that in the words, less what is both.
    """
    groups, words, both = (
        _Classes(_joined(stratum, owner)) for owner in (group, identity, _joined(group, identity))
    )
    if both.number == groups.number:
        return [(1, words)]
    if both.number == words.number:
        return [(1, groups)]
    return [(1, groups), (1, words), (-1, both)]


class _Classes:
    """Texts in classes, for sums and ranks within each."""

    def __init__(self, of_text: Numbers) -> None:
        self.of_text = np.unique(of_text, return_inverse=True)[1].astype(np.int64)
        self._order = np.argsort(self.of_text, kind="stable")
        self._starts = _starts(self.of_text[self._order])
        sizes = np.bincount(self.of_text)
        self.number = len(sizes)
        self.count = sizes[self.of_text]
        """[text]; texts of its class."""

    def sums(self, values: Values) -> Values:
        """Sums over each text's class, [text, neuron]."""
        return np.add.reduceat(values[self._order], self._starts, axis=0)[self.of_text]

    def below(self, ranks: Numbers) -> Values:
        """Texts of its class that are lower than each text, and half of those as high, itself left out; [text, neuron]."""
        keys = self.of_text[:, None] * len(ranks) + ranks
        order = np.argsort(keys, axis=0)
        keys = np.take_along_axis(keys, order, axis=0)
        places = np.broadcast_to(np.arange(len(keys))[:, None], keys.shape)
        new = np.ones(keys.shape, bool)
        new[1:] = keys[1:] != keys[:-1]
        first = np.maximum.accumulate(np.where(new, places, 0))
        end = np.ones(keys.shape, bool)
        end[:-1] = new[1:]
        last = np.minimum.accumulate(np.where(end, places, len(keys))[::-1])[::-1]
        middle = np.empty(keys.shape, np.float64)
        np.put_along_axis(middle, order, (first + last) / 2, axis=0)
        return middle - self._starts[self.of_text][:, None]


def _steepness(values: Values, classes: Numbers) -> Values:
    """Weights [text] that give the slope of a line through responses over `values`: within classes, where they vary there."""
    for centred in (_within(values, classes), values - values.mean()):
        spread = centred @ centred
        if spread > _VARIES:
            weights: Values = centred / spread
            return weights
    return np.zeros(len(values))


def _codes(values: Values) -> Numbers:
    """Whole numbers in the order of the values of a column, equal for equal ones; [text, neuron]."""
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    steps = np.zeros(values.shape, np.int64)
    steps[1:] = ordered[1:] != ordered[:-1]
    codes = np.empty(values.shape, np.int64)
    np.put_along_axis(codes, order, np.cumsum(steps, axis=0), axis=0)
    return codes


def _within(values: Values, classes: Numbers) -> Values:
    """Values less the mean of their class, [text]."""
    _, place, counts = np.unique(classes, return_inverse=True, return_counts=True)
    difference: Values = values - (np.bincount(place, values) / counts)[place]
    return difference


def _joined(first: Numbers, second: Numbers) -> Numbers:
    """A number for each pair of classes."""
    return first * (int(second.max(initial=0)) + 1) + second


def _starts(classes: Numbers) -> Numbers:
    """Where each class begins, of classes that stand one behind the other."""
    return np.flatnonzero(np.diff(classes, prepend=-1)).astype(np.int64)
