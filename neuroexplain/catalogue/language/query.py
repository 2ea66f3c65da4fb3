"""A parsed query: conditions as a tree, and what holds for the whole of it.

>>> Query(All((Words("ice", "word", 1), Term("layer", ":", "3", 5)))).where.parts[1]
Term(field='layer', op=':', value='3', column=5, by='')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from neuroexplain.errors import QueryError

WordKind = Literal["word", "phrase", "prefix", "part"]
MAX_LENGTH = 2000
"""Characters of a query."""
SHOWN = 40
"""Characters of a value that a message repeats."""


@dataclass(frozen=True)
class Words:
    """A condition on the explanations' text."""

    text: str
    """Without the quotes and stars of the query."""
    kind: WordKind
    """`word` river and `phrase` "of ice" match by stem, `prefix` riv* the beginning of a word, `part` *ive* any part of one."""
    column: int = dataclasses.field(compare=False)
    """Place in the query, from 1; says nothing about the meaning."""
    star: bool = False
    """Of a phrase: whether its last word may go on."""


@dataclass(frozen=True)
class Term:
    """A condition on a field."""

    field: str
    """One of `fields.FIELDS`."""
    op: str
    """`:`, `>=`, `<=`, `>` or `<`."""
    value: str
    column: int = dataclasses.field(compare=False)
    """Place in the query, from 1; says nothing about the meaning."""
    by: str = ""
    """Of `similar`: whether by `activations` or by `text`; else empty."""

    def wrong(self, valid: str) -> QueryError:
        """The error of a bad value."""
        message = f'{self.field}: bad value "{shorten(self.value)}"; valid: {valid}'
        return QueryError(message, column=self.column)


@dataclass(frozen=True)
class All:
    """Every part must hold; none makes it hold for everything."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """One part, or more, must hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """The part must not hold."""

    part: Node


Node = Words | Term | All | Either | Not


@dataclass(frozen=True)
class Query:
    """Conditions, and what holds for the whole query."""

    where: All
    """Flat: no All within All, no Either within Either, no Not of a Not; only this may have a single part."""
    scorer: str = "correlation"
    """Whose scores are shown, compared and sorted by."""
    sort: str | None = None
    """One of `fields.SORTS`; None where nobody said."""
    descending: bool = True
    """Whether the largest comes first."""
    limit: int | None = None
    """Rows."""

    def terms(self) -> Iterator[Term]:
        """All conditions on fields, at any depth, in order."""
        return (leaf for leaf in leaves(self.where) if isinstance(leaf, Term))


def leaves(node: Node) -> Iterator[Words | Term]:
    """Words and terms of a tree, in order."""
    match node:
        case Words() | Term():
            yield node
        case Not():
            yield from leaves(node.part)
        case _:
            for part in node.parts:
                yield from leaves(part)


def conjunction(parts: list[Node]) -> All:
    """Parts that must all hold, flat."""
    return All(tuple(inner for p in parts for inner in (p.parts if isinstance(p, All) else (p,))))


def disjunction(parts: list[Node]) -> Node:
    """Parts of which one must hold, flat."""
    flat = (inner for p in parts for inner in (p.parts if isinstance(p, Either) else (p,)))
    return Either(tuple(flat))


def negation(part: Node) -> Node:
    """What holds where a part does not."""
    return part.part if isinstance(part, Not) else Not(part)


def simplest(node: Node) -> Node:
    """The part itself, where it is the only one."""
    return node.parts[0] if isinstance(node, All) and len(node.parts) == 1 else node


def shorten(text: str) -> str:
    """The beginning of a text, for a message."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
