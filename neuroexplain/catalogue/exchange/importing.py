"""Records of neurons into a catalogue, a batch and its mark in one transaction.

A new import makes a subject, a corpus and a collection with its first batch. One that attaches adds explanations, scores
and simulations to the collection that a subject has. Whatever ends the process, the file holds whole batches, and the same
import once more goes on with the others.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.writer import make_current
from neuroexplain.catalogue.exchange.import_neurons import (
    find_neurons,
    make_neurons,
    save_exemplars,
    save_ngrams,
    save_statistics,
)
from neuroexplain.catalogue.exchange.import_place import Place, Target, grow, placed
from neuroexplain.catalogue.exchange.import_results import Incoming, Outcome
from neuroexplain.catalogue.exchange.import_spans import Shown
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.catalogue.storage.rows import add
from neuroexplain.errors import ExchangeError
from neuroexplain.exchanged import NeuronRecord

CONFLICTS = 20
"""That are told of, of all that are counted."""


class Importer:
    """Writes batches of records.

    Args:
        database: the catalogue's.
        run_id: the run that imports.
        target: where to.
    """

    def __init__(self, database: Database, run_id: int, target: Target) -> None:
        self._database = database
        self._run_id = run_id
        self._target = target
        self._place: Place | None = None
        self.counts: Counter[str] = Counter()
        self.conflicts: list[str] = []
        """The first of what was left out because the catalogue says something else."""

    def add(self, name: str, sha256: str, records: Sequence[NeuronRecord]) -> bool:
        """Write a batch; False if it was written before.

        Args:
            name: of the batch within the source.
            sha256: of its content.
            records: no side of a neuron twice.

        Raises:
            ExchangeError: the batch cannot be used, or has another content than before; nothing of it is in the catalogue.
            CatalogueError: the catalogue cannot be written.
        """
        outcome = Outcome()
        with self._database.writing() as connection:
            try:
                place = self._place or placed(connection, self._run_id, self._target, records)
                done = self._mark(connection, place, name, sha256)
                if not done:
                    self._write(connection, place, records, outcome)
            except ExchangeError as error:
                raise ExchangeError(f"{name}: {error}", batch=name) from error
            except (sqlite3.IntegrityError, IntegrityError) as error:
                cause = getattr(error, "orig", error)
                raise ExchangeError(
                    f"{name}: the catalogue refuses a row: {cause}", batch=name
                ) from error
        self._place = place
        self.counts.update({"batches that were there" if done else "batches": 1})
        self.counts.update(outcome.counts)
        self.conflicts += outcome.conflicts[: CONFLICTS - len(self.conflicts)]
        return not done

    def finish(self) -> None:
        """Make the collection that was imported the current one of its subject."""
        if self._place is not None and not self._target.attach:
            with self._database.writing() as connection:
                make_current(connection, self._place.rows.collection_id)

    def _mark(self, connection: Connection, place: Place, name: str, sha256: str) -> bool:
        """Note that a batch is written; whether it was before."""
        table = tables.ImportBatch
        own = f"{self._target.source}: {name}" if self._target.attach else name
        mark = {"collection_id": place.rows.collection_id, "name": own}
        known = connection.scalar(select(col(table.sha256)).filter_by(**mark))
        if known == sha256:
            return True
        if known is None:
            add(connection, table, [mark | {"sha256": sha256}])
        elif self._target.attach:  # what it says is known by keys, so that it may be read again
            connection.execute(update(table).filter_by(**mark).values(sha256=sha256))
        else:
            raise ExchangeError(
                "has changed since it was imported; --into current adds the explanations and scores that are new, "
                "--subject imports all of it under another name"
            )
        return False

    def _write(
        self,
        connection: Connection,
        place: Place,
        records: Sequence[NeuronRecord],
        outcome: Outcome,
    ) -> None:
        _check(records, place)
        neurons = [record.neuron for record in records]
        if self._target.attach:
            found = find_neurons(connection, place.rows, neurons)
        else:
            found = make_neurons(connection, place.rows, neurons)
        kept = []
        for record in records:
            row = found.get((record.neuron.layer, record.neuron.index))
            if row is None:
                outcome.conflict(f"{record.neuron}: the collection does not have this neuron")
            else:
                kept.append((row, record))
        wanted = _shown(kept, spans=not self._target.attach)
        numbers = place.spans.numbers(connection, wanted)
        if not self._target.attach:
            _save_neurons(connection, place, kept, numbers, outcome)
        incoming = [
            Incoming(record.neuron, row, explanation)
            for row, record in kept
            for explanation in record.explanations
        ]
        place.results.save(connection, incoming, numbers, outcome)


def _save_neurons(
    connection: Connection,
    place: Place,
    kept: Sequence[tuple[int, NeuronRecord]],
    numbers: Mapping[Shown, int],
    outcome: Outcome,
) -> None:
    outcome.counts["neurons"] += save_statistics(connection, place.rows, kept)
    longest = save_exemplars(connection, place.rows, kept, numbers)
    place.output.save(connection, kept)
    save_ngrams(connection, place.rows, kept)
    grow(connection, place.rows.collection_id, [record for _, record in kept], longest)


def _shown(kept: Sequence[tuple[int, NeuronRecord]], *, spans: bool) -> list[Shown]:
    """All spans of a batch: those that are kept, where these are wanted, and those of simulations."""
    found = [Shown.of(span, span.split) for _, r in kept for span in r.spans] if spans else []
    return found + [
        Shown.of(span, simulation.split)
        for _, record in kept
        for explanation in record.explanations
        for simulation in explanation.simulations
        for span in simulation.spans
    ]


def _check(records: Sequence[NeuronRecord], place: Place) -> None:
    """Refuse records of another subject or site."""
    for record in records:
        if record.site not in (None, place.rows.site):
            raise ExchangeError(
                f"{record.neuron}: is of site {record.site}, the import of site {place.rows.site}; "
                "import each site by itself, with --subject for its name"
            )
        if record.neuron.subject != place.subject:
            raise ExchangeError(
                f"{record.neuron}: is of another subject than {place.subject}; import its files by themselves"
            )
