"""What a query asks for, as SQL over `entry e`, and where its candidates may come from.

A condition tests one entry. Some conditions can also name all entries that meet them without looking at any other; where
these are few, the search starts from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from neuroexplain.catalogue.language import fields
from neuroexplain.catalogue.language.query import All, Either, Node, Not, Query, Term, Words, leaves
from neuroexplain.catalogue.results.methods import CORRELATION
from neuroexplain.catalogue.searching import stems
from neuroexplain.catalogue.searching.entries import FAILED, REVIEWED, UNREVIEWED
from neuroexplain.catalogue.searching.sql import (
    FALSE,
    TRUE,
    Sql,
    all_of,
    any_of,
    fetch,
    joined,
    negated,
    postgresql,
    within,
)
from neuroexplain.catalogue.searching.text_engines import Fts5, PostgreSql, TextEngine
from neuroexplain.catalogue.searching.vocabulary import Vocabulary
from neuroexplain.catalogue.searching.word_list import plain
from neuroexplain.errors import QueryError

MOST_WORDS = 500
"""Words that may have a part of a word."""
_STATES = {"unreviewed": UNREVIEWED, "reviewed": REVIEWED, "failed": FAILED}
FEW_TEXTS = 40_000
"""Candidates of the full-text index that are cheaper to name than to look for: it names ten thousand in a millisecond."""
FEW_PREFIXED = 200_000
"""The same for the beginning or a part of a word: to look for them takes putting many lists of the index together."""
FEW = 5_000
"""The same of other sources."""
FEW_FAILED = 200_000
"""The same of failures."""
RANKED = ("meaning", "activates", "similar")
"""Fields that need more than SQL: see `rankings`."""


@dataclass(frozen=True)
class Values:
    """Whose scores are shown, compared and sorted by."""

    scorer_id: int
    score: str
    """Column of the value."""
    p_value: str
    join: Sql
    """Behind `entry e`, where these are not columns of it."""
    walked: Sql | None
    """What stands behind FROM to walk the entries that have a value in its order; None where no index has that."""
    tie: str = "e.id"
    """Column of the explanation's row in that index."""


@dataclass(frozen=True)
class Source:
    """Where candidates come from."""

    ids: Sql
    """Selects the column `id`: explanations."""
    parts: tuple[Node, ...]
    """Of the query, that all of them meet."""
    few: int
    """Candidates that are cheaper to look at than to look for."""
    unscored: bool = False
    """Whether hardly any has a score, so that a walk by scores would go through all others and meet none."""


