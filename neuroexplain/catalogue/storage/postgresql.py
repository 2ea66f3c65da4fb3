"""Catalogues in a PostgreSQL database, for teams.

Writers come one after the other, as on SQLite: a transaction that writes begins by taking a lock that it gives up at its
end. So rows can be numbered by the largest number, and what was read before a write still holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from neuroexplain.catalogue.storage import server_schema
from neuroexplain.catalogue.storage.claims import Claim, claim_on_server, claimed_on_server
from neuroexplain.catalogue.storage.place import Place
from neuroexplain.catalogue.storage.troubles import BusyError, CutError, NoRoomError
from neuroexplain.errors import CatalogueError

try:
    import psycopg
    from psycopg.adapt import Loader
    from psycopg.types.string import StrBinaryDumper, StrDumperUnknown
except ImportError as error:
    raise CatalogueError(
        'catalogues on a server need a driver: pip install "neuroexplain[postgres]"'
    ) from error

PATIENCE = 10
"""Seconds that connecting may take."""
_REASONS = {
    "42501": "does not allow that to this user: {cause}",
    "42P07": "holds tables of another program; give a database or schema of its own",
    "22021": "refuses a text that is no UTF-8",
    "25006": "is read-only: a standby, or set so by its owner",
    "53200": "has too little memory for this",
    "53300": "has no connection free; wait until others are done",
    "54000": "refuses a value that is too large: {cause}",
    "57014": "cut off a statement, by a time limit of its own or on somebody's request",
    "57P01": "is shutting down; run the same command again when it is back",
    "57P02": "has had to restart; run the same command again",
    "57P03": "is starting up; run the same command again in a moment",
}
_BUSY = {"55P03", "40P01"}
_LOST = "lost the connection; what was under way is undone: run the same command again"


class Server:
    """One database of a server, opened; see `engine.Backend`.

    Raises:
        CatalogueError: it cannot be reached, or is not fit for a catalogue.
    """

    def __init__(self, place: Place, read_only: bool, timeout: float) -> None:
        assert place.url is not None
        self._name, self._database = place.name, place.url.database
        engine = _engine(place.url, read_only, timeout)
        with self.translated(), ExitStack() as unfit:
            unfit.callback(engine.dispose)
            server_schema.prepare(engine, self._name, read_only)
            unfit.pop_all()
        self.reading: Engine = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.writing: Engine = engine.execution_options(
            isolation_level="READ COMMITTED", writes=True
        )
        self.single: Engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self.writing, "begin", server_schema.lock)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """The server's errors that a user can mend, as CatalogueError; others are bugs and pass."""
        try:
            yield
        except psycopg.Error as error:
            raise self._explained(error) or error from error
        except DBAPIError as error:
            raise self._explained(error.orig) or error from error

    def _explained(self, cause: BaseException | None) -> CatalogueError | None:
        code = _state(cause)
        said = " ".join(str(cause).split())
        if code in _BUSY:
            return BusyError(
                f"catalogue {self._name} is locked by another process; wait until it is done, or end it"
            )
        if code == "53100":
            return NoRoomError(self._name, "is full")
        if code in _REASONS:
            return CatalogueError(f"catalogue {self._name} {_REASONS[code].format(cause=said)}")
        if code.startswith("23"):
            return CatalogueError(f"catalogue {self._name} refuses a row: {said}")
        if isinstance(cause, psycopg.OperationalError) and code[:2] in ("", "08", "28", "3D"):
            return CatalogueError(f"catalogue {self._name} {_connecting(said, self._database)}")
        return None

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Statements that take longer are cancelled by the server."""
        driver: Any = connection.connection.driver_connection
        # What is cut off undoes a transaction as far as the last point set in it.
        point = nullcontext() if driver.autocommit else connection.begin_nested()
        try:
            with point:
                _set_limit(connection, seconds)
                yield
        except (psycopg.Error, DBAPIError) as error:
            if _state(error) != "57014":
                raise
            raise CutError(seconds) from None
        finally:
            _set_limit(connection, 0)

    def claim(self, run_key: str) -> Claim | None:
        """By a lock of the server's, which counts on every machine."""
        return claim_on_server(self.single, run_key)

    def claimed(self, run_key: str) -> bool:
        """Whether that lock is held."""
        with self.single.connect() as connection:
            return claimed_on_server(connection, run_key)

    def log_bytes(self) -> int:
        """0: the server keeps its log."""
        return 0

    def shorten_log(self) -> None:
        """Left to the server."""


def _state(error: BaseException | None) -> str:
    """The five characters that name an error; empty where the server said nothing."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def _set_limit(connection: Connection, seconds: float) -> None:
    connection.execute(
        text("SELECT set_config('statement_timeout', :ms, false)"), {"ms": str(int(seconds * 1000))}
    )


def _connecting(said: str, database: str | None) -> str:
    """What to do about a connection that could not be made, or was lost."""
    if "server closed the connection" in said or "connection is lost" in said:
        return _LOST
    for part, advice in (
        ("Connection refused", "check host and port, and that the server runs"),
        ("No such file", "check the folder of its socket, and that the server runs"),
        ("password", "give it in the URL, by PGPASSWORD or in ~/.pgpass"),
        ("role", "check the user's name"),
        ("database", f"make it by: createdb {database}"),
        ("timeout", "check host and port"),
        ("resolve", "check the host's name"),
    ):
        if part in said:
            return f"cannot be reached: {_cause(said)}; {advice}"
    return f"cannot be reached: {_cause(said)}"


def _cause(said: str) -> str:
    """The driver's words, from the place on where they say what happened."""
    for mark in ("FATAL: ", "failed: "):
        _, found, rest = said.rpartition(mark)
        if found:
            return rest.split(" Is the server")[0]
    return said


def _engine(url: URL, read_only: bool, timeout: float) -> Engine:
    given = url.query.get("options", "")
    settings = [given if isinstance(given, str) else " ".join(given), "-c timezone=UTC"]
    settings.append(f"-c lock_timeout={int(timeout * 1000)}")
    if read_only:
        settings.append("-c default_transaction_read_only=on")
    engine = create_engine(
        url.difference_update_query(["options"]),
        connect_args={
            "connect_timeout": PATIENCE,
            "application_name": "neuroexplain",
            "options": " ".join(settings).strip(),
        },
        # Threads keep a connection for lookups, and there may be any number of threads.
        poolclass=QueuePool,
        max_overflow=-1,
        use_native_hstore=False,
    )
    event.listen(engine, "connect", _adapt)
    return engine


def _adapt(connection: Any, *_: object) -> None:
    for dumper in (_Text, _BinaryText):
        connection.adapters.register_dumper(str, dumper)
    connection.adapters.register_loader("numeric", _Number)


def _fit(written: str) -> str:
    # A token may be the character 0, which the server has no place for; its symbol is no other token's text.
    return written.replace("\0", "\u2400") if "\0" in written else written


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return super().dump(_fit(obj))


class _BinaryText(StrBinaryDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(_fit(obj))


class _Number(Loader):
    """Sums of whole numbers are whole numbers, as on SQLite."""

    def load(self, data: Any) -> int | float:
        written = bytes(data).decode()
        return int(written) if written.lstrip("-").isdigit() else float(written)
