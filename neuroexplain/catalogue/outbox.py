"""Requests that wait for the answer of an offline batch, until it comes and they move into the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlmodel import col

from neuroexplain.catalogue import codec, ledger, tables
from neuroexplain.catalogue.engine import Database
from neuroexplain.catalogue.rows import add
from neuroexplain.records import Call, Waiting

_TABLE = tables.BatchRequest
_FIND = select(_TABLE).where(col(_TABLE.request) == bindparam("request"))


@dataclass(frozen=True)
class Unusable:
    """An answer that came and is of no use."""

    error: str
    raw: str | None


def put(connection: Connection, run_id: int | None, waiting: Waiting) -> None:
    """Add a request that waits; one that waits already is left alone."""
    place = {"request": bytes.fromhex(waiting.request_sha256)}
    if connection.execute(_FIND, place).first() is not None:
        return
    row = place | {
        "prompt": bytes.fromhex(waiting.prompt_sha256),
        "source_id": ledger.source_id(connection, waiting.model, ""),
        "run_id": run_id,
        "purpose": waiting.purpose,
        "body": codec.packed_text(waiting.body),
        "tries": 0,
        "created_ms": ledger.now_ms(),
    }
    add(connection, _TABLE, [row])


def take_unusable(connection: Connection, request_sha256: str) -> Unusable | None:
    """An unusable answer to a request, once: then the request is forgotten, and may be asked anew."""
    place = bytes.fromhex(request_sha256)
    call = tables.LlmCall
    query = (
        select(col(call.error), col(call.reply))
        .join(_TABLE, col(_TABLE.call_id) == col(call.id))
        .where(col(_TABLE.request) == place)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    connection.execute(delete(_TABLE).where(col(_TABLE.request) == place))
    return Unusable(row.error or "", row.reply)


def waiting(connection: Connection, request_sha256: str) -> Waiting | None:
    """A request that waits for an answer."""
    row = connection.execute(_FIND, {"request": bytes.fromhex(request_sha256)}).one_or_none()
    return None if row is None or row.call_id is not None else _waiting(connection, row)


def settle(connection: Connection, run_id: int | None, call: Call) -> None:
    """Move a request into the ledger with its answer; an unusable one stays until it has been made known."""
    (number,) = ledger.save_calls(connection, run_id, [call])
    place = col(_TABLE.request) == bytes.fromhex(call.request_sha256)
    if call.status == "ok":
        connection.execute(delete(_TABLE).where(place))
    else:
        connection.execute(update(_TABLE).where(place).values(call_id=number))


def release(connection: Connection, request_sha256: str) -> None:
    """Let a request go into another file: the one that it stood in came back without an answer to it."""
    place = col(_TABLE.request) == bytes.fromhex(request_sha256)
    statement = update(_TABLE).where(place).values(file=None, tries=col(_TABLE.tries) + 1)
    connection.execute(statement)


def files(connection: Connection) -> dict[str, int]:
    """Request files, and how many of their requests wait."""
    query = (
        select(col(_TABLE.file), func.count())
        .where(col(_TABLE.file).is_not(None), col(_TABLE.call_id).is_(None))
        .group_by(col(_TABLE.file))
    )
    return {str(name): n for name, n in connection.execute(query)}


def release_file(connection: Connection, name: str) -> None:
    """Let the requests of a file go into another one."""
    connection.execute(update(_TABLE).where(col(_TABLE.file) == name).values(file=None))


def unassigned(connection: Connection, model: str, at_most: int, after: str = "") -> list[Waiting]:
    """Requests to a model that stand in no file yet, by the order of their hashes, after one of these."""
    source = tables.LlmSource
    query = (
        select(_TABLE)
        .join(source, col(source.id) == col(_TABLE.source_id))
        .where(
            col(source.model) == model,
            col(_TABLE.file).is_(None),
            col(_TABLE.call_id).is_(None),
            col(_TABLE.request) > bytes.fromhex(after),
        )
        .order_by(col(_TABLE.request))
        .limit(at_most)
    )
    return [_waiting(connection, row) for row in connection.execute(query)]


def assign(connection: Connection, requests: Sequence[str], name: str) -> None:
    """Say in which file some requests stand."""
    statement = update(_TABLE).where(col(_TABLE.request) == bindparam("this")).values(file=name)
    connection.execute(statement, [{"this": bytes.fromhex(r)} for r in requests])


def requests_of(connection: Connection, name: str) -> list[Waiting]:
    """The requests of a file that wait, by the order of their hashes."""
    query = (
        select(_TABLE)
        .where(col(_TABLE.file) == name, col(_TABLE.call_id).is_(None))
        .order_by(col(_TABLE.request))
    )
    return [_waiting(connection, row) for row in connection.execute(query)]


def count(connection: Connection) -> int:
    """Requests that wait."""
    query = select(func.count()).select_from(_TABLE).where(col(_TABLE.call_id).is_(None))
    return int(connection.scalar(query) or 0)


def read_up_to(connection: Connection, path: str) -> int:
    """Bytes of a result file that have been read."""
    table = tables.BatchResult
    return int(connection.scalar(select(col(table.size)).where(col(table.path) == path)) or 0)


def note_read(connection: Connection, path: str, size: int) -> None:
    """Say how far a result file has been read."""
    table = tables.BatchResult
    connection.execute(delete(table).where(col(table.path) == path))
    add(connection, table, [{"path": path, "size": size}])


class Outbox:
    """The requests of a catalogue that wait, for whoever writes and reads the files of batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, request_sha256: str) -> Waiting | None:
        """A request that waits for an answer."""
        with self._database.reading() as connection:
            return waiting(connection, request_sha256)

    def take_in(
        self,
        run_id: int | None,
        answers: Sequence[Call],
        released: Sequence[str],
        path: str,
        size: int,
    ) -> None:
        """Take in a piece of a result file, all of it or nothing.

        Args:
            run_id: row of the run that reads it.
            answers: what came.
            released: requests that came back without an answer, and go into another file.
            path: of the result file.
            size: bytes of it that have now been read.
        """
        with self._database.writing() as connection:
            for call in answers:
                settle(connection, run_id, call)
            for request in released:
                release(connection, request)
            note_read(connection, path, size)

    def read_up_to(self, path: str) -> int:
        """Bytes of a result file that have been read."""
        with self._database.reading() as connection:
            return read_up_to(connection, path)

    def files(self) -> dict[str, int]:
        """Request files, and how many of their requests wait."""
        with self._database.reading() as connection:
            return files(connection)

    def release_file(self, name: str) -> None:
        """Let the requests of a file go into another one."""
        with self._database.writing() as connection:
            release_file(connection, name)

    def unassigned(self, model: str, at_most: int, after: str = "") -> list[Waiting]:
        """Requests to a model that stand in no file yet, by the order of their hashes, after one of these."""
        with self._database.reading() as connection:
            return unassigned(connection, model, at_most, after)

    def assign(self, requests: Sequence[str], name: str) -> None:
        """Say in which file some requests stand."""
        with self._database.writing() as connection:
            assign(connection, requests, name)

    def requests_of(self, name: str) -> list[Waiting]:
        """The requests of a file that wait, by the order of their hashes."""
        with self._database.reading() as connection:
            return requests_of(connection, name)

    def count(self) -> int:
        """Requests that wait."""
        with self._database.reading() as connection:
            return count(connection)


def _waiting(connection: Connection, row: Any) -> Waiting:
    source = tables.LlmSource
    model = connection.scalar(select(col(source.model)).where(col(source.id) == row.source_id))
    return Waiting(
        request_sha256=row.request.hex(),
        prompt_sha256=row.prompt.hex(),
        model=str(model),
        purpose=row.purpose,
        body=codec.unpacked_text(row.body),
        tries=row.tries,
    )
