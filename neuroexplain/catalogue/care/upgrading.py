"""Bringing a catalogue's file to the schema of this version, with a copy of how it was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from neuroexplain.catalogue.care.backup import OnPages, backup
from neuroexplain.catalogue.storage import migrations
from neuroexplain.catalogue.storage.engine import TIMEOUT, Database
from neuroexplain.catalogue.storage.place import locate
from neuroexplain.catalogue.storage.sqlite import open_connection, translated
from neuroexplain.errors import CatalogueError


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did."""

    before: int
    """Schema that the file had."""
    after: int
    """Schema that it has."""
    applied: tuple[str, ...]
    """Names of the migrations, in order."""
    backup: Path | None
    """Copy of the file as it was; None where there was nothing to do, or none was wanted."""


def upgrade(
    catalogue: str | Path, *, keep_copy: bool = True, on_pages: OnPages | None = None
) -> Upgrade:
    """Apply the migrations that a file lacks, each in a transaction of its own.

    The copy is `FILE.schema-N`, beside the file, where N is the schema that it had; one that an earlier attempt left is
    replaced. An upgrade that was cut off goes on from the last whole migration.

    Raises:
        CatalogueError: there is no such file, it is another program's or a newer version's, or there is no room.
    """
    path = locate(catalogue)
    if not path.is_file():
        raise CatalogueError(f"no catalogue {path} to upgrade")
    before, ready = _schema(path)
    newest = migrations.available()[-1].number
    if ready:
        return Upgrade(before, before, (), None)
    copy = path.with_name(f"{path.name}.schema-{before}") if keep_copy else None
    if copy is not None:
        backup(path, copy, force=True, on_pages=on_pages)
    Database(path, read_only=False).close()
    applied = tuple(m.name for m in migrations.available() if m.number > before)
    return Upgrade(before, newest, applied, copy)


def _schema(path: Path) -> tuple[int, bool]:
    """The schema of a file, and whether it is this version's."""
    with translated(path), closing(open_connection(path, True, TIMEOUT)) as connection:
        ready = migrations.check(connection, path)
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            raise CatalogueError(f"{path} is empty: there is nothing to upgrade")
        found = connection.execute("SELECT max(number) FROM schema_migration").fetchone()
        return int(found[0]), ready
