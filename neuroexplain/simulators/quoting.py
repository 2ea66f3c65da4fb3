"""Pieces of numbered lines that a language model quotes, with a level for each: read strictly, and put on the tokens.

    12: the old canal froze over        [12, "canal", 7]

gives level 7 to every token that "canal" overlaps in line 12.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from neuroexplain.levels import MAX_LEVEL, escape
from neuroexplain.llm.answers import list_schema, parse_list
from neuroexplain.records import Floats
from neuroexplain.simulators.lines import Place, Shown

EVERYWHERE = 0
"""In place of a line's number: wherever the piece stands."""
SCHEMA = list_schema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}, 3)
"""Of what `parse_quotes` reads."""
_ENTRY = '[line, "text", level]'


@dataclass(frozen=True)
class _Quote:
    """One entry of a reply."""

    line: int
    """From 1; 0 for everywhere."""
    piece: str
    level: int

    def __str__(self) -> str:
        return f'"{escape(self.piece)}"'


class Marked:
    """The characters of a text that quotes have given a level.

    Args:
        shown: the text.
    """

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self._everywhere = np.zeros(shown.characters, dtype=np.float32)
        self._named = np.full(shown.characters, -1, dtype=np.float32)
        self._claimed: set[tuple[str, int]] = set()

    def everywhere(self, places: Sequence[Place], level: int) -> None:
        """Give places the level of a piece that stands for all of them."""
        for place in places:
            part = self._everywhere[place.start : place.stop]
            np.maximum(part, level, out=part)

    def claim(self, piece: str, line: int) -> Place | None:
        """The place that a piece means which is listed for a line, from 0, once more; None where there is no other.

        Of the places that are equally good, one in which nothing has been named comes first.
        """
        places = self.shown.find(piece, line)
        free = [place for place in places if (piece, place.start) not in self._claimed]
        if not free:
            return None
        place = min(free, key=lambda p: (p[:2], self._named[p.start : p.stop].max() >= 0, p.start))
        self._claimed.add((piece, place.start))
        return place

    def name(self, place: Place, level: int) -> None:
        """Give a place its level; the largest counts."""
        part = self._named[place.start : place.stop]
        np.maximum(part, level, out=part)

    def levels(self) -> Floats:
        """[token]; what was named in a line counts before what stands everywhere."""
        return self.shown.per_token(np.where(self._named >= 0, self._named, self._everywhere))


def parse_quotes(text: str, shown: Sequence[Shown]) -> list[Floats]:
    """Levels [token] of every text, from a reply `{"fires": [[line, "text", level], ...]}`; what it does not name is 0.

    - Lines are numbered from 1 through all texts. A piece begins in its line; it may run on into the next.
    - All tokens that a piece overlaps get its level; where several overlap, the largest counts.
    - A piece that is listed n times for a line means n of its places there: first those between the ends of words, then of
      tokens, then those inside; among them those in the exact spelling, then those in which nothing has been named yet,
      then from left to right. Longer pieces are placed first. Level 0 passes a place over.
    - Line 0 means every place in any text, be it none: those between the ends of words, or if there is none those inside, in
      the exact spelling if there is one. What is named in a line counts before it.

    >>> river = Shown(["The", " river", " froze", ",", " the", " lake", " not"])
    >>> parse_quotes('{"fires": [[0, "the", 2], [1, "river froze", 7]]}', [river])[0].tolist()
    [0.0, 7.0, 7.0, 0.0, 2.0, 0.0, 0.0]

    Raises:
        ValueError: the reply has another form, or quotes what is not there, with what is wrong in words that the model
            can act on.
    """
    ends = list(accumulate((len(s.lines) for s in shown), initial=0))
    quotes = [_quote(entry, ends[-1]) for entry in parse_list(text, f"{_ENTRY} entries")]
    marked = [Marked(s) for s in shown]
    _mark_everywhere(marked, [q for q in quotes if q.line == EVERYWHERE])
    named = sorted((q for q in quotes if q.line != EVERYWHERE), key=lambda q: -len(q.piece))
    for quote in named:
        number = bisect_right(ends, quote.line - 1) - 1
        line = quote.line - 1 - ends[number]
        place = marked[number].claim(quote.piece, line)
        if place is None:
            stands = len(shown[number].find(quote.piece, line))
            raise ValueError(_unplaced(quote, stands, [line for s in shown for line in s.lines]))
        marked[number].name(place, quote.level)
    return [m.levels() for m in marked]


def _mark_everywhere(marked: Sequence[Marked], quotes: Sequence[_Quote]) -> None:
    seen: set[str] = set()
    for quote in quotes:
        if quote.piece in seen:
            raise ValueError(f"{quote} is listed twice for line {EVERYWHERE}")
        seen.add(quote.piece)
        # Ends of words, not of tokens, which a model does not see: "ing" means that of "being" too.
        found = [m.shown.find(quote.piece, whole=True) for m in marked]
        if not any(found):
            found = [m.shown.find(quote.piece) for m in marked]
        spelling = min((place.form for places in found for place in places), default=0)
        for m, places in zip(marked, found, strict=True):
            m.everywhere([place for place in places if place.form == spelling], quote.level)


def _quote(entry: object, n_lines: int) -> _Quote:
    match entry:
        case [int() as line, str() as piece, int() as level] if not (
            isinstance(line, bool) or isinstance(level, bool)
        ):
            # Spaces beside a piece would make it overlap the tokens next to it.
            quote = _Quote(line, piece.strip(" ") or piece, level)
            if not 0 <= line <= n_lines:
                raise ValueError(f"there is no line {line}; lines are 1 to {n_lines}")
            if not piece:
                raise ValueError(f"the text of an entry for line {line} is empty")
            if not 0 <= level <= MAX_LEVEL:
                raise ValueError(
                    f"level {level} of {quote} in line {line} is not between 0 and {MAX_LEVEL}"
                )
            return quote
    raise ValueError(f"{json.dumps(entry)[:80]} is no {_ENTRY} with whole numbers")


def _unplaced(quote: _Quote, stands: int, lines: Sequence[str]) -> str:
    """Why a piece has no place, though its line holds so many."""
    if stands:
        return f"{quote} is listed more often for line {quote.line} than it stands there, {stands}"
    others = [str(i) for i, line in enumerate(lines, 1) if quote.piece in line][:3]
    hint = f"it stands in line {', '.join(others)}" if others else "copy what stands there exactly"
    return f"line {quote.line} holds no {quote}; {hint}"
