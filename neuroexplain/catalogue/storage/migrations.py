"""Numbered SQL files in `db/` that bring a file to the schema of this version: a catalogue, or a file of reviews.

Each is applied in one transaction together with its row in `schema_migration`, so a crash leaves a file that is
either before or after it. A shipped file is never edited.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from inspect import signature
from pathlib import Path

from neuroexplain.catalogue.searching.word_list import text_words
from neuroexplain.catalogue.storage import schema_1
from neuroexplain.errors import CatalogueError
from neuroexplain.resources import MIGRATIONS


@dataclass(frozen=True)
class Schema:
    """What an SQLite file of ours holds."""

    folder: Path
    """Of its migrations."""
    application_id: int
    """Marks the file; the first migration writes it."""
    option: str
    """Of the command line, that names another file."""
    kind: str = "catalogue"
    maker: str = "neuroexplain collect"
    """The command that makes one."""
    durable: bool = False
    """Whether what was written outlives a loss of power at once, and not only a crash of the program."""


APPLICATION_ID = 0x6E78706C
"""Marks an SQLite file as a catalogue."""
CATALOGUE = Schema(MIGRATIONS, APPLICATION_ID, "--catalogue")
REVIEWS = Schema(
    MIGRATIONS / "reviews",
    0x6E787272,
    "--reviews",
    "file of reviews",
    "neuroexplain review",
    durable=True,
)


@dataclass(frozen=True)
class Migration:
    """One file of `db/`."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the SQL text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def available(folder: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """Every migration that this version has, in order; those of SQLite unless another folder is given."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return tuple(Migration(int(f.name[:4]), f.name, f.read_text(encoding="utf-8")) for f in files)


def check(connection: sqlite3.Connection, path: Path, schema: Schema = CATALOGUE) -> bool:
    """Whether a file is up to date; nothing is written.

    Raises:
        CatalogueError: the file belongs to another program or to a newer version of this one.
    """
    done = _applied(connection, schema)
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if not empty and not _ours(connection, schema):
        raise CatalogueError(
            f"{path} is an SQLite file of another program; give another path by {schema.option}"
        )
    newest = available(schema.folder)[-1].number
    if max(done, default=0) > newest:
        raise CatalogueError(
            f"{path} has schema {max(done)}, this version knows up to {newest}: "
            "upgrade neuroexplain to open it"
        )
    return len(done) == len(available(schema.folder))


def upgrade(connection: sqlite3.Connection, schema: Schema = CATALOGUE) -> None:
    """Apply what is missing; `connection` must be in autocommit mode.

    Raises:
        CatalogueError: the file has references to rows that are not there; nothing of that migration is kept.
    """
    functions = (schema_1.hash_bytes, schema_1.messages_now, schema_1.request_now, text_words)
    for function in functions:
        arguments = len(signature(function).parameters)
        connection.create_function(function.__name__, arguments, function, deterministic=True)
    # Tables that others refer to are made anew, which SQLite allows only where it does not watch references meanwhile.
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in available(schema.folder):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Asked under the lock: another process may have been first.
            if migration.number not in _applied(connection, schema):
                _apply(connection, migration)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    connection.execute("PRAGMA foreign_keys = ON")


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    for statement in _statements(migration.sql):
        connection.execute(statement)
    lost = connection.execute("PRAGMA foreign_key_check").fetchone()
    if lost is not None:
        raise CatalogueError(
            f"the catalogue is damaged: a row of {lost[0]} refers to one of {lost[2]} that is not there; "
            "restore it from a backup"
        )
    connection.execute(
        "INSERT INTO schema_migration VALUES (?, ?, ?, ?)",
        (
            migration.number,
            migration.name,
            migration.sha256,
            datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def _applied(connection: sqlite3.Connection, schema: Schema) -> set[int]:
    if not _ours(connection, schema):
        return set()
    return {number for (number,) in connection.execute("SELECT number FROM schema_migration")}


def _ours(connection: sqlite3.Connection, schema: Schema) -> bool:
    found: tuple[int] = connection.execute("PRAGMA application_id").fetchone()
    return found == (schema.application_id,)


def _statements(sql: str) -> Iterator[str]:
    # Not executescript, which commits before it starts and so would break the transaction.
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
