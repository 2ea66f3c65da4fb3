r"""The query language of `search`: text to terms, with the column of every mistake.

    query  = { term }                                every term must hold
    term   = word | word "*" | '"' phrase '"' | field op value
    op     = ":" | ">=" | "<=" | ">" | "<"           comparisons for numbers only
    value  = word | '"' phrase '"'                   a quote within a phrase is doubled

Numbers may be a range (`layer:3..8`); whole numbers and names may be a list (`layer:3,5`, `explainer:ngram,fixed`).
Words and phrases without a field are looked for in the explanations' text, where words match by their stem.

>>> parse('rivers "of ice" layer:3..8 score>=0.4').words
('"rivers"', '"of ice"')
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from neuroexplain.errors import QueryError, unknown

Kind = Literal["integer", "number", "names", "text", "polarity", "state", "sort"]
Bound = tuple[str, float]
"""A comparison, for example `(">=", 3)`."""

FIELDS: dict[str, Kind] = {
    "layer": "integer",
    "idx": "integer",
    "run": "integer",
    "limit": "integer",
    "score": "number",
    "p": "number",
    "density": "number",
    "subject": "names",
    "explainer": "names",
    "llm": "names",
    "simulator": "names",
    "scorer": "text",
    "token": "text",
    "ngram": "text",
    "polarity": "polarity",
    "state": "state",
    "sort": "sort",
}
STATES = ("unreviewed", "reviewed", "failed")
SORTS = ("score", "p", "layer", "newest")
MAX_LENGTH = 2000
"""Characters of a query."""
MAX_INTEGER = 2**63 - 1

_TERM = re.compile(
    r"""
    (?P<field> -?[^\W\d_]+ ) (?P<op> : | >= | <= | > | < )
        (?: "(?P<quoted> (?:[^"]|"")* )(?:"|$) | (?P<value> \S* ) )
    | "(?P<phrase> (?:[^"]|"")* )(?:"|$) (?P<star> \*? )
    | (?P<word> \S+ )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Term:
    """A condition on a field."""

    field: str
    op: str
    value: str
    column: int
    """Place in the query, from 1."""

    def wrong(self, valid: str) -> QueryError:
        """The error of a bad value."""
        shown = self.value if len(self.value) <= 40 else f"{self.value[:40]}…"
        return QueryError(
            f'{self.field}: bad value "{shown}" at column {self.column}; valid: {valid}'
        )


@dataclass(frozen=True)
class Query:
    """A parsed query: all words and all terms must hold."""

    words: tuple[str, ...]
    """Quoted for the full-text index, with `*` behind a prefix."""
    terms: tuple[Term, ...]
    scorer: str
    """Whose scores are shown, compared and sorted by."""
    sort: str
    descending: bool
    limit: int | None


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        QueryError: an unknown field, a bad value or too long a query; the message has the column and what is valid.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a query has at most {MAX_LENGTH} characters, this one has {len(text)}")
    words, terms = [], []
    for match in _TERM.finditer(text):
        if match["field"]:
            terms.append(_term(match))
        else:
            phrase, word = match["phrase"], match["word"] or ""
            plain = word.rstrip("*") if phrase is None else phrase.replace('""', '"')
            star = match["star"] or "*" * word.endswith("*")
            if plain:
                words.append(_quote(plain) + star)
    sort, descending = _sort(terms)
    return Query(
        words=tuple(words),
        terms=tuple(t for t in terms if t.field not in ("sort", "limit", "scorer")),
        scorer=next((t.value for t in reversed(terms) if t.field == "scorer"), "correlation"),
        sort=sort,
        descending=descending,
        limit=min((_limit(t) for t in terms if t.field == "limit"), default=None),
    )


def _term(match: re.Match[str]) -> Term:
    column = match.start() + 1
    field, quoted = match["field"], match["quoted"]
    value = match["value"] if quoted is None else quoted.replace('""', '"')
    if field == "-sort":
        field, value = "sort", f"-{value}"
    term = Term(field, match["op"], value, column)
    if field not in FIELDS:
        message = unknown("field", field, FIELDS)
        raise QueryError(f"column {column}: {message}; put it in quotes to look for the words")
    if term.op != ":" and FIELDS[field] not in ("integer", "number"):
        raise QueryError(f"column {column}: {field} cannot be compared; write {field}:VALUE")
    if not value:
        raise QueryError(f"column {column}: {field} has no value")
    return term


def _quote(word: str) -> str:
    # Inside double quotes the full-text engine reads words alone; a NUL would end its text early.
    return '"' + word.replace('"', '""').replace("\0", " ") + '"'


def _sort(terms: list[Term]) -> tuple[str, bool]:
    """Column and direction; `sort:score` has the best first, `sort:layer` the lowest."""
    for term in reversed(terms):
        if term.field == "sort":
            name = term.value.removeprefix("-")
            if name not in SORTS:
                raise term.wrong(", ".join((*SORTS, *(f"-{s}" for s in SORTS))))
            return name, (name in ("score", "newest")) != term.value.startswith("-")
    return "score", True


def _limit(term: Term) -> int:
    if (
        term.op != ":"
        or not term.value.isascii()
        or not term.value.isdigit()
        or int(term.value) < 1
    ):
        raise term.wrong("a whole number from 1")
    return min(int(term.value), MAX_INTEGER - 1)


def alternatives(term: Term) -> list[list[Bound]]:
    """What a number may be: any of the alternatives, each of which is bounds that must all hold.

    >>> alternatives(Term("layer", ":", "1,3..5", 1))
    [[('=', 1)], [('>=', 3), ('<=', 5)]]
    """
    if term.op != ":":
        return [[(term.op, _number(term, term.value))]]
    parts = term.value.split(",") if FIELDS[term.field] == "integer" else [term.value]
    return [_range(term, part) for part in parts]


def _range(term: Term, part: str) -> list[Bound]:
    low, dots, high = part.partition("..")
    if not dots:
        return [("=", _number(term, part))]
    bounds = [(">=", _number(term, low)), ("<=", _number(term, high))]
    if bounds[0][1] > bounds[1][1]:
        raise term.wrong("a range from the smaller to the larger number")
    return bounds


def _number(term: Term, text: str) -> float:
    integer = FIELDS[term.field] == "integer"
    try:
        number = int(text) if integer else float(text)
    except ValueError:
        number = math.nan
    if (integer and abs(number) > MAX_INTEGER) or not math.isfinite(number):
        example = "3, 3..8 or 3,5" if integer else "0.4 or 0.2..0.4"
        raise term.wrong(f"a {'whole ' if integer else ''}number, for example {example}")
    return number


def names(term: Term) -> list[str]:
    """The names of a list."""
    return [name for name in term.value.split(",") if name]


def polarity(term: Term) -> int:
    """+1 or -1."""
    if term.value not in ("+", "-"):
        raise term.wrong("+ and -")
    return 1 if term.value == "+" else -1


def state(term: Term) -> str:
    """One of STATES."""
    if term.value not in STATES:
        raise term.wrong(", ".join(STATES))
    return term.value
