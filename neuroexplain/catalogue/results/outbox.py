"""Requests that wait for the answer of an offline batch, until it comes and they move into the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, select, update
from sqlmodel import col

from neuroexplain.calls import Call, Waiting
from neuroexplain.catalogue import tables
from neuroexplain.catalogue.results import ledger
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.catalogue.storage.rows import add

_TABLE = tables.BatchRequest
_FIND = select(_TABLE).where(col(_TABLE.request) == bindparam("request"))


@dataclass(frozen=True)
class Unusable:
    """An answer that came and is of no use."""

    error: str
    raw: str | None


def put(connection: Connection, run_id: int | None, waiting: Waiting) -> None:
    """Add a request that waits; one that waits already is this run's from now on."""
    place = {"request": bytes.fromhex(waiting.request_sha256)}
    known = connection.execute(_FIND, place).first()
    if known is not None:
        _wanted_by(connection, run_id, place["request"])
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


def unusable(connection: Connection, run_id: int | None, request_sha256: str) -> Unusable | None:
    """An unusable answer to a request; it stands until a run that met it is done, see `forget`."""
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
    _wanted_by(connection, run_id, place)
    return Unusable(row.error or "", row.reply)


def forget(connection: Connection, run_id: int) -> None:
    """Let the requests to which a run met unusable answers be asked anew."""
    met = (col(_TABLE.run_id) == run_id, col(_TABLE.call_id).is_not(None))
    connection.execute(delete(_TABLE).where(*met))


def waiting(connection: Connection, request_sha256: str) -> Waiting | None:
    """A request that waits for an answer."""
    row = connection.execute(_FIND, {"request": _bytes(request_sha256)}).one_or_none()
    if row is None or row.call_id is not None:
        return None
    source = tables.LlmSource
    model = connection.scalar(select(col(source.model)).where(col(source.id) == row.source_id))
    return _waiting(row, str(model))


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


def unassigned(
    connection: Connection, run_id: int, model: str, at_most: int, after: str = ""
) -> list[Waiting]:
    """Requests of a run to a model that stand in no file yet, by the order of their hashes, after one of these."""
    place = (col(_TABLE.run_id) == run_id, col(_TABLE.file).is_(None))
    return _found(connection, _to(model).where(*place), model, at_most, after)


def asked(
    connection: Connection, run_key: str, model: str, at_most: int, after: str = ""
) -> list[Waiting]:
    """Requests of all runs of a key to a model that stand in files, in the same order."""
    run = tables.Run
    query = _to(model).join(run, col(run.id) == col(_TABLE.run_id))
    place = (col(run.run_key) == run_key, col(_TABLE.file).is_not(None))
    return _found(connection, query.where(*place), model, at_most, after)


def assign(connection: Connection, requests: Sequence[str], name: str) -> None:
    """Say in which file some requests stand."""
    statement = update(_TABLE).where(col(_TABLE.request) == bindparam("this")).values(file=name)
    connection.execute(statement, [{"this": bytes.fromhex(r)} for r in requests])


def requests_of(connection: Connection, name: str) -> list[str]:
    """The requests of a file that wait."""
    query = select(col(_TABLE.request)).where(
        col(_TABLE.file) == name, col(_TABLE.call_id).is_(None)
    )
    return [request.hex() for (request,) in connection.execute(query)]


def knows(connection: Connection, request_sha256: str) -> bool:
    """Whether a request waits here, or has been answered."""
    place = _bytes(request_sha256)
    call = tables.LlmCall
    answered = select(col(call.id)).where(col(call.request) == place).limit(1)
    found = connection.execute(_FIND, {"request": place}).first()
    return found is not None or connection.execute(answered).first() is not None


def count(connection: Connection, run_id: int) -> int:
    """Requests of a run that stand in files and wait."""
    query = select(func.count()).where(
        col(_TABLE.run_id) == run_id,
        col(_TABLE.file).is_not(None),
        col(_TABLE.call_id).is_(None),
    )
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
        read: tuple[str, int] | None = None,
    ) -> None:
        """Take in a piece of what has come back, all of it or nothing.

        Args:
            run_id: row of the run that reads it.
            answers: what came.
            released: requests that came back without an answer, and go into another file.
            read: the result file, and bytes of it that have now been read.
        """
        with self._database.writing() as connection:
            for call in answers:
                settle(connection, run_id, call)
            for request in released:
                release(connection, request)
            if read is not None:
                note_read(connection, *read)

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

    def unassigned(self, run_id: int, model: str, at_most: int, after: str = "") -> list[Waiting]:
        """Requests of a run to a model that stand in no file yet, by the order of their hashes, after one of these."""
        with self._database.reading() as connection:
            return unassigned(connection, run_id, model, at_most, after)

    def asked(self, run_key: str, model: str, at_most: int, after: str = "") -> list[Waiting]:
        """Requests of all runs of a key to a model that stand in files, in the same order."""
        with self._database.reading() as connection:
            return asked(connection, run_key, model, at_most, after)

    def assign(self, requests: Sequence[str], name: str) -> None:
        """Say in which file some requests stand."""
        with self._database.writing() as connection:
            assign(connection, requests, name)

    def requests_of(self, name: str) -> list[str]:
        """The requests of a file that wait."""
        with self._database.reading() as connection:
            return requests_of(connection, name)

    def knows(self, request_sha256: str) -> bool:
        """Whether a request waits here, or has been answered."""
        with self._database.reading() as connection:
            return knows(connection, request_sha256)

    def forget(self, run_id: int) -> None:
        """Let the requests to which a run met unusable answers be asked anew."""
        with self._database.writing() as connection:
            forget(connection, run_id)

    def count(self, run_id: int) -> int:
        """Requests of a run that stand in files and wait."""
        with self._database.reading() as connection:
            return count(connection, run_id)


def _bytes(name: str) -> bytes:
    """A request's hash from a file; of any other name, what no request has."""
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""


def _wanted_by(connection: Connection, run_id: int | None, request: bytes) -> None:
    """Note which run wants a request: it pays for it."""
    place = col(_TABLE.request) == request
    connection.execute(update(_TABLE).where(place).values(run_id=run_id))


def _to(model: str) -> Select[Any]:
    """Requests to a model that wait."""
    source = tables.LlmSource
    return (
        select(_TABLE)
        .join(source, col(source.id) == col(_TABLE.source_id))
        .where(col(source.model) == model, col(_TABLE.call_id).is_(None))
    )


def _found(
    connection: Connection, query: Select[Any], model: str, at_most: int, after: str
) -> list[Waiting]:
    place = col(_TABLE.request)
    page = query.where(place > bytes.fromhex(after)).order_by(place).limit(at_most)
    return [_waiting(row, model) for row in connection.execute(page)]


def _waiting(row: Any, model: str) -> Waiting:
    return Waiting(
        request_sha256=row.request.hex(),
        prompt_sha256=row.prompt.hex(),
        model=model,
        purpose=row.purpose,
        body=codec.unpacked_text(row.body),
        tries=row.tries,
    )