class Conditions:
    """The conditions of one query in one catalogue."""

    def __init__(self, connection: Connection, query: Query, names: Vocabulary) -> None:
        self._connection = connection
        self._query = query
        self.names = names
        self.scans = False
        """Whether every entry is looked at, so that what can be found for all at once should be."""
        self._engine: TextEngine = PostgreSql() if postgresql(connection) else Fts5()

    @cached_property
    def simulators(self) -> list[str]:
        """Whose scores alone count, where the query says so for all of it."""
        parts = self._query.where.parts
        terms = [p for p in parts if isinstance(p, Term) and p.field == "simulator"]
        return [name for term in terms for name in fields.names(term)]

    @cached_property
    def values(self) -> Values:
        """Where scores are found."""
        scorer = self.names.scorers.get(self._query.scorer, 0)
        measures = self.measures(self.simulators) if self.simulators else []
        if self.simulators and measures != self.measures(None):
            newest = "(SELECT max(sc.id) FROM score sc WHERE sc.explanation_id = e.id AND "
            wanted = within("sc.measure_id", measures)
            join = Sql(" LEFT JOIN score n ON n.id = ") + newest + wanted + ")"
            return Values(scorer, "n.value", "n.p_value", join, None)
        if scorer == CORRELATION:
            return Values(scorer, "e.score", "e.p_value", Sql(""), Sql("entry e"))
        same = Sql(" ON n.scorer_id = ? AND n.explanation_id = e.id", (scorer,))
        return Values(
            scorer,
            "n.value",
            "n.p_value",
            Sql(" LEFT JOIN standing n") + same,
            Sql("standing n CROSS JOIN entry e"),
            "n.explanation_id",
        )

    def measures(self, simulators: Sequence[str] | None) -> list[int]:
        """What scores by the query's scorer are of: those of some simulators, or of all."""
        return [
            number
            for number, (scorer, simulator, _) in self.names.measures.items()
            if scorer == self._query.scorer and (simulators is None or simulator in simulators)
        ]

    def of(self, node: Node) -> Sql:
        """Whether an entry is what a part of the query asks for."""
        if _is_text(node):
            return self._probe(node)
        match node:
            case All(parts):
                return all_of([self.of(part) for part in parts])
            case Either(parts):
                return any_of([self.of(part) for part in parts])
            case Not(part):
                return negated(self.of(part))
            case Term():
                return self._term(node)
        raise AssertionError(f"no condition: {node}")

    def _probe(self, node: Node) -> Sql:
        """Whether an entry's explanation has some words; most rows are ruled out by a look at the text."""
        expression = self._text(node)
        if self.scans or _is_many(node):  # then all at once
            return Sql("e.id IN (") + self._engine.ids(expression) + ")"
        probe = self._engine.probe(expression)
        look = stems.may_have(node) if isinstance(self._engine, Fts5) else None
        if look is None:
            return probe
        first = Sql("CASE WHEN EXISTS (SELECT 1 FROM explanation x WHERE x.id = e.id AND ") + look
        return first + Sql(") THEN ") + probe + Sql(" ELSE FALSE END")

    def default_state(self) -> Sql:
        """Failures are found only by a query that names states."""
        named = any(term.field == "state" for term in self._query.terms())
        return TRUE if named else Sql("e.state <> ?", (FAILED,))

    def sources(self) -> Iterator[Source]:
        """Statements that name candidates."""
        parts = self._query.where.parts
        texts = tuple(part for part in parts if _is_text(part))
        if texts:
            without = tuple(part for part in parts if isinstance(part, Not) and _is_text(part.part))
            expression = self._text(All(texts))
            for absent in without:
                expression = self._engine.without(expression, self._text(absent.part))
            few = FEW_PREFIXED if any(map(_is_many, texts)) else FEW_TEXTS
            yield Source(self._engine.ids(expression), (*texts, *without), few)
        for part in parts:
            if isinstance(part, Term) and part.field == "state":
                wanted = [_STATES[name] for name in fields.states(part)]
                if UNREVIEWED not in wanted:
                    ids = Sql("SELECT id FROM entry WHERE state <> 0 AND ") + within(
                        "state", wanted
                    )
                    unscored = wanted == [FAILED]
                    yield Source(ids, (part,), FEW_FAILED if unscored else FEW, unscored)
            if isinstance(part, Term) and part.field in _SOURCES:
                yield Source(_SOURCES[part.field](part), (part,), FEW)

    def weighed(self, expression: str, most: int) -> Sql:
        """Selects explanations' ids with how well each answers an expression, of the first that are met."""
        return self._engine.weighed(expression, most)

    def text_expression(self) -> str | None:
        """All that the query says about texts, in the words of the full-text engine; None where that is nothing."""
        texts = tuple(part for part in self._query.where.parts if _is_text(part))
        return self._text(All(texts)) if texts else None

    def _text(self, node: Node) -> str:
        match node:
            case Words(kind="part"):
                return self._engine.either([self._engine.one(w) for w in self._expanded(node)])
            case Words():
                return self._engine.one(node)
            case All(parts):
                return self._engine.both([self._text(part) for part in parts])
            case Either(parts):
                return self._engine.either([self._text(part) for part in parts])
        raise AssertionError(f"no text: {node}")

    def _expanded(self, part: Words) -> list[Words]:
        """The words of explanations that a part of a word is in; the part itself where it is in none."""
        statement = Sql(
            f"SELECT word FROM explanation_word WHERE {self._engine.within} LIMIT ?",
            (plain(part.text), MOST_WORDS + 1),
        )
        found = [word for (word,) in fetch(self._connection, statement)]
        if len(found) > MOST_WORDS:
            message = (
                f'more than {MOST_WORDS} words have "{part.text}" in them; write more of the word'
            )
            raise QueryError(message, column=part.column)
        return [Words(word, "word", part.column) for word in found or [part.text]]

    def _unless_one(self, term: Term, column: str) -> str:
        """A column, hidden from SQLite's indexes where it may have several values.

        By an index it would find all entries of some layers, and sort them, where a walk in the order that is wanted ends
        after a page.
        """
        return (
            column if fields.is_one(term) or isinstance(self._engine, PostgreSql) else f"+{column}"
        )

    def _term(self, term: Term) -> Sql:
        match term.field:
            case "layer" | "idx" | "density":
                return _range(term, self._unless_one(term, f"e.{term.field}"))
            case "score":
                return _range(term, self.values.score)
            case "p":
                return _range(term, self.values.p_value)
            case "run":
                scores = _range(term, "sc.run_id")
                by_score = (
                    Sql("EXISTS (SELECT 1 FROM score sc WHERE sc.explanation_id = e.id AND ")
                    + scores
                )
                return any_of([_range(term, "e.run_id"), by_score + ")"])
            case "subject":
                wanted = fields.names(term)
                return within(
                    "e.subject_id", [n for n, s in self.names.subjects.items() if s in wanted]
                )
            case "explainer" | "llm":
                wanted = fields.names(term)
                place = 0 if term.field == "explainer" else 1
                methods = self.names.methods.items()
                return within("e.method_id", [n for n, made in methods if made[place] in wanted])
            case "simulator":
                scored = within("sc.measure_id", self.measures(fields.names(term)))
                return (
                    Sql("EXISTS (SELECT 1 FROM score sc WHERE sc.explanation_id = e.id AND ")
                    + scored
                    + ")"
                )
            case "polarity":
                return Sql("e.polarity = ?", (fields.polarity(term),))
            case "state":
                return within("e.state", [_STATES[name] for name in fields.states(term)])
            case "token" | "ngram" | "verdict" | "tag":
                return _PROBES[term.field](term)
        message = f"{term.field} holds for the whole query: it cannot stand under OR or NOT"
        raise QueryError(message, column=term.column)


