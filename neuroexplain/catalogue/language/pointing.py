"""Where in a query a mistake is, for a terminal."""

from __future__ import annotations

import unicodedata

WIDTH = 76
"""Columns of a terminal that the query is cut to."""


def pointer(text: str, column: int) -> str:
    """Two lines: the query, or the part of it around a column, and a caret under that column.

    Args:
        text: the query.
        column: place in it, from 1; the one behind the end is allowed.

    >>> print(pointer("river laier:3", 7))
    river laier:3
          ^
    """
    cells = [_cell(character) for character in text]
    place = min(max(column - 1, 0), len(cells))
    start, end = place, place
    room = WIDTH - 2  # for the … on both sides
    # Grow to both sides in turn; what one side does not need, the other gets.
    while room > 0 and (start > 0 or end < len(cells)):
        if end < len(cells):
            room -= _width(cells[end])
            end += 1
        if start > 0 and room > 0:
            start -= 1
            room -= _width(cells[start])
    before = "…" * (start > 0) + "".join(cells[start:place])
    return f"{before}{''.join(cells[place:end])}{'…' * (end < len(cells))}\n{' ' * _width(before)}^"


def _cell(character: str) -> str:
    """What a terminal shows in the character's place: controls, line ends and marks of direction as a space."""
    return " " if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character


def _width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
