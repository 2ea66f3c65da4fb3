"""Statements that are run by the hundred thousand: written once, and then run by the driver itself.

Building a statement, looking its text up again and describing its result cost several times what a small one takes. Values
go in and come out as the driver has them, so columns here are numbers, texts and bytes.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table, insert
from sqlmodel import SQLModel

from neuroexplain.catalogue.codec import clean

_BATCH = 1000
"""Rows that are inserted together."""


class Prepared:
    """A select with parameters (`bindparam`); its rows are tuples with the columns' names."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        names = [column.name for column in statement.selected_columns]
        self._row = namedtuple("Row", names)._make  # type: ignore[misc]  # noqa: PYI024
        self._texts: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def __call__(self, connection: Connection, **values: Any) -> list[Any]:
        """All rows for some values of the parameters."""
        name = connection.dialect.name
        if name not in self._texts:
            compiled: Any = self._statement.compile(dialect=connection.dialect)
            self._texts[name] = str(compiled), tuple(compiled.positiontup), compiled.params
        text, order, fixed = self._texts[name]
        given = fixed | values
        cursor = connection.connection.cursor()
        cursor.execute(text, tuple(given[name] for name in order))
        return [self._row(row) for row in cursor.fetchall()]


def add_one(connection: Connection, table: type[SQLModel], row: Mapping[str, Any]) -> int:
    """Insert a row into a table with an `id`, and return that; texts are made fit for UTF-8."""
    sql, order = _insert(table, tuple(row), connection.dialect, True)
    cursor = connection.connection.cursor()
    cursor.execute(sql, tuple(clean(row[name]) for name in order))
    return int(cursor.fetchall()[0][0])


def add(connection: Connection, table: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows of equal columns, with the texts made fit for UTF-8; a batch at a time."""
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        sql, order = _insert(table, tuple(batch[0]), connection.dialect, False)
        values = [tuple(clean(row[name]) for name in order) for row in batch]
        connection.connection.cursor().executemany(sql, values)


def add_values(
    connection: Connection,
    table: type[SQLModel],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Insert rows given as values in the order of `columns`; texts must be fit for UTF-8."""
    sql, order = _insert(table, tuple(columns), connection.dialect, False)
    places = [columns.index(name) for name in order]
    remaining = iter(rows)
    while batch := [tuple(row[place] for place in places) for row in islice(remaining, _BATCH)]:
        connection.connection.cursor().executemany(sql, batch)


@cache
def _insert(
    table: type[SQLModel], columns: tuple[str, ...], dialect: Dialect, returning: bool
) -> tuple[str, tuple[str, ...]]:
    """The statement, and the order in which it takes the columns' values."""
    made: Table = table.__table__  # type: ignore[attr-defined]
    statement = insert(made).values(dict.fromkeys(columns))
    if returning:
        statement = statement.returning(made.c.id)
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ())