def _is_many(node: Node) -> bool:
    """Whether a condition on texts stands for any number of words."""
    return any(
        isinstance(leaf, Words) and (leaf.kind in ("prefix", "part") or leaf.star)
        for leaf in leaves(node)
    )


def _is_text(node: Node) -> bool:
    match node:
        case Words():
            return True
        case All(parts) | Either(parts):
            return all(_is_text(part) for part in parts)
    return False


def _range(term: Term, column: str) -> Sql:
    """Whether a column is within the ranges of a term."""
    ranges = [
        all_of([Sql(f"{column} {operator} ?", (number,)) for operator, number in bounds])
        for bounds in fields.alternatives(term)
    ]
    return any_of(ranges) if ranges else FALSE


def _of_neuron(term: Term, start: str) -> Sql:
    """Rows about neurons of the collection that an explanation was made from, on its side."""
    table, condition, value = {
        "token": ("peak_token", "y.token = ?", term.value.strip()),
        "ngram": ("ngram", "instr(y.ngram, ?) > 0", term.value),
    }[term.field]
    same = "y.neuron_id = x.neuron_id AND y.collection_id = x.collection_id AND y.polarity = x.polarity"
    return Sql(f"{start} FROM {table} y JOIN explanation x ON {same} WHERE {condition}", (value,))


def _run_source(term: Term) -> Sql:
    """Explanations that some runs wrote, and those that they scored."""
    written = Sql("SELECT x.id AS id FROM explanation x WHERE ") + _range(term, "x.run_id")
    scored = Sql("SELECT sc.explanation_id FROM score sc WHERE ") + _range(term, "sc.run_id")
    return joined(" UNION ", [written, scored])


def _verdict(start: str, term: Term) -> Sql:
    wanted = within("r.verdict", fields.names(term))
    return Sql(f"{start} FROM review r WHERE ") + wanted


def _tag(start: str, term: Term) -> Sql:
    return Sql(
        f"{start} FROM review r JOIN review_tag t ON t.review_id = r.id WHERE t.tag = ?",
        (term.value,),
    )


_ALL = "SELECT DISTINCT r.explanation_id AS id"
_SOURCES: dict[str, Callable[[Term], Sql]] = {
    "token": lambda term: _of_neuron(term, "SELECT DISTINCT x.id AS id"),
    "ngram": lambda term: _of_neuron(term, "SELECT DISTINCT x.id AS id"),
    "run": _run_source,
    "verdict": lambda term: _verdict(_ALL, term),
    "tag": lambda term: _tag(_ALL, term),
}
_PROBES: dict[str, Callable[[Term], Sql]] = {
    "token": lambda term: Sql("EXISTS (") + _of_neuron(term, "SELECT 1") + " AND x.id = e.id)",
    "ngram": lambda term: Sql("EXISTS (") + _of_neuron(term, "SELECT 1") + " AND x.id = e.id)",
    "verdict": lambda term: (
        Sql("EXISTS (") + _verdict("SELECT 1", term) + " AND r.explanation_id = e.id)"
    ),
    "tag": lambda term: Sql("EXISTS (") + _tag("SELECT 1", term) + " AND r.explanation_id = e.id)",
}
