"""Whether a catalogue is sound: what the engine checks, what refers to what, hashes, what is packed, what is derived.

An interrupted run is no fault, and neither is a merge or an import that was cut off: the same command completes it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from neuroexplain.catalogue.care import check_blobs
from neuroexplain.catalogue.care.check_rules import RULES, Rule
from neuroexplain.catalogue.searching import entries, sql
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.catalogue.searching.word_list import words_of
from neuroexplain.catalogue.storage.engine import TIMEOUT, Database
from neuroexplain.catalogue.storage.sqlite import open_connection
from neuroexplain.catalogue.storage.troubles import BusyError
from neuroexplain.errors import CatalogueError

OnCheck = Callable[[str], None]
"""Called with the name of every check before it begins."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    table: str
    row: str
    """Which; empty where it is the table, or the whole file."""
    what: str
    derived: bool = False
    """Whether `repair` makes it anew from what is sound."""

    def __str__(self) -> str:
        return " ".join(part for part in (self.table, self.row, self.what) if part)


Check = Callable[[Connection], Iterator[Fault]]


def check(database: Database, on_check: OnCheck | None = None) -> Iterator[Fault]:
    """Every fault of a catalogue, as it is found, in a bounded part of memory.

    Hashes that stand for settings and for token ids that the catalogue does not keep (of collections, corpora, n-gram sets)
    are compared with each other, but cannot be computed again. Nothing is written; the full-text index is compared by the
    engine under the write lock, and left out where the file cannot be written.
    """
    for name, found in _checks(database).items():
        if on_check is not None:
            on_check(name)
        try:
            with database.reading() as connection:
                yield from found(connection)
        except BusyError:
            raise
        except (CatalogueError, sqlite3.DatabaseError, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            yield Fault(name, "", f"cannot be read: {cause}")


def repair(database: Database) -> None:
    """Make anew what follows from other rows: entries and standings, the word list, the full-text index."""
    with database.writing() as connection:
        entries.rebuild(connection)
        if not sql.postgresql(connection):
            rebuild = "INSERT INTO explanation_fts (explanation_fts) VALUES ('rebuild')"
            sql.fetch(connection, Sql(rebuild))


def _checks(database: Database) -> dict[str, Check]:
    checks: dict[str, Check] = {}
    if database.place.url is None:
        checks |= {"file": _file, "references": _references}
    checks |= {f"{rule.table}: {rule.fault}": _by_query(rule) for rule in RULES}
    checks |= {found.__name__.replace("_", " "): _by_reading(found) for found in check_blobs.CHECKS}
    checks |= {"entries": _entries, "words": _words}
    if database.place.url is None and os.access(database.path, os.W_OK):
        checks["full text"] = lambda _: _full_text(database)
    return checks


def _file(connection: Connection) -> Iterator[Fault]:
    for (line,) in sql.stream(connection, Sql("PRAGMA integrity_check(1000)")):
        if line != "ok":
            yield Fault("file", "", str(line))


def _references(connection: Connection) -> Iterator[Fault]:
    for table, row, parent, _ in sql.stream(connection, Sql("PRAGMA foreign_key_check")):
        name = "" if row is None else str(row)
        yield Fault(table, name, f"refers to a row of {parent} that is not there")


def _by_query(rule: Rule) -> Check:
    def found(connection: Connection) -> Iterator[Fault]:
        for (row,) in sql.stream(connection, Sql(rule.query)):
            yield Fault(rule.table, str(row), rule.fault)

    return found


def _by_reading(reading: Callable[[Connection], check_blobs.Found]) -> Check:
    def found(connection: Connection) -> Iterator[Fault]:
        for table, row, what in reading(connection):
            yield Fault(table, row, what)

    return found


def _entries(connection: Connection) -> Iterator[Fault]:
    for line in entries.differences(connection):
        table, _, rest = line.partition(" ")
        row, _, what = rest.partition(": ")
        yield Fault(table, row, f"is not what follows from its explanation: {what}", derived=True)


def _words(connection: Connection) -> Iterator[Fault]:
    known = {word for (word,) in sql.stream(connection, Sql("SELECT word FROM explanation_word"))}
    for number, text in sql.stream(connection, Sql("SELECT id, text FROM explanation")):
        missing = words_of(text) - known
        if missing:
            what = f"has a word that is not in the word list: {min(missing)}"
            yield Fault("explanation", str(number), what, derived=True)


def _full_text(database: Database) -> Iterator[Fault]:
    """The index against the texts. The engine does that as if it were writing."""
    with closing(open_connection(database.path, False, TIMEOUT)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "INSERT INTO explanation_fts (explanation_fts, rank) VALUES ('integrity-check', 1)"
            )
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            yield Fault(
                "explanation_fts", "", "does not fit the texts of explanations", derived=True
            )
        finally:
            connection.execute("ROLLBACK")
