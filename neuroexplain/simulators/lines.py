"""Texts as numbered lines for a language model, and where in them a piece stands that it quotes.

Numbering lines takes a fifth of the prompt that numbering tokens takes. What a model writes is matched with what it was shown:
with escapes or with the characters that they stand for, in another case only beside the exact spelling.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.levels import escape, escape_all
from neuroexplain.records import Floats

LINE = 10
"""Tokens of a line, about: shorter lines cost more numbers, longer ones hold more words twice."""
_SHIFTS = (0, -1, 1, -2, 2, -3)
"""Tokens by which a cut may be moved, so that it is at a space, or at least not inside a word."""
_MARKS = str.maketrans("‘’“”–—", "''\"\"--")
_QUOTATION = "\"'“”‘’`"


class Place(NamedTuple):
    """Where a piece stands; the least is the one that is meant first."""

    loose: int
    """0 between the ends of words, 1 between those of tokens, 2 elsewhere."""
    form: int
    """Which of the piece's forms stands there; 0 is the piece as it is."""
    start: int
    """First character of the text."""
    stop: int
    """The character behind it."""


class Shown:
    """A text as a language model sees it: visible characters only, cut into lines.

    Args:
        tokens: exact texts, which joined are the text; one that is empty shares the character of the token before it.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._text = "".join(tokens)
        self._edges = [0, *accumulate(map(len, tokens))]
        self.cuts = self._cut()
        """First token of every line, and the number of tokens."""
        visible = escape_all(tokens)
        self.lines = tuple("".join(visible[first:end]) for first, end in pairwise(self.cuts))
        """As they are shown, without their numbers."""

    def __len__(self) -> int:
        """Tokens."""
        return len(self._tokens)

    def find(self, piece: str, line: int | None = None) -> list[Place]:
        """Where a piece stands, the one that is meant first before others. It may run on into the next line.

        Args:
            piece: as it is shown, or in the characters of the text.
            line: in which it begins, from 0; None for any.
        """
        first, end = (0, len(self)) if line is None else self.cuts[line : line + 2]
        low, high = self._edges[first], self._edges[end]
        for wanted in dict.fromkeys((piece, piece.strip(_QUOTATION))):
            forms = (wanted, escape(wanted), plain(wanted), plain(escape(wanted)))
            found: dict[tuple[int, int], Place] = {}
            for number, form in enumerate(forms):
                for start, stop in self._spellings[number // 2].find(form):
                    if low <= start < high:
                        place = Place(self._loose(start, stop), number, start, stop)
                        found.setdefault((start, stop), place)
            if found:
                return sorted(found.values())
        return []

    def per_token(self, characters: Floats) -> Floats:
        """The largest value among a token's characters, [character] → [token]."""
        values = np.zeros(len(self), dtype=np.float32)
        filled, owner = self._owners
        if len(filled):
            values[owner >= 0] = np.maximum.reduceat(characters, filled)[owner[owner >= 0]]
        return values

    @property
    def characters(self) -> int:
        """Of the text."""
        return len(self._text)

    @cached_property
    def _owners(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First character of every token with text, and which of these a token has its characters from, [token]; -1 for none."""
        with_text = np.array([bool(token) for token in self._tokens], dtype=np.bool_)
        return np.array(self._edges[:-1], dtype=np.int64)[with_text], with_text.cumsum() - 1

    @cached_property
    def _spellings(self) -> tuple[_Spelling, _Spelling]:
        text, folded = self._text, plain(self._text)
        if escape(text) == text and len(folded) == len(
            text
        ):  # a fold never makes a character shorter
            return _Spelling(text), _Spelling(folded)
        visible = [escape(character) for character in text]
        return _Spelling(visible), _Spelling([plain(unit) for unit in visible])

    def _loose(self, start: int, stop: int) -> int:
        inside = [at for at in (start, stop) if self._splits_word(at)]
        return 1 + any(at not in self._edges for at in inside) if inside else 0

    def _splits_word(self, at: int) -> bool:
        """Whether the characters on both sides belong to one word."""
        return 0 < at < len(self._text) and bool(re.fullmatch(r"\w\w", self._text[at - 1 : at + 1]))

    def _is_spaced(self, at: int) -> bool:
        return any(character.isspace() for character in self._text[at - 1 : at + 1])

    def _cut(self) -> list[int]:
        """Lines are about equally long."""
        n = len(self)
        lines = -(-n // LINE)
        cuts = [0]
        for number in range(1, lines):
            even = number * n // lines
            near = [even + shift for shift in _SHIFTS if cuts[-1] < even + shift < n]
            whole = [i for i in near if self._tokens[i] and not self._splits_word(self._edges[i])]
            spaced = [i for i in whole if self._is_spaced(self._edges[i])]
            cuts.append([*spaced, *whole, even][0])
        return [*cuts, n] if n else cuts


class _Spelling:
    """A text in one way of writing its characters.

    Args:
        units: how each character is written, be it with several.
    """

    def __init__(self, units: Sequence[str]) -> None:
        self._text = "".join(units)
        alike = len(self._text) == len(units)
        # Where each character begins; spans are kept by the thousand.
        self._begin: Sequence[int] = (
            range(len(units) + 1) if alike else array("I", accumulate(map(len, units), initial=0))
        )

    def find(self, form: str) -> Iterator[tuple[int, int]]:
        """First and last characters, exclusive, of every occurrence that does not break one up."""
        at = self._text.find(form) if form else -1
        while at >= 0:
            start, stop = self._character(at), self._character(at + len(form))
            if start is not None and stop is not None:
                yield start, stop
            at = self._text.find(form, at + 1)

    def _character(self, at: int) -> int | None:
        """The character that begins at a place."""
        number = bisect_left(self._begin, at)
        return number if self._begin[number] == at else None


def plain(text: str) -> str:
    """A text without its cases and with plain marks, as models tend to copy it.

    >>> plain("Don’t")
    "don't"
    """
    return text.casefold().translate(_MARKS)
