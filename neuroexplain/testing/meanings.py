"""What a planted neuron fires on: small records that add up, `(ANIMALS | 0.8 * TOOLS).noisy(0.1)`.

    WordSet, Pattern        words of a set; what a regular expression matches
    After, Near             a meaning in a context
    a & b, a | b            both: the weaker of the two; either: the stronger
    0.8 * a, a + b          at another strength; added up
    Anywhere                the whole text, where the meaning is anywhere in it
    Position                some places in the text, whatever stands there
    Noise, a.noisy(sd)      Gaussian, of mean 0; the same for the same text, whenever it is read
    Constant, DEAD          always the same; always 0

Strength 1 is what a word set or a pattern has where it matches, 0 is silence. A meaning reads whole words of the whole
text, so what it gives for a word may hang on what comes later.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal

import numpy as np

from neuroexplain.testing.texts import Array, Texts, key_of, normal, split


class Meaning(ABC):
    """What makes a neuron fire, word by word.

    Meanings of one's own are frozen dataclasses too: subjects are told apart by what `repr` says of their meanings.
    """

    @abstractmethod
    def strengths(self, texts: Texts, key: int) -> Array:
        """How strongly the neuron fires, [word].

        Args:
            texts: what it reads.
            key: tells the noise of one neuron from that of others.
        """

    def on(self, text: str, key: int = 0) -> Array:
        """How strongly it fires on the words of one text, [word].

        >>> WordSet(["june", "july"]).on("In June it rained").tolist()
        [0.0, 1.0, 0.0, 0.0]
        """
        return self.strengths(Texts.of([split(text)]), key)

    def noisy(self, sd: float, each: Literal["word", "text"] = "word") -> Meaning:
        """With Gaussian noise of this standard deviation added; see `Noise`."""
        return Sum(self, Noise(sd, each))

    def __and__(self, other: Meaning) -> Meaning:
        return Both(self, other)

    def __or__(self, other: Meaning) -> Meaning:
        return Either(self, other)

    def __add__(self, other: Meaning) -> Meaning:
        return Sum(self, other)

    def __rmul__(self, factor: float) -> Meaning:
        return Scaled(self, factor)


@dataclass(frozen=True)
class WordSet(Meaning):
    """Fires on every word of a set, whatever its case."""

    words: Iterable[str]
    """Kept as a sorted tuple."""

    def __post_init__(self) -> None:
        if isinstance(self.words, str):
            raise TypeError(f'words is a collection of words, not one text: ["{self.words}"]')
        object.__setattr__(self, "words", tuple(sorted({w.casefold() for w in self.words})))

    def strengths(self, texts: Texts, key: int) -> Array:
        """1 on a word of the set."""
        return texts.where(lambda word: word.casefold() in self._set).astype(np.float64)

    @cached_property
    def _set(self) -> frozenset[str]:
        return frozenset(self.words)


@dataclass(frozen=True)
class Pattern(Meaning):
    r"""Fires on every word that a regular expression's match touches.

    The expression is searched for in the text's words, joined with single spaces. Where it has a group, only the
    words of the first one fire.

    >>> Pattern(r"in (\d{4})").on("in 1912 and by 1913").tolist()
    [0.0, 1.0, 0.0, 0.0, 0.0]
    """

    expression: str

    def strengths(self, texts: Texts, key: int) -> Array:
        """1 on a word that is matched."""
        values = np.zeros(len(texts.words))
        ends = np.array([*accumulate(len(word) + 1 for word in texts.words)], np.int64)
        before = np.append(0, ends)[texts.starts]
        for line, offset in zip(texts.lines(), before.tolist(), strict=True):
            for start, stop in self._matches(line):
                first, last = np.searchsorted(ends, [offset + start, offset + stop - 1], "right")
                values[first : last + 1] = 1.0
        return values

    def _matches(self, line: str) -> Iterator[tuple[int, int]]:
        """Where matches begin and end, without the spaces around them."""
        group = min(self._compiled.groups, 1)
        for match in self._compiled.finditer(line):
            found = match.group(group) or ""
            if found.strip():
                start, stop = match.span(group)
                yield (
                    start + len(found) - len(found.lstrip()),
                    stop - len(found) + len(found.rstrip()),
                )

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.expression)


@dataclass(frozen=True)
class After(Meaning):
    """Fires as a meaning does, but only behind another."""

    meaning: Meaning
    context: Meaning
    """Fires where its strength is above 0."""
    within: int = 1
    """Words between the two at most, plus one: 1 is the word before."""

    def strengths(self, texts: Texts, key: int) -> Array:
        """The meaning's strength where the context fires before it, else 0."""
        fired = self.context.strengths(texts, key_of(key, 1)) > 0
        there = texts.within((-self.within, -1), fired)
        return np.where(there, self.meaning.strengths(texts, key_of(key, 0)), 0.0)


