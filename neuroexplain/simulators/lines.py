"""Texts as numbered lines for a language model, and where in them a piece stands that it quotes.

Numbering lines takes a fifth of the prompt that numbering tokens takes. What a model writes is matched with what it was shown:
with escapes or with the characters that they stand for, in another case only beside the exact spelling.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.levels import escape_all
from neuroexplain.records import Floats

LINE = 10
"""Tokens of a line, about: shorter lines cost more numbers, longer ones hold more words twice."""
_SHIFTS = (0, -1, 1, -2, 2, -3)
"""Tokens by which a cut may be moved, so that it is at a space, or at least not inside a word."""
_MARKS = str.maketrans("‘’“”–—", "''\"\"--")
_QUOTATION = "\"'“”‘’`"
_SIGN = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")
"""What `escape` writes."""
_WITHIN = re.compile(r"(?<=\w)(?=\w)")


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

    def find(self, piece: str, line: int | None = None, *, whole: bool = False) -> list[Place]:
        """Where a piece stands, the one that is meant first before others. It may run on into the next line.

        Args:
            piece: as it is shown, or in the characters of the text.
            line: in which it begins, from 0; None for any.
            whole: leave out places that are not between the ends of words.
        """
        first, end = (0, len(self)) if line is None else self.cuts[line : line + 2]
        low, high = self._edges[first], self._edges[end]
        for wanted in dict.fromkeys((piece, piece.strip(_QUOTATION))):
            found: dict[tuple[int, int], Place] = {}
            for number, form in _forms(wanted):
                for at in _occurrences(form, self._text if number < 2 else self._folded, low, high):
                    loose = self._in_word[at[0]] or self._in_word[at[1]]
                    if at not in found and not (whole and loose):
                        found[at] = Place(self._looseness(*at) if loose else 0, number, *at)
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
    def _folded(self) -> str:
        return fold(self._text)

    @cached_property
    def _in_word(self) -> bytes:
        """[character] and the end; 1 where it belongs to one word with the one before. Spans are kept by the thousand."""
        marks = bytearray(len(self._text) + 1)
        for match in _WITHIN.finditer(self._text):
            marks[match.start()] = 1
        return bytes(marks)

    def _looseness(self, start: int, stop: int) -> int:
        """Of a place inside a word: whether the ends that are inside are those of tokens."""
        return 1 + any(self._in_word[at] and at not in self._edges for at in (start, stop))

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
            whole = [i for i in near if self._tokens[i] and not self._in_word[self._edges[i]]]
            spaced = [i for i in whole if self._is_spaced(self._edges[i])]
            cuts.append([*spaced, *whole, even][0])
        return [*cuts, n] if n else cuts


def _occurrences(form: str, text: str, low: int, high: int) -> list[tuple[int, int]]:
    """Where a form begins, between two places, and where it ends."""
    found: list[tuple[int, int]] = []
    size = len(form)
    at = text.find(form, low, high + size - 1) if form and low < high else -1
    while at >= 0:
        found.append((at, at + size))
        at = text.find(form, at + 1, high + size - 1)
    return found


@lru_cache(1024)
def _forms(piece: str) -> list[tuple[int, str]]:
    """In which forms a piece may stand in a text: as it is shown, as it is, and from 2 on the same in any case."""
    exact = unescape(piece), piece
    forms = enumerate([*exact, *map(fold, exact)])
    return [(number, form) for number, form in forms if number % 2 == 0 or exact[0] != exact[1]]


def unescape(shown: str) -> str:
    r"""The text that `escape` shows so.

    >>> unescape(r"C:\\new\tfile") == "C:\\new\tfile"
    True
    """
    if "\\" not in shown:
        return shown
    return _SIGN.sub(lambda sign: codecs.decode(sign[0], "unicode_escape"), shown)


def fold(text: str) -> str:
    """A text without its cases and with plain marks, as models tend to copy it; every character stays one.

    >>> fold("Don’t")
    "don't"
    """
    folded = text.casefold()
    if len(folded) != len(text):
        each = ((character, character.casefold()) for character in text)
        folded = "".join(small if len(small) == 1 else as_it_is for as_it_is, small in each)
    return folded.translate(_MARKS)
