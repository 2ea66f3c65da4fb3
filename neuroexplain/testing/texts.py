"""Texts as planted neurons read them: words in order, with numbers that look random and are always the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Hashes = NDArray[np.uint64]

WORD = r"\w+(?:['’]\w+)*|[^\w\s]"
"""A word, with the apostrophes in it, or one sign of punctuation."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def split(text: str) -> list[str]:
    """The words of a text.

    >>> split("It doesn't rain, yet.")
    ['It', "doesn't", 'rain', ',', 'yet', '.']
    """
    return re.findall(WORD, text)


@dataclass(frozen=True, eq=False)
class Texts:
    """Some texts, one behind the other; every text has a word at least."""

    words: tuple[str, ...]
    """[word]"""
    starts: NDArray[np.int64]
    """[text]; its first word."""

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> Texts:
        """Texts that are split already."""
        rows = list(texts)
        lengths = np.array([len(row) for row in rows], np.int64)
        return cls(tuple(word for row in rows for word in row), np.cumsum(lengths) - lengths)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """[text]; in words."""
        return np.diff(self.starts, append=len(self.words))

    @cached_property
    def text(self) -> NDArray[np.int64]:
        """[word]; the text that it is in."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """[word]; words before it in its text."""
        return np.arange(len(self.words)) - self.starts[self.text]

    @cached_property
    def hashes(self) -> Hashes:
        """[word]; of its whole text and its place there: the same in whatever company the text is read."""
        return _mixed(self.text_hashes[self.text] + self.place.astype(np.uint64) * _STEP)

    @cached_property
    def text_hashes(self) -> Hashes:
        """[text]; of its words in order."""
        distinct, index = self._numbered
        words = np.array([_hash(word) for word in distinct], np.uint64)[index]
        placed = _mixed(words + self.place.astype(np.uint64) * _STEP)
        return _mixed(np.add.reduceat(placed, self.starts))

    def where(self, holds: Callable[[str], bool]) -> NDArray[np.bool_]:
        """[word]; whether something holds of it. It is asked once for every distinct word."""
        distinct, index = self._numbered
        return np.array([holds(word) for word in distinct], np.bool_)[index]

    def within(self, span: tuple[int, int], fired: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[word]; whether a word of the same text has fired, so many words away.

        Args:
            span: first and last distance; negative ones look back.
            fired: [word]
        """
        found = np.zeros(len(fired), np.bool_)
        left = self.lengths[self.text] - self.place
        for distance in range(span[0], span[1] + 1):
            there = (self.place >= -distance) & (distance < left)
            found |= there & np.roll(fired, -distance)
        return found

    def highest(self, values: Array) -> Array:
        """[word]; the largest value of its text."""
        most: Array = np.maximum.reduceat(values, self.starts)
        return most[self.text]

    def lines(self) -> list[str]:
        """[text]; its words, with a space between."""
        ends = self.starts + self.lengths
        return [
            " ".join(self.words[a:b])
            for a, b in zip(self.starts.tolist(), ends.tolist(), strict=True)
        ]

    @cached_property
    def _numbered(self) -> tuple[list[str], NDArray[np.int64]]:
        """The distinct words, and for every word the index of its own among them."""
        numbers: dict[str, int] = {}
        index = [numbers.setdefault(word, len(numbers)) for word in self.words]
        return list(numbers), np.array(index, np.int64)


def normal(hashes: Hashes, key: int) -> Array:
    """A standard normal number for every hash, another one for every key (Box and Muller 1958)."""
    drawn = _mixed(hashes ^ np.uint64(key))
    radius = np.sqrt(-2 * np.log(((drawn >> _HALF) + 0.5) / 2.0**32))
    found: Array = radius * np.cos(2 * np.pi * ((drawn & _LOW) / 2.0**32))
    return found


def key_of(*parts: object) -> int:
    """64 bits that stand for some values."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    return key_of(word)


def _mixed(numbers: Hashes) -> Hashes:
    """Scatter 64-bit numbers (SplitMix64, Steele et al. 2014)."""
    numbers = numbers + _STEP
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
