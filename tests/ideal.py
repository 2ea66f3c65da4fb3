"""Replies that say just what is true, in the form that a simulator asks for: what could be answered, and what it would cost."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.levels import escape_all
from neuroexplain.simulators.lines import Shown
from neuroexplain.simulators.quoting import Marked, parse_quotes

Levels = NDArray[np.int64]
"""[token]"""
Entry = tuple[int, str, int]


class Run(NamedTuple):
    """Neighbouring tokens of one line with one level above 0."""

    line: int
    """Of its text, from 0."""
    piece: str
    start: int
    """First character of the text."""
    level: int


def quotes(texts: Sequence[tuple[Sequence[str], Levels]]) -> str:
    """The reply to the simulator `sparse` from which these levels [token] are read, for every text's tokens.

    Tokens that are at one level wherever they stand are quoted once for all lines.

    Raises:
        ValueError: no reply can say it, as where tokens that share a character have different levels.
    """
    shown = [Shown(tokens) for tokens, _ in texts]
    for everywhere in (_shared(texts, shown), {}):
        made: list[Entry] = [(0, piece, level) for piece, level in everywhere.items()]
        first = 1
        for text, (tokens, levels) in zip(shown, texts, strict=True):
            said = np.array([core(token) in everywhere for token in escape_all(tokens)], np.bool_)
            runs = list(_runs(tokens, np.where(said, 0, levels)))
            made += [(first + line, piece, level) for line, piece, level in _named(text, runs)]
            first += len(text.lines)
        reply = json.dumps({"fires": made}, ensure_ascii=False, separators=(",", ":"))
        read = parse_quotes(reply, shown)
        if all(np.array_equal(r, levels) for r, (_, levels) in zip(read, texts, strict=True)):
            return reply
    raise ValueError("no reply says these levels")


def core(piece: str) -> str:
    """A piece without the spaces beside it, unless it is nothing else."""
    return piece.strip(" ") or piece


def _shared(
    texts: Sequence[tuple[Sequence[str], Levels]], shown: Sequence[Shown]
) -> dict[str, int]:
    """Tokens that have one level wherever they stand, above 0, and stand there more than once."""
    found: dict[str, list[int]] = defaultdict(list)
    for tokens, levels in texts:
        for token, level in zip(escape_all(tokens), levels.tolist(), strict=True):
            found[core(token)].append(level)
    return {
        token: levels[0]
        for token, levels in found.items()
        if token
        and levels[0]
        and len(levels) > 1
        and len(set(levels)) == 1
        and len(levels) == sum(p[:2] == (0, 0) for text in shown for p in text.find(token))
    }


def _runs(tokens: Sequence[str], levels: Levels) -> Iterator[Run]:
    visible, cuts = escape_all(tokens), Shown(tokens).cuts
    for line, (first, end) in enumerate(pairwise(cuts)):
        # Spaces that stand beside a piece do not count, so that a token of nothing else is a piece by itself.
        blank = [not token.strip(" ") and bool(token) for token in tokens]
        alike = groupby(range(first, end), key=lambda i: (int(levels[i]), i if blank[i] else -1))
        for (level, _), group in alike:
            inside = list(group)
            text = "".join(tokens[inside[0] : inside[-1] + 1])
            if level and text:
                piece = "".join(visible[inside[0] : inside[-1] + 1])
                start = sum(map(len, tokens[: inside[0]])) + piece.index(core(piece))
                yield Run(line, core(piece), start, level)


def _named(text: Shown, runs: Sequence[Run]) -> Iterator[Entry]:
    """What has to be listed for the lines of a text; at level 0 where another place comes first."""
    marked = Marked(text)
    wanted = {(run.line, run.piece, run.start): run.level for run in runs}
    for line, piece in sorted({run[:2] for run in runs}, key=lambda r: (-len(r[1]), r)):
        left = {start for at, quoted, start in wanted if (at, quoted) == (line, piece)}
        while left:
            place = marked.claim(piece, line)
            if place is None:
                raise ValueError(f"{piece!r} has no place left in line {line}")
            level = wanted.get((line, piece, place.start), 0)
            marked.name(place, level)
            left.discard(place.start)
            yield line, piece, level
