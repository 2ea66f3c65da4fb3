"""Search: a parsed query to one SQL statement. Every value of the query is a bound parameter."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    column,
    exists,
    false,
    func,
    or_,
    select,
    table,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from neuroexplain.catalogue import codec, grammar, tables
from neuroexplain.catalogue.explanations import superseded
from neuroexplain.catalogue.frames import frame
from neuroexplain.catalogue.grammar import Query, Term
from neuroexplain.errors import QueryError, unknown
from neuroexplain.records import NeuronId

LIMIT = 100
"""Rows, unless the caller or the query says otherwise."""

_FTS = table("explanation_fts", column("rowid"), column("explanation_fts"))
_E, _N, _S = tables.Explanation, tables.Neuron, tables.Score
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_COLUMNS: dict[str, Any] = {
    "layer": _N.layer,
    "idx": _N.idx,
    "score": _S.value,
    "p": _S.p_value,
    "density": tables.Statistics.frac_positive,
    "subject": tables.Subject.name,
    "explainer": _E.explainer,
    "llm": _E.llm,
    "simulator": _S.simulator,
    "scorer": _S.scorer,
}


@dataclass(frozen=True)
class SearchRow:
    """One explanation, with its newest score on the test split."""

    explanation_id: int
    neuron: str
    """Address, SUBJECT/LAYER/INDEX and + or -."""
    layer: int
    idx: int
    polarity: int
    text: str
    explainer: str
    llm: str | None
    status: str
    """`ok` or `failed`."""
    scorer: str | None
    """None where the explanation has no score."""
    score: float | None
    null_mean: float | None
    p_value: float | None
    floor: float | None
    state: str
    """`unreviewed`, `reviewed` or `failed`."""
    reason: str | None
    """Why there is no explanation, or why its score is undefined; None where neither is the case."""


@dataclass(frozen=True)
class SearchResult:
    """The rows of a search, in order."""

    rows: tuple[SearchRow, ...]
    truncated: bool
    """Whether there are more than the limit let through."""

    @property
    def total_shown(self) -> int:
        """How many rows there are here."""
        return len(self.rows)

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as JSON values."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> Any:
        """The rows as a data frame of pandas or polars, whichever is installed.

        Raises:
            CatalogueError: neither is.
        """
        return frame(
            {f.name: [getattr(row, f.name) for row in self.rows] for f in fields(SearchRow)}
        )


def search(connection: Connection, text: str, limit: int | None) -> SearchResult:
    """The explanations that match a query; the smaller of the two limits holds."""
    if limit is not None and limit < 1:
        raise QueryError(f"limit must be at least 1, not {limit}")
    query = grammar.parse(codec.clean(text))
    limits = [n for n in (limit, query.limit) if n is not None]
    most = min(limits, default=LIMIT)
    simulators = [n for t in query.terms if t.field == "simulator" for n in grammar.names(t)]
    statement = rows(query.scorer, simulators).where(*_conditions(query))
    found = connection.execute(statement.order_by(*_order(query)).limit(most + 1)).all()
    _check_names(connection, query, found=bool(found))
    return SearchResult(tuple(to_row(r) for r in found[:most]), truncated=len(found) > most)


def rows(scorer: str, simulators: list[str] | None = None) -> Select[*tuple[Any, ...]]:
    """Explanations that nothing supersedes, joined with all that a row shows."""
    newest = select(func.max(col(_S.id))).where(
        col(_S.explanation_id) == col(_E.id), col(_S.scorer) == scorer, col(_S.split) == "test"
    )
    if simulators:
        newest = newest.where(col(_S.simulator).in_(simulators))
    subject, statistics = tables.Subject, tables.Statistics
    columns = (_E.id, _E.polarity, _E.text, _E.explainer, _E.llm, _E.status, _E.run_id)
    scores = (_S.scorer, _S.value, _S.null_mean, _S.null_reason, _S.p_value, _S.floor, _S.reason)
    return (
        select(
            *(col(c) for c in columns),
            col(_E.reason).label("failure"),
            *(col(c) for c in (_N.layer, _N.idx, subject.name)),
            *(col(c) for c in scores),
            _reviewed().label("reviewed"),
        )
        .select_from(_E)
        .join(_N, col(_N.id) == col(_E.neuron_id))
        .join(subject, col(subject.id) == col(_N.subject_id))
        .join(
            statistics,
            and_(
                col(statistics.neuron_id) == col(_E.neuron_id),
                col(statistics.collection_id) == col(_E.collection_id),
            ),
        )
        .outerjoin(_S, col(_S.id) == newest.correlate(_E).scalar_subquery())
        .where(~superseded(_E))
    )


def to_row(row: Any) -> SearchRow:
    """A row of `rows` as a record."""
    state = "failed" if row.status == "failed" else "reviewed" if row.reviewed else "unreviewed"
    return SearchRow(
        explanation_id=row.id,
        neuron=str(NeuronId(row.name, row.layer, row.idx, row.polarity)),
        layer=row.layer,
        idx=row.idx,
        polarity=row.polarity,
        text=row.text,
        explainer=row.explainer,
        llm=row.llm,
        status=row.status,
        scorer=row.scorer,
        score=row.value,
        null_mean=row.null_mean,
        p_value=row.p_value,
        floor=row.floor,
        state=state,
        reason=row.failure or row.reason,
    )


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    conditions = [_condition(term) for term in query.terms]
    if not any(term.field == "state" for term in query.terms):
        conditions.append(col(_E.status) == "ok")
    if query.words:
        matches = select(_FTS.c.rowid).where(
            _FTS.c.explanation_fts.match(" AND ".join(query.words))
        )
        conditions.append(col(_E.id).in_(matches))
    return conditions


def _condition(term: Term) -> ColumnElement[bool]:
    match grammar.FIELDS[term.field]:
        case "names":
            return col(_COLUMNS[term.field]).in_(grammar.names(term))
        case "polarity":
            return col(_E.polarity) == grammar.polarity(term)
        case "state":
            return _state(grammar.state(term))
        case "text":
            return _peaks_on(term.value) if term.field == "token" else _ngram(term.value)
    if term.field == "run":
        score = aliased(tables.Score)
        scored = exists().where(
            col(score.explanation_id) == col(_E.id), _within(term, score.run_id)
        )
        return or_(_within(term, _E.run_id), scored)
    return _within(term, _COLUMNS[term.field])


def _within(term: Term, column: Any) -> ColumnElement[bool]:
    ranges = grammar.alternatives(term)
    return or_(
        false(), *(and_(*(_COMPARE[op](col(column), n) for op, n in bounds)) for bounds in ranges)
    )


def _reviewed() -> ColumnElement[bool]:
    return exists().where(col(tables.Review.explanation_id) == col(_E.id))


def _state(state: str) -> ColumnElement[bool]:
    if state == "failed":
        return col(_E.status) == "failed"
    good = col(_E.status) == "ok"
    return and_(good, _reviewed() if state == "reviewed" else ~_reviewed())


def _peaks_on(token: str) -> ColumnElement[bool]:
    peak = tables.PeakToken
    return exists().where(
        col(peak.collection_id) == col(_E.collection_id),
        col(peak.neuron_id) == col(_E.neuron_id),
        col(peak.polarity) == col(_E.polarity),
        col(peak.token) == token.strip(),
    )


def _ngram(part: str) -> ColumnElement[bool]:
    ngram = tables.Ngram
    return exists().where(
        col(ngram.collection_id) == col(_E.collection_id),
        col(ngram.neuron_id) == col(_E.neuron_id),
        col(ngram.polarity) == col(_E.polarity),
        func.instr(col(ngram.ngram), part) > 0,
    )


def _order(query: Query) -> list[Any]:
    columns: dict[str, list[Any]] = {
        "score": [col(_S.value)],
        "p": [col(_S.p_value)],
        "layer": [col(_N.layer), col(_N.idx)],
        "newest": [col(_E.id)],
    }
    chosen = columns[query.sort]
    keys = [c.desc() if query.descending else c.asc() for c in chosen]
    # What is undefined comes last in either direction.
    return [chosen[0].is_(None), *keys, col(_E.id)]


def _check_names(connection: Connection, query: Query, *, found: bool) -> None:
    """Refuse names that occur nowhere, where they are why nothing was found.

    An unknown scorer hides no rows, but shows all of them without a score, so it is always refused.
    """
    asked = [("scorer", query.scorer, "")] if query.scorer != "correlation" else []
    if not found:
        asked += [
            (term.field, name, f"column {term.column}: ")
            for term in query.terms
            if grammar.FIELDS[term.field] == "names"
            for name in grammar.names(term)
        ]
    for field, name, where in asked:
        column: Any = col(_COLUMNS[field])
        if connection.scalar(select(column).where(column == name).limit(1)) is None:
            values = connection.scalars(select(column).distinct())
            known = [str(value) for value in values if value is not None]
            if known:
                raise QueryError(f"{where}{unknown(field, name, known)}")
