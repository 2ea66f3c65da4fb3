"""A query's text as tokens: words, terms, operators and parentheses, each with its column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple

from neuroexplain.catalogue.language.fields import FIELDS, check
from neuroexplain.catalogue.language.query import Term, WordKind, Words, shorten
from neuroexplain.catalogue.searching.word_list import plain
from neuroexplain.errors import QueryError, unknown

Mark = Literal["(", ")", "AND", "OR", "NOT", "-", "end"]
SHORTEST_PREFIX = 2
SHORTEST_PART = 3

_TOKEN = re.compile(
    rf"""
    (?P<space> \s+ )
    | (?P<mark> [()] | (?:AND|OR|NOT)(?![^\s()]) )
    | (?P<field> -?sort | [^\W\d]\w* ) (?P<op> : | >= | <= | > | < )
        (?: "(?P<quoted> (?:[^"]|"")* )(?P<value_end> "? ) | (?P<value> [^\s()]* ) )
    | (?P<equated> {"|".join(FIELDS)} ) !?=
    | (?P<minus> - )(?=[^\s)])
    | "(?P<phrase> (?:[^"]|"")* )(?P<phrase_end> "? )(?P<star> \*? )
    | (?P<word> [^\s()]+ )
    """,
    re.VERBOSE,
)
_COMPARISON = re.compile(r":.*|[<>]=?[-+.0-9]*|!?=.*", re.DOTALL)


class Token(NamedTuple):
    """A word or a term, or a mark between them."""

    mark: Mark | None
    """None for a word or a term."""
    column: int
    """Place in the query, from 1."""
    leaf: Words | Term | None = None


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a query; the last is `end`.

    Raises:
        QueryError: an unknown field, a bad value, a quote that is not closed or a word that nothing can be found by.
    """
    for match in _TOKEN.finditer(text):
        column = match.start() + 1
        if match["space"]:
            continue
        if mark := match["mark"] or match["minus"]:
            yield Token(mark, column)  # type: ignore[arg-type]  # the pattern has no others
        elif match["field"]:
            yield Token(None, column, _term(match, column))
        elif name := match["equated"]:
            message = f'{name} is compared without "="; write {name}:VALUE, or -{name}:VALUE'
            raise QueryError(message, column=column)
        elif word := match["word"]:
            yield Token(None, column, _word(word, column))
        else:
            yield Token(None, column, _phrase(match, column))
    yield Token("end", len(text) + 1)


def _term(match: re.Match[str], column: int) -> Term:
    field, value = match["field"], match["value"]
    if match["quoted"] is not None:
        value = _unquote(match, "quoted", "value_end")
    if field == "-sort":
        field, value = "sort", f"-{value}"
    if field not in FIELDS:
        message = f"{unknown('field', field, FIELDS)}; put it in quotes to look for the words"
        raise QueryError(message, column=column)
    if match["op"] != ":" and FIELDS[field] not in ("integer", "number"):
        raise QueryError(f"{field} cannot be compared; write {field}:VALUE", column=column)
    if not value:
        message = f"{field} has no value; write {field}{match['op']}VALUE without a space between"
        raise QueryError(message, column=column)
    term = Term(field, match["op"], value, column)
    check(term)
    return term


def _phrase(match: re.Match[str], column: int) -> Words:
    text = _unquote(match, "phrase", "phrase_end")
    star = bool(match["star"])
    _findable(text, column)
    if star:
        _long_enough(text, column)
    return Words(text, "phrase", column, star=star)


def _unquote(match: re.Match[str], body: str, end: str) -> str:
    if not match[end]:
        message = 'this quote is never closed; put a " behind the last word'
        raise QueryError(message, column=match.start(body))
    rest = match.string[match.end() : match.end() + 1]
    if rest not in ("(", ")") and not rest.isspace() and rest:
        message = 'a space is missing behind the quote; a " within quotes is written twice'
        raise QueryError(message, column=match.end() + 1)
    return match[body].replace('""', '"')


def _word(word: str, column: int) -> Words:
    if word == "-":
        message = "a minus stands directly before what must not be there, as in -river"
        raise QueryError(message, column=column)
    if _COMPARISON.fullmatch(word):
        message = f'"{shorten(word)}" stands directly behind a field, as in layer:3 or score>=0.4'
        raise QueryError(f"{message}; put it in quotes to look for it", column=column)
    text = word.strip("*")
    _findable(text, column, shown=word)
    if "*" in text:
        message = f'"{shorten(word)}": a * goes before or behind a word, not within it'
        raise QueryError(message, column=column)
    kind: WordKind = "part" if word.startswith("*") else "prefix" if word != text else "word"
    if kind == "prefix":
        _long_enough(text, column)
    if kind == "part" and not re.fullmatch(rf"\w{{{SHORTEST_PART},}}", plain(text)):
        message = f"a part of a word is {SHORTEST_PART} or more letters and digits, such as *ive*"
        raise QueryError(message, column=column)
    return Words(text, kind, column)


def _findable(text: str, column: int, shown: str | None = None) -> None:
    if not any(map(_is_letter, text)):
        what = shorten(text if shown is None else shown)
        message = f'"{what}" has no letter or digit, so it finds nothing; leave it out'
        raise QueryError(message, column=column)


def _long_enough(text: str, column: int) -> None:
    """Refuse a star behind so little that half of all words begin with it."""
    parts = "".join(c if _is_letter(c) or _is_mark(c) else " " for c in plain(text)).split()
    if not parts or len(parts[-1]) < SHORTEST_PREFIX:
        message = f"the beginning of a word is {SHORTEST_PREFIX} or more letters and digits"
        raise QueryError(f"{message}, such as riv*", column=column)


def _is_letter(character: str) -> bool:
    # A symbol such as an emoji is a word to some full-text engines; the stand-in for a lone surrogate is nothing.
    return character.isalnum() or (
        unicodedata.category(character) in ("So", "Co") and character != "\ufffd"
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
