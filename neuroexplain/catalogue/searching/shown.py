"""The rows that searches show: explanations with all that is said of them, read for a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from neuroexplain.catalogue.searching.found import Cursor, SearchRow
from neuroexplain.catalogue.searching.sql import Sql, numbers, stream, within
from neuroexplain.catalogue.searching.vocabulary import Vocabulary

STATES = ("unreviewed", "reviewed", "failed")


class Place(NamedTuple):
    """A match, and where it stands in the result."""

    id: int
    """Of the explanation."""
    keys: tuple[float, ...] | None
    """What the result is sorted by; None where that is undefined."""
    similarity: float | None = None

    @property
    def cursor(self) -> Cursor:
        """The place as one behind which a page begins."""
        return Cursor(self.keys, self.id)


class Found(NamedTuple):
    """An entry with its explanation and a score, as the database has them."""

    id: int
    subject_id: int
    layer: int
    idx: int
    polarity: int
    state: int
    method_id: int
    text: str
    status: str
    failure: str | None
    run_id: int
    score_id: int | None
    value: float | None
    null_mean: float | None
    null_reason: str | None
    p_value: float | None
    floor: float | None
    reason: str | None
    score_run_id: int | None


_COLUMNS = (
    "e.id, e.subject_id, e.layer, e.idx, e.polarity, e.state, e.method_id, x.text, x.status, x.reason, e.run_id, "
    "s.id, s.value, s.null_mean, s.null_reason, s.p_value, s.floor, s.reason, s.run_id"
)


def stream_found(
    connection: Connection, source: Sql, condition: Sql, measures: Sequence[int]
) -> Iterator[Found]:
    """Entries with their explanations, and the newest of their scores of some measures.

    Args:
        connection: a reading transaction.
        source: what stands behind FROM, and has `entry e`.
        condition: what stands behind WHERE, and all that follows it.
        measures: rows of `measure`.
    """
    newest = Sql(
        " JOIN explanation x ON x.id = e.id LEFT JOIN score s ON s.id = "
        "(SELECT max(sc.id) FROM score sc WHERE sc.explanation_id = e.id AND "
    )
    statement = (
        Sql(f"SELECT {_COLUMNS} FROM ")
        + source
        + newest
        + within("sc.measure_id", measures)
        + ") WHERE "
        + condition
    )
    return map(Found._make, stream(connection, statement))


def measures_of(names: Vocabulary, scorer: str, simulators: Sequence[str]) -> list[int]:
    """What scores by a scorer on the test split are of: those of some simulators, or, without any, of all."""
    return [
        number
        for number, (name, simulator, _) in names.measures.items()
        if name == scorer and (not simulators or simulator in simulators)
    ]


def rows(
    connection: Connection,
    names: Vocabulary,
    scorer: str,
    simulators: Sequence[str],
    places: Sequence[Place],
) -> tuple[SearchRow, ...]:
    """The rows at some places, in their order, with the newest scores by a scorer."""
    source = numbers(connection, [place.id for place in places]) + " c CROSS JOIN entry e"
    measures = measures_of(names, scorer, simulators)
    found = {row.id: row for row in stream_found(connection, source, Sql("e.id = c.id"), measures)}
    return tuple(to_row(found[place.id], names, scorer, place.similarity) for place in places)


def to_row(
    row: Found, names: Vocabulary, scorer: str, similarity: float | None = None
) -> SearchRow:
    """A row as a record."""
    explainer, llm = names.methods[row.method_id]
    side = "+" if row.polarity > 0 else "-"
    # By place, in the order of the fields: a page of rows is made in half the time.
    return SearchRow(
        row.id,
        f"{names.subjects[row.subject_id]}/{row.layer}/{row.idx}{side}",
        row.layer,
        row.idx,
        row.polarity,
        row.text,
        explainer,
        llm,
        row.status,
        None if row.score_id is None else scorer,
        row.value,
        row.null_mean,
        row.p_value,
        row.floor,
        STATES[row.state],
        row.failure or row.reason,
        similarity,
    )
