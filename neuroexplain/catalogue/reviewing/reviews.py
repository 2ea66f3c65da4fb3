"""A file of reviews, opened: what people decided, and what they are to decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from sqlalchemy import text

from neuroexplain.catalogue.reviewing import events, exchange, merging, queues
from neuroexplain.catalogue.reviewing.merging import Taken
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.condition import Condition, condition
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
    Seen,
    Target,
    Undoing,
)

_AT_ONCE = 200
"""Explanations of a new queue that are written together."""


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

    def condition(self) -> Condition:
        """Sizes, schema and room."""
        return condition(self._database)

    def add(self, event: Event) -> Event:
        """Write what a reviewer does now to the log; what is there already, by its uuid, is only returned.

        Raises:
            CatalogueError: it says nothing that it may, takes back what another reviewer did, what is taken back already
                or what is not there, or has the uuid of something else.
        """
        with self._database.writing() as connection:
            return events.add(connection, event)

    def take_back(self, reviewer: str, wanted: Undoing, *, at: str, seen: Seen) -> Event | None:
        """Take back what a reviewer decided, and return it; None where there is nothing to take back.

        One that is sent again, by its uuid, takes back nothing more.

        Raises:
            CatalogueError: there is something else under its uuid.
        """
        with self._database.writing() as connection:
            return events.take_back(connection, reviewer, wanted, at=at, seen=seen)

    def event(self, uuid: str) -> Event | None:
        """The event of a name, whether it counts or not."""
        with self._database.reading() as connection:
            return events.find(connection, uuid)

    def newest(self, reviewer: str, queue: str | None = None) -> Event | None:
        """The last event of a reviewer that nobody has taken back: what undo would take back."""
        with self._database.reading() as connection:
            return events.newest(connection, reviewer, queue)

    def recent(self, limit: int = 10) -> list[Event]:
        """The newest decisions of everybody that nobody has taken back, the newest first."""
        with self._database.reading() as connection:
            return events.counting(connection, "e.kind <> 'skip'", {}, limit=limit, end="e.id DESC")

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
        where, values = events.of_neurons([neuron])
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
        """What reviewers think: of each explanation and reviewer the last verdict that was not taken back.

        Of one queue, where it is given: a later verdict on a page of its own does not change what a sample says.
        """
        where, values = ("1", {}) if neurons is None else events.of_neurons(neurons)
        for name, value in (("queue", queue), ("reviewer", reviewer)):
            if value is not None:
                where, values = f"{where} AND e.{name} = :{name}", values | {name: value}
        with self._database.reading() as connection:
            return events.judgements(connection, where, values)

    def standing(
        self, targets: Iterable[Target] | None = None
    ) -> dict[Target, dict[str, Judgement | None]]:
        """What every reviewer thinks of each explanation that they ever judged; None where all was taken back.

        Args:
            targets: only of these; None for all.
        """
        wanted = None if targets is None else set(targets)
        where, values = (
            ("1", {}) if wanted is None else events.of_neurons([t.neuron for t in wanted])
        )
        found: dict[Target, dict[str, Judgement | None]] = {}
        with self._database.reading() as connection:
            for target, reviewer in events.judged(connection, where, values):
                found.setdefault(target, {})[reviewer] = None
            for judgement in events.judgements(connection, where, values):
                found[judgement.target][judgement.reviewer] = judgement
        return {t: by for t, by in found.items() if wanted is None or t in wanted}

    def make_queue(self, queue: Queue, items: Sequence[QueueItem]) -> Queue:
        """Write a queue with its items, unless one of its uuid is there.

        Decisions get their turn meanwhile: what takes long is written before, some at a time.

        Raises:
            CatalogueError: it has no items.
        """
        both = (target for item in items for target in (item.target, item.other))
        targets = list(dict.fromkeys(target for target in both if target is not None))
        rows: dict[Target, int] = {}
        for start in range(0, len(targets), _AT_ONCE):
            with self._database.writing() as connection:
                rows |= queues.target_rows(connection, targets[start : start + _AT_ONCE])
        with self._database.writing() as connection:
            return queues.make(connection, queue, items, rows)

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
        with self._database.reading() as connection:
            found = queues.coming(connection, queue, reviewer, limit=limit, after=after)
            fresh = self.read_only or queues.are_dealt(connection, queue, reviewer, found)
        if fresh:
            return found
        with self._database.writing() as connection:
            found = queues.coming(connection, queue, reviewer, limit=limit, after=after)
            queues.deal(connection, queue, reviewer, [item.position for item in found])
            return found

    def is_blind(self, neuron: NeuronId, reviewer: str, *, besides: str = "") -> bool:
        """Whether an item about a neuron lies before a reviewer from a queue that hides scores until it is decided.

        Args:
            neuron: which.
            reviewer: who.
            besides: UUID of a queue that does not count.
        """
        with self._database.reading() as connection:
            return bool(queues.waiting_among(connection, "blind", [neuron], reviewer, besides))

    def blind_among(self, neurons: Iterable[NeuronId], reviewer: str) -> set[NeuronId]:
        """Those of some neurons for which `is_blind` holds, by one statement."""
        with self._database.reading() as connection:
            return queues.waiting_among(connection, "blind", neurons, reviewer)

    def is_marking(self, neuron: NeuronId, reviewer: str) -> bool:
        """Whether a reviewer is yet to mark where a neuron fires, in a queue that they have begun."""
        with self._database.reading() as connection:
            return bool(queues.waiting_among(connection, "marking", [neuron], reviewer))

    def progress(self, queue: Queue, reviewer: str) -> Progress:
        """How far a reviewer is in a queue."""
        with self._database.reading() as connection:
            return queues.progress(connection, queue, reviewer)

    def reviewers(self, queue: Queue) -> Mapping[str, int]:
        """Decisions in a queue that count, by reviewer."""
        with self._database.reading() as connection:
            return queues.reviewers(connection, queue)

    def decided(self, queue: Queue) -> int:
        """Items of a queue that somebody has decided."""
        with self._database.reading() as connection:
            return queues.decided(connection, queue)

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
            merging.save_query(connection, row)

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
            return merging.saved_queries(connection)

    def export(self) -> Iterator[str]:
        """All that is here as lines of JSON, for `take_lines` of another file.

        Files of the same contents give the same lines, in whatever order they got them.
        """
        with self._database.reading() as connection:
            yield from exchange.written(merging.records(connection))

    def take_lines(self, file: IO[bytes], name: str) -> Taken:
        """Add what an exported file has and this one lacks; all of it, or nothing.

        Args:
            file: open for reading.
            name: of it, for messages.

        Raises:
            ExchangeError: a line is of no use, or says something else under a uuid that is here; with its number.
        """
        given = list(exchange.read(file, name))  # whoever writes the lines may take their time
        with self._database.writing() as connection:
            return merging.take(connection, given)

    def take(self, other: Reviews) -> Taken:
        """Add what another file of reviews has and this one lacks; all of it, or nothing.

        Raises:
            ExchangeError: it says something else under a uuid that is here.
        """
        name = str(other.path)
        with other._database.reading() as theirs, self._database.writing() as connection:
            return merging.take(connection, ((name, one) for one in merging.records(theirs)))
