"""The narrow tables that searches filter, sort and count by: `entry` and `standing`, kept in step with what they are made of.

A row of `explanation` or `score` is long, and the newest score of an explanation takes a search of its own. So what queries
ask for again and again stands in rows of some 60 bytes. Whoever adds explanations, scores or reviews calls a function of
this module in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, select, update
from sqlalchemy import text as sql_text
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.spans import listed
from neuroexplain.catalogue.results.live import superseded
from neuroexplain.catalogue.results.methods import CORRELATION
from neuroexplain.catalogue.searching.word_list import words_of
from neuroexplain.catalogue.storage.rows import Prepared, add

_E, _N, _S, _M = tables.Explanation, tables.Neuron, tables.Score, tables.Measure
_ENTRY, _STANDING, _STATISTICS = tables.Entry, tables.Standing, tables.Statistics
UNREVIEWED, REVIEWED, FAILED = 0, 1, 2
"""States of an entry."""
BINS = 40
"""Into which scores between -1 and 1 are counted; one more is for entries without a score."""
_LAYERS, _METHODS, _STATES, _SIDES, _PLACES = 2**12, 2**20, 4, 2, 64
_AT_ONCE = 500
_ADD_WORD = sql_text("INSERT INTO explanation_word (word) VALUES (:word) ON CONFLICT DO NOTHING")


def score_bin(score: float | None) -> int:
    """The bin that a score is counted in: a twentieth wide, from -1 on; those beyond count in the last."""
    if score is None:
        return BINS
    # What is a twentieth to the eye may be a hair less in binary.
    return min(max(int((score + 1) * BINS / 2 + 1e-9), 0), BINS - 1)


def cell(
    subject_id: int, layer: int, method_id: int, state: int, polarity: int, score: float | None
) -> int:
    """All that entries are counted by, in one number; counting equal numbers counts everything at once."""
    number = (subject_id * _LAYERS + layer) * _METHODS + method_id
    return ((number * _STATES + state) * _SIDES + (polarity > 0)) * _PLACES + score_bin(score)


@dataclass(frozen=True)
class Cell:
    """What a cell's number says."""

    subject_id: int
    layer: int
    method_id: int
    state: int
    polarity: int
    bin: int
    """Of the score; BINS where there is none."""

    @classmethod
    def of(cls, number: int) -> Cell:
        """The reverse of `cell`."""
        parts = []
        for size in (_PLACES, _SIDES, _STATES, _METHODS, _LAYERS):
            number, part = divmod(number, size)
            parts.append(part)
        place, side, state, method, layer = parts
        return cls(number, layer, method, state, 1 if side else -1, place)


@dataclass(frozen=True)
class ScoreEntry:
    """A score on the test split that has just been added, and so is the newest of its scorer."""

    scorer_id: int
    explanation_id: int
    score_id: int
    value: float | None
    p_value: float | None


def _live(*conditions: Any) -> Select[*tuple[Any, ...]]:
    """Entries as they should be, of explanations that meet the conditions."""
    newest = (
        select(func.max(col(_S.id)))
        .join(_M, col(_M.id) == col(_S.measure_id))
        .where(
            col(_S.explanation_id) == col(_E.id),
            col(_M.split) == "test",
            col(_M.scorer_id) == CORRELATION,
        )
        .correlate(_E)
        .scalar_subquery()
    )
    reviews = (
        select(func.count())
        .select_from(tables.Review)
        .where(col(tables.Review.explanation_id) == col(_E.id))
        .correlate(_E)
        .scalar_subquery()
    )
    place = (_N.subject_id, _N.layer, _N.idx)
    columns = (_E.id, _E.neuron_id, *place, _E.polarity, _E.method_id, _E.run_id, _E.status)
    return (
        select(
            *(col(c) for c in columns),
            reviews.label("reviews"),
            col(_STATISTICS.frac_positive).label("density"),
            col(_S.value).label("score"),
            col(_S.p_value),
        )
        .join(_N, col(_N.id) == col(_E.neuron_id))
        .outerjoin(
            _STATISTICS,
            (col(_STATISTICS.neuron_id) == col(_E.neuron_id))
            & (col(_STATISTICS.collection_id) == col(_E.collection_id)),
        )
        .outerjoin(_S, col(_S.id) == newest)
        .where(~superseded(_E), *conditions)
    )