@dataclass(frozen=True)
class Near(Meaning):
    """Fires as a meaning does, but only near another, on either side."""

    meaning: Meaning
    context: Meaning
    """Fires where its strength is above 0."""
    within: int = 3
    """Words between the two at most, plus one."""

    def strengths(self, texts: Texts, key: int) -> Array:
        """The meaning's strength where the context fires beside it, else 0."""
        fired = self.context.strengths(texts, key_of(key, 1)) > 0
        there = texts.within((-self.within, -1), fired) | texts.within((1, self.within), fired)
        return np.where(there, self.meaning.strengths(texts, key_of(key, 0)), 0.0)


@dataclass(frozen=True)
class Both(Meaning):
    """Fires where two meanings do: as the weaker of them."""

    first: Meaning
    second: Meaning

    def strengths(self, texts: Texts, key: int) -> Array:
        """The smaller of the two."""
        return np.minimum(*_two(self.first, self.second, texts, key))


@dataclass(frozen=True)
class Either(Meaning):
    """Fires where one of two meanings does: as the stronger of them."""

    first: Meaning
    second: Meaning

    def strengths(self, texts: Texts, key: int) -> Array:
        """The larger of the two."""
        return np.maximum(*_two(self.first, self.second, texts, key))


@dataclass(frozen=True)
class Sum(Meaning):
    """Fires as two meanings together."""

    first: Meaning
    second: Meaning

    def strengths(self, texts: Texts, key: int) -> Array:
        """The sum of the two."""
        first, second = _two(self.first, self.second, texts, key)
        return first + second


@dataclass(frozen=True)
class Scaled(Meaning):
    """Fires as a meaning does, at another strength."""

    meaning: Meaning
    factor: float

    def strengths(self, texts: Texts, key: int) -> Array:
        """The meaning's strength times the factor."""
        return self.factor * self.meaning.strengths(texts, key)


@dataclass(frozen=True)
class Anywhere(Meaning):
    """Fires on all words of a text in which a meaning fires: as strongly as that does at most."""

    meaning: Meaning

    def strengths(self, texts: Texts, key: int) -> Array:
        """The largest strength in the text."""
        return texts.highest(self.meaning.strengths(texts, key))


@dataclass(frozen=True)
class Position(Meaning):
    """Fires on some places of every text that is read, which is a span for a collector; whatever stands there."""

    start: int
    """First place, from 0."""
    stop: int
    """One past the last place."""

    def strengths(self, texts: Texts, key: int) -> Array:
        """1 on these places."""
        return ((texts.place >= self.start) & (texts.place < self.stop)).astype(np.float64)


@dataclass(frozen=True)
class Noise(Meaning):
    """Gaussian noise of mean 0: independent for every text, place and neuron, and always the same for the same ones."""

    sd: float
    """Standard deviation, in strengths."""
    each: Literal["word", "text"] = "word"
    """Whether every word has noise of its own, or all words of a text share theirs."""

    def strengths(self, texts: Texts, key: int) -> Array:
        """The noise."""
        if self.each == "word":
            return self.sd * normal(texts.hashes, key)
        return self.sd * normal(texts.text_hashes, key)[texts.text]


@dataclass(frozen=True)
class Constant(Meaning):
    """The same on every word."""

    value: float

    def strengths(self, texts: Texts, key: int) -> Array:
        """The value."""
        return np.full(len(texts.words), self.value)


DEAD = Constant(0.0)
"""Never fires."""


def _two(first: Meaning, second: Meaning, texts: Texts, key: int) -> tuple[Array, Array]:
    """The strengths of two meanings, with noises that are independent."""
    return first.strengths(texts, key_of(key, 0)), second.strengths(texts, key_of(key, 1))
