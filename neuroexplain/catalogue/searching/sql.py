"""Pieces of SQL with their values, for statements that are put together anew for every search.

SQLAlchemy would take longer over such a statement than the database. Only this package writes the texts; whatever a user
typed is a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection


@dataclass(frozen=True)
class Sql:
    """A piece of SQL with a `?` for every value."""

    text: str
    values: tuple[Any, ...] = ()

    def __add__(self, other: Sql | str) -> Sql:
        if isinstance(other, str):
            return Sql(self.text + other, self.values)
        return Sql(self.text + other.text, self.values + other.values)


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")


def joined(separator: str, pieces: Iterable[Sql]) -> Sql:
    """Pieces with a separator between them."""
    parts = list(pieces)
    return Sql(separator.join(p.text for p in parts), tuple(v for p in parts for v in p.values))


def all_of(conditions: Sequence[Sql]) -> Sql:
    """Whether all conditions hold; of none, true."""
    return _grouped(" AND ", conditions, TRUE)


def any_of(conditions: Sequence[Sql]) -> Sql:
    """Whether one of some conditions holds; of none, false."""
    return _grouped(" OR ", conditions, FALSE)


def _grouped(separator: str, conditions: Sequence[Sql], empty: Sql) -> Sql:
    if len(conditions) < 2:
        return conditions[0] if conditions else empty
    inside = joined(separator, conditions)
    return Sql(f"({inside.text})", inside.values)


def negated(condition: Sql) -> Sql:
    """Whether a condition does not hold; what is undefined does not."""
    return Sql(f"({condition.text}) IS NOT TRUE", condition.values)


def within(column: str, values: Sequence[Any]) -> Sql:
    """Whether a column is one of a few values."""
    if not values:
        return FALSE
    return Sql(f"{column} IN ({', '.join('?' for _ in values)})", tuple(values))


def postgresql(connection: Connection) -> bool:
    """Whether the database is PostgreSQL; else it is SQLite."""
    return connection.dialect.name == "postgresql"


def numbers(connection: Connection, values: Iterable[int]) -> Sql:
    """A table with a column `id` of any number of whole numbers, as one value."""
    given = (json.dumps([int(value) for value in values]),)
    if postgresql(connection):
        return Sql(
            "(SELECT CAST(value AS BIGINT) AS id FROM json_array_elements_text(CAST(? AS JSON)))",
            given,
        )
    return Sql("(SELECT value AS id FROM json_each(?))", given)


def stream(connection: Connection, statement: Sql) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement, one after another; has to be read to its end, or closed."""
    text = statement.text
    if postgresql(connection):
        text = text.replace("%", "%%").replace("?", "%s")
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, statement.values)
        while rows := cursor.fetchmany(200):
            yield from rows
    finally:
        cursor.close()


def fetch(connection: Connection, statement: Sql) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return list(stream(connection, statement))