_THESE = Prepared(_live(col(_E.id).in_(listed("numbers"))))
_BETWEEN = Prepared(
    _live(col(_E.id) > bindparam("after")).order_by(col(_E.id)).limit(bindparam("most"))
)
_SAME_KEY = Prepared(
    select(col(_E.id)).where(
        col(_E.key).in_(select(col(_E.key)).where(col(_E.id).in_(listed("numbers"))))
    )
)


def _row(found: Any) -> dict[str, Any]:
    failed = found.status == "failed"
    state = FAILED if failed else REVIEWED if found.reviews else UNREVIEWED
    place = {name: getattr(found, name) for name in ("subject_id", "layer", "method_id")}
    return {
        "id": found.id,
        "neuron_id": found.neuron_id,
        **place,
        "idx": found.idx,
        "polarity": found.polarity,
        "state": state,
        "run_id": found.run_id,
        "density": found.density,
        "score": found.score,
        "p_value": found.p_value,
        "cell": cell(**place, state=state, polarity=found.polarity, score=found.score),
    }


def refresh(connection: Connection, explanations: Sequence[int]) -> None:
    """Bring the entries of some explanations, and of others of the same keys, up to date.

    For explanations that have been added or reviewed. Needs a transaction that holds the write lock.
    """
    for start in range(0, len(explanations), _AT_ONCE):
        numbers = json.dumps(list(explanations[start : start + _AT_ONCE]))
        same = [row.id for row in _SAME_KEY(connection, numbers=numbers)]
        numbers = json.dumps(same)
        connection.execute(
            delete(_ENTRY).where(col(_ENTRY.id).in_(listed("numbers"))), {"numbers": numbers}
        )
        add(connection, _ENTRY, [_row(row) for row in _THESE(connection, numbers=numbers)])


_FORGET = delete(_STANDING).where(
    col(_STANDING.scorer_id) == bindparam("scorer"),
    col(_STANDING.explanation_id) == bindparam("explanation"),
)


def note_scores(connection: Connection, scores: Sequence[ScoreEntry]) -> None:
    """Take in scores that have been added. Needs a transaction that holds the write lock."""
    newest = {(s.scorer_id, s.explanation_id): s for s in scores}
    ours = [s for s in newest.values() if s.scorer_id == CORRELATION]
    others = [s for s in newest.values() if s.scorer_id != CORRELATION]
    if ours:
        places: dict[str, Any] = {n: bindparam(n) for n in ("number", "place")}
        statement = (
            update(_ENTRY)
            .where(col(_ENTRY.id) == places["number"])
            .values(
                score=bindparam("value"),
                p_value=bindparam("p"),
                cell=col(_ENTRY.cell) - col(_ENTRY.cell) % _PLACES + places["place"],
            )
        )
        rows = [
            {"number": s.explanation_id, "value": s.value, "p": s.p_value}
            | {"place": score_bin(s.value)}
            for s in ours
        ]
        connection.execute(statement, rows)
    if others:
        older = [{"scorer": s.scorer_id, "explanation": s.explanation_id} for s in others]
        connection.execute(_FORGET, older)
        add(connection, _STANDING, [vars(s) for s in others])


def forget_score(connection: Connection, scorer_id: int, explanation_id: int) -> None:
    """Take the newest score of an explanation by a scorer out; its place is to be taken by another."""
    if scorer_id != CORRELATION:
        same = {"scorer_id": scorer_id, "explanation_id": explanation_id}
        connection.execute(delete(_STANDING).filter_by(**same))


