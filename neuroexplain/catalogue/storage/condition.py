"""How a file of ours fares: its size, its log, its schema, and the room beside it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from sqlalchemy import text

from neuroexplain.catalogue.storage.engine import Database


@dataclass(frozen=True)
class Condition:
    """A file, or a server's database."""

    name: str
    """Without its folder."""
    bytes: int | None
    """None of a server's database, as all that only a file has."""
    log_bytes: int
    """Of the write-ahead log, which goes back into the file when nobody reads."""
    free_bytes: int | None
    """On the disk that it is on."""
    schema: int
    """Number of the newest migration that was applied."""
    writable: bool | None
    """Whether this user may write to it."""


def condition(database: Database) -> Condition:
    """The condition that a database is in now."""
    with database.lookup() as connection:
        schema = connection.scalar(text("SELECT max(number) FROM schema_migration"))
    path, is_file = database.path, database.place.url is None
    return Condition(
        name=path.name,
        bytes=path.stat().st_size if is_file else None,
        log_bytes=database.log_bytes(),
        free_bytes=shutil.disk_usage(path.absolute().parent).free if is_file else None,
        schema=int(schema or 0),
        writable=all(os.access(p, os.W_OK) for p in (path, path.absolute().parent))
        if is_file
        else None,
    )
