"""What a run saves, all of it through the one writer; every method returns once the result is safe in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from neuroexplain.catalogue import ledger, outbox, reader, results, runs
from neuroexplain.catalogue.engine import Database
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.writing import Writer
from neuroexplain.errors import CatalogueError
from neuroexplain.records import (
    Call,
    Explanation,
    Ngram,
    Score,
    Simulation,
    Split,
    Waiting,
)


class Saver:
    """Saves the results of one run; belongs to one event loop, and must be closed in it.

    Args:
        database: the catalogue's.
        run_id: row of the run.
        name: tells the run's reserve of disk room from that of another run.
        on_trouble: called from another thread, once, when the disk is full.

    Raises:
        CatalogueError: the disk is full already.
    """

    def __init__(
        self,
        database: Database,
        run_id: int,
        name: str,
        on_trouble: Callable[[CatalogueError], None],
    ) -> None:
        self.run_id = run_id
        self._writer = Writer(database, name, on_trouble)

    async def explanation(
        self,
        collection: Collection,
        key: str,
        explanation: Explanation,
        *,
        parent_id: int | None = None,
        ngrams: Sequence[Ngram] = (),
    ) -> int:
        """Add an explanation or the record of a failed one, with the n-grams that it is made of; returns its row.

        Raises:
            CatalogueError: the collection has no such neuron, or a number is not finite.
        """

        def write(connection: Connection) -> int:
            neuron_id = reader.neuron_id(connection, collection, explanation.neuron)
            if ngrams:
                polarity = explanation.neuron.polarity
                results.save_ngrams(connection, collection, neuron_id, polarity, ngrams)
            return results.save_explanation(
                connection, self.run_id, collection.id, neuron_id, key, explanation, parent_id
            )

        return await self._writer.do(write)

    async def simulation(
        self, explanation_id: int, key: str, split: Split, simulation: Simulation
    ) -> int:
        """Add a simulation with its failed spans; returns its row.

        Raises:
            CatalogueError: a level is not finite.
        """
        return await self._writer.do(
            lambda connection: results.save_simulation(
                connection, self.run_id, explanation_id, key, split, simulation
            )
        )

    async def scores(
        self,
        explanation_id: int,
        simulation_id: int,
        key: str,
        split: Split,
        scores: Sequence[Score],
        simulation: Simulation,
    ) -> None:
        """Add scores, except those that are there by key, explanation and scorer.

        Raises:
            CatalogueError: a number is not finite.
        """
        await self._writer.do(
            lambda connection: results.save_scores(
                *(connection, self.run_id, explanation_id, simulation_id, key, split, scores),
                simulation,
            )
        )

    async def call(self, call: Call) -> int:
        """Add a call to the ledger; returns its row."""
        return await self._writer.do(lambda c: ledger.save_call(c, self.run_id, call))

    async def probe(self, model: str, endpoint: str, capabilities: Mapping[str, Any]) -> None:
        """Add what a server was found to be able to do."""
        await self._writer.do(
            lambda c: ledger.save_probe(c, self.run_id, model, endpoint, capabilities)
        )

    async def waiting(self, request: Waiting) -> None:
        """Add a request that waits for the answer of an offline batch."""
        await self._writer.do(lambda c: outbox.put(c, self.run_id, request))

    async def take_unusable(self, request_sha256: str) -> outbox.Unusable | None:
        """An unusable answer of an offline batch, once."""
        return await self._writer.do(lambda c: outbox.take_unusable(c, request_sha256))

    async def sign_of_life(self, counts: Mapping[str, int], progress: Mapping[str, Any]) -> None:
        """Write how far the run is."""
        await self._writer.do(lambda c: runs.sign_of_life(c, self.run_id, counts, progress))

    async def close(self) -> None:
        """Write what is still in line, and end."""
        await self._writer.close()
