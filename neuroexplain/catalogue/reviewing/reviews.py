"""A file of reviews, opened: what people decided, and what they are to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text

from neuroexplain.catalogue.reviewing import events, queues
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import TIMEOUT, Database
from neuroexplain.catalogue.storage.migrations import REVIEWS
from neuroexplain.catalogue.storage.place import Place, place_of
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import (
    Event,
    Judgement,
    Progress,
    Queue,
    QueueItem,
    SavedQuery,
)


def reviews_path(catalogue: str | Path | Place | None) -> Path:
    """The file of reviews that lies beside a catalogue: `c.reviews.sqlite` for `c.sqlite`."""
    path = place_of(catalogue).path
    return path.with_name(f"{path.name.removesuffix('.sqlite')}.reviews.sqlite")


class Reviews:
    """One file of reviews. Safe to use from several threads and processes at once.

    What a method has written is on disk when it returns, and outlives a loss of power.

    Args:
        location: path of the file.
        read_only: refuse to write, and to make a file that is not there.
        timeout: seconds to wait while another process writes.

    Raises:
        CatalogueError: the file is missing, locked, damaged, of another program or of a newer version.
    """

    def __init__(
        self, location: str | Path, *, read_only: bool = False, timeout: float = TIMEOUT
    ) -> None:
        self.path = Path(location)
        self.read_only = read_only
        self._database = Database(
            Place(self.path), read_only=read_only, timeout=timeout, schema=REVIEWS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, event: Event) -> Event:
        """Write an event to the log; one that is there already, by its uuid, is only returned.

        Raises:
            CatalogueError: it says nothing that it may, or takes back what another reviewer did or what is not there.
        """
        with self._database.writing() as connection:
            return events.add(connection, event)

    def event(self, uuid: str) -> Event | None:
        """The event of a name, whether it counts or not."""
        with self._database.reading() as connection:
            return events.find(connection, uuid)

    def newest(self, reviewer: str, queue: str | None = None) -> Event | None:
        """The last event of a reviewer that nobody has taken back: what undo would take back."""
        with self._database.reading() as connection:
            return events.newest(connection, reviewer, queue)

    def of_item(self, queue: str, position: int, reviewer: str) -> list[Event]:
        """What a reviewer said about an item of a queue, as far as nobody has taken it back, in order."""
        where = "e.queue = :queue AND e.position = :position AND e.reviewer = :reviewer"
        values = {"queue": queue, "position": position, "reviewer": reviewer}
        with self._database.reading() as connection:
            return events.counting(connection, where, values)

    def log(self, *, after: int = 0, limit: int = -1) -> list[Event]:
        """Every event in order, taken back or not, from behind a number on."""
        with self._database.reading() as connection:
            return events.read(connection, "e.id > :after", {"after": after}, limit=limit)

    def history(self, neuron: NeuronId) -> list[Event]:
        """Every event about a neuron's explanations, taken back or not."""
        where, values = events.of_neuron([neuron])
        with self._database.reading() as connection:
            return events.read(connection, where, values)

    def counting(
        self, kind: str, *, queue: str | None = None, reviewer: str | None = None
    ) -> list[Event]:
        """Events of a kind that nobody has taken back, in order."""
        where, values = "e.kind = :kind", {"kind": kind}
        for name, value in (("queue", queue), ("reviewer", reviewer)):
            if value is not None:
                where, values = f"{where} AND e.{name} = :{name}", values | {name: value}
        with self._database.reading() as connection:
            return events.counting(connection, where, values)

    def judgements(
        self,
        *,
        neurons: Sequence[NeuronId] | None = None,
        reviewer: str | None = None,
        queue: str | None = None,
    ) -> list[Judgement]:
        """What reviewers think: of each explanation and reviewer the last verdict that was not taken back."""
        where, values = ("1", {}) if neurons is None else events.of_neuron(neurons)
        for name, value in (("queue", queue), ("reviewer", reviewer)):
            if value is not None:
                where, values = f"{where} AND live.{name} = :{name}", values | {name: value}
        with self._database.reading() as connection:
            return events.judgements(connection, where, values)

    def make_queue(self, queue: Queue, items: Sequence[QueueItem]) -> Queue:
        """Write a queue with its items, unless one of its uuid is there.

        Raises:
            CatalogueError: it has no items.
        """
        with self._database.writing() as connection:
            return queues.make(connection, queue, items)

    def queues(self) -> list[Queue]:
        """All queues, the newest first."""
        with self._database.reading() as connection:
            return queues.every(connection)

    def queue(self, uuid: str) -> Queue:
        """The queue of a uuid.

        Raises:
            CatalogueError: there is none.
        """
        with self._database.reading() as connection:
            return queues.of(connection, uuid)

    def items(self, queue: Queue, *, start: int = 0, limit: int = -1) -> list[QueueItem]:
        """Items by their places, from `start` on, whoever has decided them."""
        with self._database.reading() as connection:
            return queues.items(connection, queue, start=start, limit=limit)

    def coming(
        self, queue: Queue, reviewer: str, *, limit: int = 3, after: int = -1
    ) -> list[QueueItem]:
        """What a reviewer is to decide next: first what was never looked at, then what was skipped.

        What is not for everybody is kept from others for half an hour.
        """
        if self.read_only:
            with self._database.reading() as connection:
                return queues.coming(connection, queue, reviewer, limit=limit, after=after)
        with self._database.writing() as connection:
            found = queues.coming(connection, queue, reviewer, limit=limit, after=after)
            own = [item.position for item in found if not item.shared]
            queues.deal(connection, queue, reviewer, own)
            return found

    def is_blind(self, neuron: NeuronId, reviewer: str) -> bool:
        """Whether an item about a neuron waits for a reviewer in a queue that hides scores until it is decided."""
        with self._database.reading() as connection:
            return queues.is_blind(connection, neuron, reviewer)

    def progress(self, queue: Queue, reviewer: str) -> Progress:
        """How far a reviewer is in a queue."""
        with self._database.reading() as connection:
            return queues.progress(connection, queue, reviewer)

    def reviewers(self, queue: Queue) -> Mapping[str, int]:
        """Decisions in a queue that count, by reviewer."""
        with self._database.reading() as connection:
            return queues.reviewers(connection, queue)

    def decisions(self) -> Mapping[str, int]:
        """Decisions of all kinds that count, by reviewer."""
        with self._database.reading() as connection:
            return events.decisions(connection)

    def save_query(self, query: SavedQuery) -> None:
        """Keep a query under its name, in place of what had that name."""
        row: dict[str, Any] = {
            "name": query.name,
            "query": query.query,
            "made_by": query.made_by,
            "now": codec.now_ms(),
        }
        with self._database.writing() as connection:
            connection.execute(
                text("INSERT OR REPLACE INTO saved_query VALUES (:name, :query, :made_by, :now)"),
                row,
            )

    def forget_query(self, name: str) -> bool:
        """Remove a saved query; whether there was one."""
        with self._database.writing() as connection:
            done = connection.execute(
                text("DELETE FROM saved_query WHERE name = :name"), {"name": name}
            )
            return done.rowcount > 0

    def saved_queries(self) -> list[SavedQuery]:
        """Saved queries by name."""
        with self._database.reading() as connection:
            rows = connection.execute(text("SELECT * FROM saved_query ORDER BY name"))
            return [SavedQuery(r.name, r.query, r.made_by, codec.iso(r.made_ms)) for r in rows]
