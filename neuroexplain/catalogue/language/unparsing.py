"""A parsed query as text again, in one form for every meaning: for saved queries and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from neuroexplain.catalogue.language.fields import BY, LARGEST_FIRST
from neuroexplain.catalogue.language.query import (
    MAX_LENGTH,
    All,
    Either,
    Node,
    Not,
    Query,
    Term,
    Words,
)

_BARE = re.compile(r'[^\s()"][^\s()]*')
_OPENING = ("(", "-(")


def unparse(query: Query) -> str:
    """The canonical text, from which `parse` makes the same query again.

    >>> unparse(Query(All((Not(Words("ice", "word", 1)), Term("token", ":", "a b", 6))), limit=9))
    '-ice token:"a b" limit:9'
    """
    pieces = [*_outermost(query.where), *_settings(query)]
    text = _spaced(pieces)
    return text if len(text) <= MAX_LENGTH else _tight(pieces)


def _outermost(where: All) -> Iterator[str]:
    if len(where.parts) == 1 and isinstance(where.parts[0], Either):
        return _either(where.parts[0])
    return (piece for part in where.parts for piece in _node(part))


def _node(node: Node) -> Iterator[str]:
    match node:
        case Words() | Term():
            yield _leaf(node)
        case Not(part=Words() | Term() as leaf):
            yield f"-{_leaf(leaf)}"
        case Not():
            yield from ("-(", *_inner(node.part), ")")
        case Either():
            yield from ("(", *_either(node), ")")
        case All():
            yield from _inner(node)


def _inner(node: Node) -> Iterator[str]:
    """What stands between parentheses, or beside an OR, which binds less than AND."""
    match node:
        case All():
            for i, part in enumerate(node.parts):
                yield from ("AND", *_node(part)) if i else _node(part)
        case Either():
            yield from _either(node)
        case _:
            yield from _node(node)


def _either(node: Either) -> Iterator[str]:
    for i, part in enumerate(node.parts):
        yield from ("OR", *_inner(part)) if i else _inner(part)


def _leaf(leaf: Words | Term) -> str:
    if isinstance(leaf, Term):
        return f"{leaf.field}{leaf.op}{_value(leaf.value)}"
    match leaf.kind:
        case "word":
            return leaf.text
        case "prefix":
            return f"{leaf.text}*"
        case "part":
            return f"*{leaf.text}*"
        case "phrase":
            return _quoted(leaf.text) + "*" * leaf.star


def _value(value: str) -> str:
    return value if _BARE.fullmatch(value) else _quoted(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _settings(query: Query) -> Iterator[str]:
    by = {term.by for term in query.terms() if term.by}
    if by - {BY[0]}:
        yield f"by:{by.pop()}"
    if query.scorer != "correlation":
        yield f"scorer:{_value(query.scorer)}"
    if query.sort is not None:
        turned = query.descending != (query.sort in LARGEST_FIRST)
        yield f"{'-' if turned else ''}sort:{query.sort}"
    if query.limit is not None:
        yield f"limit:{query.limit}"


def _spaced(pieces: list[str]) -> str:
    text = "".join(pieces[:1])
    for left, right in pairwise(pieces):
        text += right if left in _OPENING or right == ")" else f" {right}"
    return text


def _tight(pieces: list[str]) -> str:
    """No longer than any text of the same meaning, so that what could be parsed can be parsed again."""
    short = [p[:-1] if p.startswith("*") else p for p in pieces if p != "AND"]
    text = "".join(short[:1])
    for left, right in pairwise(short):
        joined = left in (*_OPENING, ")") or right in ("(", ")")
        text += right if joined else f" {right}"
    return text