def add_words(connection: Connection, texts: Iterable[str]) -> None:
    """Take in the words of explanations that have been added, for searches for a part of a word."""
    words = sorted(set().union(*(words_of(text) for text in texts)))
    if words:
        connection.execute(_ADD_WORD, [{"word": word} for word in words])


def _entries(connection: Connection) -> Iterator[dict[str, Any]]:
    """All entries as they should be, in order of their ids."""
    after = 0
    while rows := _BETWEEN(connection, after=after, most=_AT_ONCE):
        yield from map(_row, rows)
        after = rows[-1].id


_STANDINGS = (
    select(col(_M.scorer_id), col(_S.explanation_id), func.max(col(_S.id)).label("score_id"))
    .join(_M, col(_M.id) == col(_S.measure_id))
    .where(col(_M.split) == "test", col(_M.scorer_id) != CORRELATION)
    .group_by(col(_M.scorer_id), col(_S.explanation_id))
    .subquery()
)


def _standings(connection: Connection) -> Iterator[dict[str, Any]]:
    columns = (*_STANDINGS.c, col(_S.value), col(_S.p_value))
    query = select(*columns).join(_S, col(_S.id) == _STANDINGS.c.score_id)
    query = query.order_by(_STANDINGS.c.scorer_id, _STANDINGS.c.explanation_id)
    for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
        yield dict(row._mapping)


def rebuild(connection: Connection) -> None:
    """Make all of it anew. Needs a transaction that holds the write lock."""
    connection.execute(delete(_ENTRY))
    rows = _entries(connection)
    # In blocks: a server that takes rows in by COPY answers no query of the same connection meanwhile.
    while block := list(islice(rows, _AT_ONCE)):
        add(connection, _ENTRY, block)
    connection.execute(delete(_STANDING))
    add(connection, _STANDING, list(_standings(connection)))
    connection.execute(delete(tables.ExplanationWord))
    texts = connection.execute(select(col(_E.text)).execution_options(yield_per=_AT_ONCE))
    for part in texts.partitions():
        add_words(connection, [text for (text,) in part])


def differences(connection: Connection) -> Iterator[str]:
    """Where entries and standings are not what a rebuild would make of them, one line for each."""
    order: dict[Any, list[Any]] = {
        _ENTRY: [_ENTRY.id],
        _STANDING: [_STANDING.scorer_id, _STANDING.explanation_id],
    }
    for table, wanted in ((_ENTRY, _entries(connection)), (_STANDING, _standings(connection))):
        keys = [c.key for c in order[table]]
        query = select(table).order_by(*(col(c) for c in order[table]))
        have = (dict(r._mapping) for r in _stream(connection, query))
        yield from _compared(str(table.__tablename__), keys, have, wanted)


def _stream(connection: Connection, query: Any) -> Iterator[Any]:
    yield from connection.execute(query.execution_options(yield_per=_AT_ONCE))


def _compared(
    table: str,
    keys: Sequence[str],
    have: Iterator[dict[str, Any]],
    wanted: Iterator[dict[str, Any]],
) -> Iterator[str]:
    """Two streams of rows in order of their keys, beside each other."""

    def key(row: dict[str, Any]) -> tuple[int, ...]:
        return tuple(row[name] for name in keys)

    ours, theirs = next(have, None), next(wanted, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and key(ours) < key(theirs)):
            assert ours is not None
            yield f"{table} {key(ours)}: stands for nothing"
            ours = next(have, None)
        elif ours is None or key(theirs) < key(ours):
            yield f"{table} {key(theirs)}: missing"
            theirs = next(wanted, None)
        else:
            wrong = [name for name, value in theirs.items() if ours[name] != value]
            if wrong:
                yield f"{table} {key(ours)}: wrong {', '.join(wrong)}"
            ours, theirs = next(have, None), next(wanted, None)
