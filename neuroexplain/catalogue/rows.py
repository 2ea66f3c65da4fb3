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
"""Rows that are taken together."""
_AT_ONCE = 64
"""Rows in one statement."""


class Prepared:
    """A select with parameters (`bindparam`); its rows are tuples with the columns' names."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        names = [column.name for column in statement.selected_columns]
        row: Any = namedtuple("Row", names)  # type: ignore[misc]
        self._row = row._make
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


def add_many(
    connection: Connection, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows of equal columns into a table with an `id`, and return those; texts are made fit for UTF-8.

    Needs a transaction that holds the write lock.
    """
    if not rows:
        return []
    last = connection.connection.cursor().execute(_last(table)).fetchone()[0]
    numbers = [last + place for place in range(1, len(rows) + 1)]
    add(connection, table, [{"id": n, **row} for n, row in zip(numbers, rows, strict=True)])
    return numbers


def add(connection: Connection, table: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows of equal columns, with the texts made fit for UTF-8.

    Many rows go in by one statement: a thread that has the driver take row after row has to get back the interpreter's
    lock after each, and may wait for that far longer than for the row.
    """
    remaining = iter(rows)
    cursor = connection.connection.cursor()
    while batch := list(islice(remaining, _BATCH)):
        columns = tuple(batch[0])
        values = [clean(row[name]) for row in batch for name in columns]
        while batch:
            # Few different numbers of rows, so that the driver knows the statement already.
            n = 1 << (min(len(batch), _AT_ONCE).bit_length() - 1)
            cursor.execute(_several(table, columns, n), values[: n * len(columns)])
            del values[: n * len(columns)], batch[:n]


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
def _last(table: type[SQLModel]) -> str:
    return f"SELECT coalesce(max(id), 0) FROM {table.__tablename__}"


@cache
def _several(table: type[SQLModel], columns: tuple[str, ...], n: int) -> str:
    row = f"({', '.join('?' for _ in columns)})"
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table.__tablename__} ({names}) VALUES {', '.join([row] * n)}"


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
