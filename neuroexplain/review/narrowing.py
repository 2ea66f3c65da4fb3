"""Queries with a term more or less: what facets and heads of tables link to."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.language.fields import LARGEST_FIRST
from neuroexplain.catalogue.language.query import All, Node, Query, Term
from neuroexplain.catalogue.language.unparsing import unparse


def narrowed(query: Query, *terms: tuple[str, str, str]) -> str:
    """A query with some terms, in place of those that it has of these fields.

    >>> narrowed(grammar.parse("rivers layer:3"), ("layer", ":", "4"))
    'rivers layer:4'
    """
    fields = {field for field, _, _ in terms}
    added = tuple(Term(field, op, value, 1) for field, op, value in terms)
    return unparse(replace(query, where=All((*_without(query, fields), *added))))


def widened(query: Query, field: str) -> str:
    """A query without its terms of a field."""
    return unparse(replace(query, where=All(_without(query, {field}))))


def asks(query: Query, field: str, value: str) -> bool:
    """Whether a query asks for exactly this value of a field."""
    terms = (part for part in query.where.parts if isinstance(part, Term))
    return any(term.field == field and term.value == value for term in terms)


def _without(query: Query, fields: set[str]) -> tuple[Node, ...]:
    return tuple(
        part for part in query.where.parts if not (isinstance(part, Term) and part.field in fields)
    )


def page_of(query: str, **more: str) -> str:
    """Address of the catalogue page with a query."""
    return f"/catalogue?{urlencode({'q': query, **more})}"


def sorting(query: Query, field: str, now: str | None) -> tuple[str, str | None]:
    """A query with its results in the order of a field, or the other way round where they are in it; and how they are now.

    Args:
        query: that is changed.
        field: one of `fields.SORTS`.
        now: what the results are in the order of, said or not.

    >>> sorting(grammar.parse("ice"), "score", "score")
    ('ice -sort:score', 'descending')
    >>> sorting(grammar.parse("ice"), "layer", "score")
    ('ice sort:layer', None)
    """
    usual = field in LARGEST_FIRST
    descending = query.descending if query.sort is not None else usual
    order = None if now != field else "descending" if descending else "ascending"
    turned = usual if order is None else not descending
    return unparse(replace(query, sort=field, descending=turned)), order


def parsed(text: str) -> Query:
    """See `grammar.parse`."""
    return grammar.parse(text)
