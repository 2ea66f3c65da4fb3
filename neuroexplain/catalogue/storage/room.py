"""Transactions of many gigabytes: all or nothing also where the disk fills, and the message says what is needed."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from neuroexplain.catalogue.storage.engine import Database, NoRoomError
from neuroexplain.errors import CatalogueError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GB = 2**30


@contextmanager
def writing_much(database: Database, done: Callable[[], float]) -> Iterator[Connection]:
    """As `Database.writing`; the write-ahead log, which grows to the transaction's size, is shortened afterwards.

    Args:
        database: the catalogue.
        done: the share of the work that is done, for an estimate of the room that all of it takes.

    Raises:
        CatalogueError: there is no room; the catalogue is as it was before.
    """
    try:
        with database.writing() as connection:
            yield connection
    except NoRoomError as error:
        raise _explained(database, error.why, done()) from error
    except OSError as error:  # of whatever the rows come from
        if error.errno not in _NO_ROOM:
            raise
        raise _explained(database, "is full", done()) from error
    finally:
        database.shorten_log()


def _explained(database: Database, why: str, done: float) -> CatalogueError:
    written = database.log_bytes()
    database.shorten_log()
    room = "some room"
    if done and database.place.url is None:
        # Once in the log and once in the file itself.
        missing = 2 * written / done - shutil.disk_usage(database.path.parent).free
        room = f"up to {max(missing, 0.1 * _GB) / _GB:.1f} GB"
    return CatalogueError(
        f"the disk of {database.name} {why}; nothing was saved; free {room} or give another --catalogue"
    )
