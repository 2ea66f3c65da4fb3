"""What a catalogue's tables say, whatever the numbers of their rows: equal for equal contents, in whatever order they came."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from neuroexplain.catalogue import tables

DERIVED = ("entry", "standing", "explanation_word", "embedding", "schema_migration")
"""Tables that are made of others, or that tell of the file."""
Rows = dict[str, list[tuple[Any, ...]]]


def contents(
    path: Path, *, without: Collection[str] = DERIVED, ignoring: Collection[str] = ()
) -> Rows:
    """Rows of all tables, with a hash of what they refer to in place of its number.

    Args:
        path: the catalogue.
        without: tables that are left out.
        ignoring: columns that are left out, as `table.column`.
    """
    assert tables.Subject.__tablename__ == "subject"
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        reader = _Reader(connection, frozenset(ignoring))
        names = [name for name in SQLModel.metadata.tables if name not in without]
        return {name: sorted(reader.rows(name), key=repr) for name in names}


class _Reader:
    def __init__(self, connection: sqlite3.Connection, ignoring: frozenset[str]) -> None:
        self._connection = connection
        self._ignoring = ignoring
        self._known: dict[tuple[str, int], str] = {}

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        return [self._said(name, row) for row in self._connection.execute(f"SELECT * FROM {name}")]

    def _said(self, name: str, row: sqlite3.Row) -> tuple[Any, ...]:
        table = SQLModel.metadata.tables[name]
        told: list[Any] = []
        for column in table.columns:
            if f"{name}.{column.name}" in self._ignoring or (
                column.name == "id" and not column.foreign_keys
            ):
                continue
            value = row[column.name]
            if isinstance(column.type, LargeBinary):
                value = _unpacked(value)
            for key in column.foreign_keys:
                value = None if value is None else self._hash(key.column.table.name, value)
            told.append(value)
        return tuple(told)

    def _hash(self, name: str, number: int) -> str:
        known = self._known.get((name, number))
        if known is None:
            query = f"SELECT * FROM {name} WHERE id = ?"
            said = self._said(name, self._connection.execute(query, (number,)).fetchone())
            known = self._known[name, number] = hashlib.sha256(repr(said).encode()).hexdigest()
        return known


def _unpacked(value: Any) -> Any:
    """What is packed, however it was compressed; older rows have plain texts."""
    if isinstance(value, str):
        return value.encode()
    try:
        return value if value is None else zlib.decompress(value)
    except zlib.error:
        return value
