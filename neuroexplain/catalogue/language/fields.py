"""The fields of a query: what each means, and how its values read."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from neuroexplain.catalogue.language.query import Term
from neuroexplain.errors import ConfigError
from neuroexplain.records import NeuronId

Kind = Literal[
    "integer", "number", "names", "text", "polarity", "state", "sort", "neuron", "by", "limit"
]
Bound = tuple[str, float]
"""A comparison, for example `(">=", 3)`."""


class Help(NamedTuple):
    """A row of the table that the command, the README and the page print."""

    field: str
    """Empty for words and operators."""
    kind: Kind | Literal["words", "operator"]
    meaning: str
    example: str


HELP: tuple[Help, ...] = (
    Help("", "words", "a word in the explanation, in any form", "river"),
    Help("", "words", "words in this order", '"of ice"'),
    Help("", "words", "the beginning of a word, from 2 letters", "riv*"),
    Help("", "words", "any part of a word, from 3 letters", "*ive*"),
    Help("", "operator", "both; a space means the same", "river AND ice"),
    Help("", "operator", "one of the two, or both; binds less than AND", "river OR lake"),
    Help("", "operator", "not; also a minus before a word, a field or a parenthesis", "NOT river"),
    Help("", "operator", "what belongs together", "ice (river OR lake)"),
    Help("layer", "integer", "layer, from 0", "layer:3..8"),
    Help("idx", "integer", "place of the neuron in its layer, from 0", "idx:3,5"),
    Help("subject", "names", "subject model", "subject:minilm"),
    Help("polarity", "polarity", "side of the activation", "polarity:-"),
    Help("density", "number", "share of tokens with the neuron above 0", "density<=0.01"),
    Help("score", "number", "newest score on the test split", "score>=0.4"),
    Help("p", "number", "p-value of that score", "p<=0.05"),
    Help("scorer", "text", "scorer whose scores count; else correlation", "scorer:detection"),
    Help("simulator", "names", "simulator that was scored", "simulator:sparse"),
    Help("explainer", "names", "explainer that wrote the text", "explainer:ngram,fixed"),
    Help("llm", "names", "language model that wrote the text", "llm:local:smollm2"),
    Help("token", "text", "token on which the neuron peaks", 'token:"Paris"'),
    Help("ngram", "text", "part of an n-gram that drives the neuron", 'ngram:"the ice"'),
    Help("state", "state", "unreviewed, reviewed, failed or any", "state:reviewed,failed"),
    Help("verdict", "names", "what a reviewer decided", "verdict:wrong"),
    Help("tag", "text", "what a reviewer filed it under", "tag:geography"),
    Help("run", "integer", "run that wrote or scored it", "run:12"),
    Help("meaning", "text", "explanations of a like meaning", 'meaning:"frozen water"'),
    Help("similar", "neuron", "neurons like this one", "similar:minilm/3/17+"),
    Help("by", "by", "what similar means: activations (else) or text", "by:text"),
    Help("activates", "text", "neurons that fire on this text", 'activates:"The river froze"'),
    Help("sort", "sort", "order; turned round by a minus", "-sort:score"),
    Help("limit", "limit", "rows at most", "limit:20"),
)
"""All that a query may hold. `by`, of `similar`, is shown where `similar` is."""

FIELDS: dict[str, Kind] = {
    row.field: row.kind for row in HELP if row.kind != "words" and row.kind != "operator"
}
SETTINGS = ("sort", "limit", "scorer", "by")
"""Fields that are no conditions but hold for the whole query."""
STATES = ("unreviewed", "reviewed", "failed")
SORTS = ("score", "p", "layer", "newest", "density", "relevance", "similarity")
LARGEST_FIRST = ("score", "newest", "relevance", "similarity")
"""Orders that begin with the largest; the others begin with the smallest."""
BY = ("activations", "text")
MAX_INTEGER = 2**63 - 1

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def check(term: Term) -> None:
    """Refuse a bad value.

    Raises:
        QueryError: the value is none of the field's; the message has the valid ones and the column.
    """
    match FIELDS[term.field]:
        case "integer" | "number":
            alternatives(term)
        case "names":
            names(term)
        case "polarity":
            polarity(term)
        case "state":
            states(term)
        case "neuron":
            neuron(term)
        case "sort":
            order(term)
        case "by":
            if term.value not in BY:
                raise term.wrong(", ".join(BY))
        case "limit":
            limit(term)
        case "text":
            # A token or an n-gram may be a space.
            if term.field not in ("token", "ngram") and not term.value.strip():
                raise term.wrong("a text")


def alternatives(term: Term) -> list[list[Bound]]:
    """What a number may be: any of the alternatives, each of which is bounds that must all hold.

    >>> alternatives(Term("layer", ":", "1,3..5", 1))
    [[('=', 1)], [('>=', 3), ('<=', 5)]]
    """
    if term.op != ":":
        return [[(term.op, _number(term, term.value))]]
    parts = term.value.split(",") if FIELDS[term.field] == "integer" else [term.value]
    return [_range(term, part) for part in parts]


def is_one(term: Term) -> bool:
    """Whether a number may have one value only."""
    found = alternatives(term)
    return len(found) == 1 and len(found[0]) == 1 and found[0][0][0] == "="


def _range(term: Term, part: str) -> list[Bound]:
    low, dots, high = part.partition("..")
    if not dots:
        return [("=", _number(term, part))]
    bounds = [(">=", _number(term, low)), ("<=", _number(term, high))]
    if bounds[0][1] > bounds[1][1]:
        raise term.wrong("a range from the smaller to the larger number")
    return bounds if bounds[0][1] < bounds[1][1] else [("=", bounds[0][1])]


def _number(term: Term, text: str) -> float:
    if FIELDS[term.field] == "integer":
        if not _INTEGER.fullmatch(text) or abs(int(text)) > MAX_INTEGER:
            raise term.wrong("a whole number, for example 3, 3..8 or 3,5")
        return int(text)
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise term.wrong("a number, for example 0.4 or 0.2..0.4")
    return float(text)


def names(term: Term) -> list[str]:
    """The names of a list."""
    found = [name for part in term.value.split(",") if (name := part.strip())]
    if not found:
        raise term.wrong("a name, or several with commas between")
    return found


def polarity(term: Term) -> int:
    """+1 or -1."""
    if term.value not in ("+", "-"):
        raise term.wrong("+ and -")
    return 1 if term.value == "+" else -1


def states(term: Term) -> tuple[str, ...]:
    """Those of STATES that a list names, in their order; `any` is all of them."""
    found = set(names(term))
    if not found <= {*STATES, "any"}:
        raise term.wrong(f"{', '.join(STATES)}, any, or several with commas between")
    return STATES if "any" in found else tuple(state for state in STATES if state in found)


def neuron(term: Term) -> NeuronId:
    """The neuron of an address."""
    valid = "SUBJECT/LAYER/INDEX with + or - behind it, for example minilm/3/17+"
    try:
        found = NeuronId.parse(term.value)
    except ConfigError as error:
        raise term.wrong(valid) from error
    if max(found.layer, found.index) > MAX_INTEGER:
        raise term.wrong(valid)
    return found


def order(term: Term) -> tuple[str, bool]:
    """One of SORTS, and whether the largest comes first; `sort:score` has the best first, `sort:layer` the lowest."""
    name = term.value.removeprefix("-")
    if name not in SORTS:
        raise term.wrong(", ".join((*SORTS, *(f"-{sort}" for sort in SORTS))))
    return name, (name in LARGEST_FIRST) != term.value.startswith("-")


def limit(term: Term) -> int:
    """Rows, from 1."""
    if term.op != ":" or not re.fullmatch("[0-9]*[1-9][0-9]*", term.value):
        raise term.wrong("a whole number from 1")
    return min(int(term.value), MAX_INTEGER - 1)
