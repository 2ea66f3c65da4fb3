"""A copy of a catalogue's file, whole and of one moment, while others go on writing to it."""

from __future__ import annotations

import glob
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from neuroexplain.catalogue.storage import migrations
from neuroexplain.catalogue.storage.place import locate
from neuroexplain.catalogue.storage.sqlite import open_connection, translated
from neuroexplain.catalogue.storage.troubles import NoRoomError
from neuroexplain.errors import CatalogueError

_PAGES = 2048
"""That are copied between two reports of progress."""
_TIMEOUT = 30.0
_PART = ".part-"
"""Behind the name of a copy that is not whole yet, and before the number of the process that makes it."""
OnPages = Callable[[int, int], None]
"""Called with the pages that have been copied, and those of the whole file."""


def backup(
    catalogue: str | Path, out: Path, *, force: bool = False, on_pages: OnPages | None = None
) -> int:
    """Copy a catalogue, of whatever schema, by SQLite's backup API.

    The copy is of the moment at which it began; it takes its name only when it is whole and on the disk.

    Args:
        catalogue: path of the file.
        out: path of the copy.
        force: whether a file of that name may be replaced.
        on_pages: told of the progress.

    Returns:
        The copy's size in bytes.

    Raises:
        CatalogueError: the file is missing, or no catalogue; `out` is there already, or its disk is full or read-only.
    """
    source = locate(catalogue)
    if not source.is_file():
        raise CatalogueError(f"no catalogue {source} to copy")
    if out.is_dir():
        raise CatalogueError(f"{out} is a folder; give a file in it")
    if out.exists() and out.samefile(source):
        raise CatalogueError(f"{out} is the catalogue itself; give the copy another path")
    if out.exists() and not force:
        raise CatalogueError(f"{out} is there already; give another path, or --force to replace it")
    _forget_killed(out)
    part = out.with_name(f"{out.name}{_PART}{os.getpid()}")
    try:
        with translated(source), closing(open_connection(source, True, _TIMEOUT)) as connection:
            migrations.check(connection, source)
            _copy(connection, part, out, on_pages)
        _sync(part)
        part.replace(out)
        _sync(out.parent)
    except OSError as error:
        raise CatalogueError(f"the copy {out} cannot be written: {error.strerror}") from error
    finally:
        _remove(part)
    return out.stat().st_size


def _copy(source: sqlite3.Connection, part: Path, out: Path, on_pages: OnPages | None) -> None:
    def progress(_status: int, remaining: int, total: int) -> None:
        if on_pages is not None:
            on_pages(total - remaining, total)

    # A transaction of its own keeps the copy at one moment; without it, every write of another process starts it anew.
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    try:
        with translated(out), closing(_made(part)) as copy:
            source.backup(copy, pages=_PAGES, progress=progress)
    except NoRoomError as error:
        raise CatalogueError(
            f"the disk of {out} {error.why}; nothing was copied; make room or give another path"
        ) from error
    finally:
        source.execute("ROLLBACK")


def _made(part: Path) -> sqlite3.Connection:
    _remove(part)
    part.touch()  # says why where that is not allowed, as SQLite does not
    return sqlite3.connect(part, isolation_level=None)


def _remove(part: Path) -> None:
    for name in ("", "-journal", "-wal", "-shm"):
        with suppress(OSError):
            part.with_name(part.name + name).unlink(missing_ok=True)


def _forget_killed(out: Path) -> None:
    """Remove what processes that were killed have left of earlier copies."""
    if os.name == "nt":
        return  # whether a process lives is not asked in this way there
    for part in out.parent.glob(f"{glob.escape(out.name)}{_PART}*"):
        number = part.name.rpartition(_PART)[2]
        if not number.isdecimal():
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            _remove(part)
        except OSError:
            continue  # alive, and another user's


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # no folder can be opened there
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
