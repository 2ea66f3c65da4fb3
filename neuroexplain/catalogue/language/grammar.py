r"""The query language of `search`: text to a tree, with the column of every mistake.

    query    = [ choice ]
    choice   = chain { "OR" chain }                  one of them must hold
    chain    = operand { [ "AND" ] operand }         all must hold; AND binds more than OR
    operand  = { "NOT" | "-" } ( "(" choice ")" | term | words )
    words    = word                                  in any form: river finds rivers
             | word "*"                              the beginning of a word
             | "*" word [ "*" ]                      any part of a word
             | '"' phrase '"' [ "*" ]                words in this order; a quote within is doubled
    term     = field op value | "-sort:" value
    op       = ":" | ">=" | "<=" | ">" | "<"         comparisons for numbers only
    value    = word | '"' phrase '"'

A space parts words, and so does a parenthesis outside quotes; there is none around an op, and none behind "-". The operators are
capitals: `or` is a word. A number may be a range (`layer:3..8`); whole numbers, names and states may be a list
(`layer:3,5`, `explainer:ngram,fixed`). `fields.HELP` has the fields. Letters directly before an op are a field, so `http://x`
is written in quotes; `12:30` is a word. `sort`, `limit`, `scorer` and `by` are no conditions: they hold for the whole query,
wherever they stand in it, but not within an alternative in parentheses or behind NOT.

>>> parse("(river OR lake) -layer:3..8 sort:p").where.parts[1]
Not(part=Term(field='layer', op=':', value='3..8', column=18, by=''))
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn, TypeGuard

from neuroexplain.catalogue.language import fields
from neuroexplain.catalogue.language.fields import (
    BY,
    FIELDS,
    HELP,
    SETTINGS,
    SORTS,
    STATES,
    alternatives,
    names,
    neuron,
    polarity,
    states,
)
from neuroexplain.catalogue.language.lexing import Token, tokens
from neuroexplain.catalogue.language.pointing import pointer
from neuroexplain.catalogue.language.query import (
    MAX_LENGTH,
    All,
    Either,
    Node,
    Not,
    Query,
    Term,
    Words,
    conjunction,
    disjunction,
    leaves,
    negation,
    simplest,
)
from neuroexplain.catalogue.language.unparsing import unparse
from neuroexplain.catalogue.storage import codec
from neuroexplain.errors import QueryError

__all__ = [
    "BY",
    "FIELDS",
    "HELP",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "SORTS",
    "STATES",
    "All",
    "Either",
    "Node",
    "Not",
    "Query",
    "Term",
    "Words",
    "alternatives",
    "names",
    "neuron",
    "parse",
    "pointer",
    "polarity",
    "states",
    "unparse",
]

MAX_DEPTH = 20
"""Parentheses within parentheses."""


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        QueryError: what cannot be understood; the message has what is valid, and `column` the place.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a query has at most {MAX_LENGTH} characters, this one has {len(text)}")
    # A NUL ends a text early in some engines, and a lone surrogate is no UTF-8: neither can be looked for.
    parser = _Parser(_resemblance(list(tokens(codec.clean(text).replace("\0", " ")))))
    where, settings = parser.query()
    by_field = {term.field: term for term in settings}
    sort = by_field.get("sort")
    name, descending = fields.order(sort) if sort else (None, True)
    return Query(
        where=where,
        scorer=by_field["scorer"].value if "scorer" in by_field else "correlation",
        sort=name,
        descending=descending,
        limit=min((fields.limit(t) for t in settings if t.field == "limit"), default=None),
    )


def _resemblance(found: list[Token]) -> list[Token]:
    """Write what `by` says into the terms that it is about."""
    by = [term for token in found if (term := _of_field(token, "by"))]
    if len(by) > 1:
        raise QueryError("by may stand once only", column=by[1].column)
    if by and not any(_of_field(token, "similar") for token in found):
        message = "by says what similar means; write similar:SUBJECT/LAYER/INDEX too"
        raise QueryError(message, column=by[0].column)
    chosen = by[0].value if by else BY[0]
    return [
        token._replace(leaf=replace(term, by=chosen))
        if (term := _of_field(token, "similar"))
        else token
        for token in found
    ]


def _of_field(token: Token, field: str) -> Term | None:
    leaf = token.leaf
    return leaf if isinstance(leaf, Term) and leaf.field == field else None


def _is_setting(node: Node) -> TypeGuard[Term]:
    return isinstance(node, Term) and node.field in SETTINGS


class _Parser:
    """Recursive descent, at most `MAX_DEPTH` deep."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._place = 0
        self._settings: list[Term] = []

    def query(self) -> tuple[All, list[Term]]:
        """The conditions, and the settings in the order of their columns; of several the last counts."""
        node = self._choice(0)
        if self._next().mark == ")":
            raise QueryError("this parenthesis closes none", column=self._next().column)
        parts = node.parts if isinstance(node, All) else (node,)
        self._settings += [part for part in parts if _is_setting(part)]
        where = All(tuple(part for part in parts if not _is_setting(part)))
        for leaf in leaves(where):
            if _is_setting(leaf):
                message = f"{leaf.field} holds for the whole query; put it outside the parentheses"
                raise QueryError(f"{message}, not behind NOT or a minus", column=leaf.column)
        return where, sorted(self._settings, key=lambda term: term.column)

    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _choice(self, depth: int) -> Node:
        chains = [self._chain(depth)]
        if self._next().mark != "OR":
            return chains[0]
        while self._next().mark == "OR":
            operator = self._take()
            if not chains[-1].parts:
                self._missing(operator, "before")
            chains.append(self._chain(depth))
            if not chains[-1].parts:
                self._missing(operator, "behind")
        return disjunction([simplest(chain) for chain in chains])

    def _chain(self, depth: int) -> All:
        parts: list[Node] = []
        operator: Token | None = None
        start = self._place
        while self._next().mark not in (")", "OR", "end"):
            if self._next().mark == "AND":
                if operator or self._place == start:
                    self._missing(self._next(), "before")
                operator = self._take()
                continue
            operator = None
            part = self._operand(depth)
            if depth == 0 and _is_setting(part):
                self._settings.append(part)  # so that it holds for the other side of an OR too
            else:
                parts.append(part)
        if operator:
            self._missing(operator, "behind")
        return conjunction(parts)

    def _operand(self, depth: int) -> Node:
        operator, negated = None, False
        while self._next().mark in ("NOT", "-"):
            operator, negated = self._take(), not negated
        part: Node | None = self._next().leaf
        if part is not None:
            self._take()
        elif self._next().mark == "(":
            part = self._group(depth + 1)
        else:
            self._missing(operator or self._next(), "behind")
        return negation(part) if negated else part

    def _group(self, depth: int) -> Node:
        opening = self._take()
        if depth > MAX_DEPTH:
            message = f"parentheses nest at most {MAX_DEPTH} deep"
            raise QueryError(message, column=opening.column)
        node = self._choice(depth)
        if self._next().mark != ")":
            raise QueryError("this parenthesis is never closed", column=opening.column)
        self._take()
        if node == All(()):
            raise QueryError("there is nothing between the parentheses", column=opening.column)
        return simplest(node)

    def _missing(self, operator: Token, side: str) -> NoReturn:
        hint = "sort, limit, scorer and by are none" if self._settings else "in quotes it is a word"
        message = f"{operator.mark} has no condition {side} it; {hint}"
        raise QueryError(message, column=operator.column)
