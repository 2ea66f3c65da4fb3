"""Statements that are run by the hundred thousand: written once, and then run by the driver itself.

Building a statement, looking its text up again and describing its result cost several times what a small one takes. Values
go in and come out as the driver has them, so columns here are numbers, texts and bytes.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Select,
    Table,
    bindparam,
    cast,
    column,
    insert,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import SQLModel

from neuroexplain.catalogue.storage.codec import clean

_BATCH = 1000
"""Rows that are taken together."""
_AT_ONCE = 64
"""Rows in one statement."""


class _Text(NamedTuple):
    """A statement as the driver takes it."""

    sql: str
    order: tuple[str, ...] | None
    """Names of the parameters in their places; None where they go by name."""

    def parameters(self, values: Mapping[str, Any]) -> Any:
        return values if self.order is None else tuple([values[name] for name in self.order])


class Prepared:
    """A select with parameters (`bindparam`); its rows are tuples with the columns' names."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        names = [column.name for column in statement.selected_columns]
        row: Any = namedtuple("Row", names)  # type: ignore[misc]
        self._row = row._make
        self._texts: dict[str, tuple[_Text, dict[str, Any]]] = {}

    def __call__(self, connection: Connection, **values: Any) -> list[Any]:
        """All rows for some values of the parameters."""
        return [self._row(row) for row in self.plain(connection, **values)]

    def plain(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """The same as tuples without names: half the time where there are hundreds."""
        name = connection.dialect.name
        if name not in self._texts:
            compiled: Any = self._statement.compile(dialect=connection.dialect)
            self._texts[name] = _text(compiled), compiled.params
        text, fixed = self._texts[name]
        cursor = connection.connection.cursor()
        cursor.execute(text.sql, text.parameters(fixed | values))
        return list(cursor.fetchall())


class _JsonValues(FunctionElement[Any]):
    """A table of the values of a JSON list, in a column `value`."""

    inherit_cache = True


@compiles(_JsonValues)
def _on_sqlite(element: _JsonValues, compiler: Any, **settings: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **settings)})"


@compiles(_JsonValues, "postgresql")
def _on_postgresql(element: _JsonValues, compiler: Any, **settings: Any) -> str:
    return (
        f"json_array_elements_text(CAST({compiler.process(element.clauses, **settings)} AS JSON))"
    )


def listed(name: str, kind: type[int] | type[str] = int) -> Select[Any]:
    """The values of a JSON list that is given as a parameter: one statement, however many there are."""
    value: Any = column("value")
    return select(cast(value, BigInteger) if kind is int else value).select_from(
        _JsonValues(bindparam(name))
    )


def add_one(connection: Connection, table: type[SQLModel], row: Mapping[str, Any]) -> int:
    """Insert a row into a table with an `id`, and return that; texts are made fit for UTF-8."""
    text = _insert(table, tuple(row), connection.dialect)
    cursor = connection.connection.cursor()
    given: Any
    if text.order is None:
        given = {name: clean(value) for name, value in row.items()}
    else:
        given = tuple([clean(row[name]) for name in text.order])
    cursor.execute(text.sql, given)
    return int(cursor.fetchall()[0][0])


def add_many(
    connection: Connection, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows of equal columns into a table with an `id`, and return those; texts are made fit for UTF-8.

    Needs a transaction that holds the write lock.
    """
    if not rows:
        return []
    last = _last(connection, table)
    numbers = [last + place for place in range(1, len(rows) + 1)]
    add(connection, table, [{"id": n, **row} for n, row in zip(numbers, rows, strict=True)])
    return numbers


def add(
    connection: Connection,
    table: type[SQLModel],
    rows: Iterable[Mapping[str, Any]],
    *,
    known: Literal["refused", "passed over"] = "refused",
) -> None:
    """Insert rows of equal columns, with the texts made fit for UTF-8.

    Many rows go in by one statement: a thread that has the driver take row after row has to get back the interpreter's
    lock after each, and may wait for that far longer than for the row.

    Args:
        connection: in a transaction that holds the write lock.
        table: where they go.
        rows: by the columns' names.
        known: what becomes of a row whose keys are there already.
    """
    end = "" if known == "refused" else " ON CONFLICT DO NOTHING"
    remaining = iter(rows)
    cursor = connection.connection.cursor()
    style = connection.dialect.paramstyle
    if style != "qmark" and known == "refused":
        _copy_rows(cursor, table, remaining)
        return
    while batch := list(islice(remaining, _BATCH)):
        columns = tuple(batch[0])
        values = [clean(row[name]) for row in batch for name in columns]
        while batch:
            # Few different numbers of rows, so that the driver knows the statement already.
            n = 1 << (min(len(batch), _AT_ONCE).bit_length() - 1)
            cursor.execute(_several(table, columns, n, style) + end, values[: n * len(columns)])
            del values[: n * len(columns)], batch[:n]


def add_values(
    connection: Connection,
    table: type[SQLModel],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Insert rows given as values in the order of `columns`: several times faster than `add`.

    Rows are read a batch at a time. Texts must be fit for UTF-8. Needs a transaction that holds the write lock.
    """
    cursor = connection.connection.cursor()
    if connection.dialect.name != "sqlite":
        _copy(cursor, table, columns, rows)
        return
    sql = _several(table, tuple(columns), 1, "qmark")
    remaining = iter(rows)
    while batch := [tuple(row) for row in islice(remaining, _BATCH)]:
        cursor.executemany(sql, batch)


def _copy_rows(cursor: Any, table: type[SQLModel], rows: Iterator[Mapping[str, Any]]) -> None:
    first = next(rows, None)
    if first is not None:
        every = chain([first], rows)
        _copy(cursor, table, tuple(first), ([clean(row[n]) for n in first] for row in every))


def _copy(
    cursor: Any, table: type[SQLModel], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """By the server's way of loading tables, which has no answer for every row to wait for."""
    names = ", ".join(f'"{name}"' for name in columns)
    with cursor.copy(f"COPY {table.__tablename__} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _last(connection: Connection, table: type[SQLModel]) -> int:
    cursor = connection.connection.cursor()
    cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table.__tablename__}")
    return int(cursor.fetchall()[0][0])


@cache
def _several(table: type[SQLModel], columns: tuple[str, ...], n: int, style: str) -> str:
    place = "?" if style == "qmark" else "%s"
    row = f"({', '.join(place for _ in columns)})"
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table.__tablename__} ({names}) VALUES {', '.join([row] * n)}"


@cache
def _insert(table: type[SQLModel], columns: tuple[str, ...], dialect: Dialect) -> _Text:
    """A statement for one row that returns its `id`."""
    made: Table = table.__table__  # type: ignore[attr-defined]
    return _text(
        insert(made).values(dict.fromkeys(columns)).returning(made.c.id).compile(dialect=dialect)
    )


def _text(compiled: Any) -> _Text:
    order = compiled.positiontup
    return _Text(str(compiled), None if order is None else tuple(order))
