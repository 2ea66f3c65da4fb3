"""Migrations of a catalogue in a PostgreSQL database, and the lock of those who write to it.

`db/postgresql/` has the same numbers as `db/`, from the one on with which it begins. Each is applied in one transaction
together with its row in `schema_migration`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from neuroexplain.catalogue.storage.migrations import Migration, available
from neuroexplain.errors import CatalogueError
from neuroexplain.resources import MIGRATIONS

FOLDER = MIGRATIONS / "postgresql"
OLDEST = 13
"""Version of a server that has all that the schema needs."""
_LOCK = 0x6E78706C
"""The same number that marks SQLite files."""


def lock(connection: Connection) -> None:
    """Wait for the lock of those who write; the end of the transaction gives it up."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def prepare(engine: Engine, name: str, read_only: bool) -> None:
    """Bring a database to the schema of this version.

    Raises:
        CatalogueError: it is of another program or of a newer version, is not fit, or lacks something and may not be changed.
    """
    with engine.connect() as connection:
        _check_server(connection, name)
        done = _applied(connection, name)
    newest = available(FOLDER)[-1].number
    if max(done, default=0) > newest:
        raise CatalogueError(
            f"catalogue {name} has schema {max(done)}, this version knows up to {newest}: "
            "upgrade neuroexplain to open it"
        )
    if len(done) == len(available(FOLDER)):
        return
    if read_only:
        raise CatalogueError(
            f"catalogue {name} is empty or has an older schema; any command that writes to it upgrades it"
        )
    for migration in available(FOLDER):
        with engine.begin() as connection:
            lock(connection)
            # Asked under the lock: another process may have been first.
            if migration.number not in _applied(connection, name):
                _apply(connection, migration)


def _check_server(connection: Connection, name: str) -> None:
    version = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10000
    if version < OLDEST:
        raise CatalogueError(
            f"catalogue {name} is on PostgreSQL {version}; it takes version {OLDEST} or newer"
        )
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise CatalogueError(
            f"catalogue {name} is a database in {encoding}; make one by: createdb --encoding=UTF8 --template=template0 NAME"
        )


def _applied(connection: Connection, name: str) -> set[int]:
    columns = connection.execute(
        text(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name = 'schema_migration'"
        )
    )
    found = set(columns.scalars())
    if not found:
        return set()
    if not found >= {"number", "name", "sha256", "applied_at"}:
        raise CatalogueError(
            f"catalogue {name} holds tables of another program; give a database or schema of its own"
        )
    return set(connection.execute(text("SELECT number FROM schema_migration")).scalars())


def _apply(connection: Connection, migration: Migration) -> None:
    # Without parameters the driver sends a file's statements together, as they are.
    connection.connection.cursor().execute(migration.sql)
    row = {
        "number": migration.number,
        "name": migration.name,
        "sha256": migration.sha256,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    connection.execute(
        text("INSERT INTO schema_migration VALUES (:number, :name, :sha256, :at)"), row
    )
