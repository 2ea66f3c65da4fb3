"""Places where a long text can be cut without any change to its tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

# Before a single white space between words, or behind a punctuation mark: never inside a run of letters, digits or
# spaces, whose tokens may depend on where the run began.
_SEAM = re.compile(r"(?<=\S)(?=\s\S)|(?<=[^\w\s])(?=\w)")
_WINDOW = 256
_TRIES = 16


def cut(
    text: str, size: int, token_ids: Callable[[str], Sequence[int]]
) -> Iterator[tuple[int, int]]:
    """First and one-past-last characters of consecutive pieces of about `size` characters.

    A cut is made only where the tokens of the 512 characters around it are the same with the cut and without. A
    text (or a tokenizer) without such places stays in one piece.

    >>> list(cut("the river froze in the night", 10, lambda text: [len(word) for word in text.split()]))
    [(0, 15), (15, 28)]

    Args:
        text: what to cut.
        size: wanted length; pieces are longer where no place is found.
        token_ids: tokenises a text.
    """
    start, at = 0, size
    while at < len(text):
        seams = islice(_SEAM.finditer(text, at, min(at + size, len(text))), _TRIES)
        stop = next((m.start() for m in seams if _clean(text, m.start(), token_ids)), None)
        if stop is None:
            at += size
        else:
            yield start, stop
            start, at = stop, stop + size
    yield start, len(text)


def _clean(text: str, at: int, token_ids: Callable[[str], Sequence[int]]) -> bool:
    left, right = text[max(0, at - _WINDOW) : at], text[at : at + _WINDOW]
    return [*token_ids(left), *token_ids(right)] == list(token_ids(left + right))
