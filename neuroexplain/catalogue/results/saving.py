"""What a run saves, all of it through the one writer; every method returns once the result is safe in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from neuroexplain.calls import Call, Waiting
from neuroexplain.catalogue.results import ledger, outbox, runs
from neuroexplain.catalogue.results.explanations import NewExplanation, save_explanations
from neuroexplain.catalogue.results.scores import NewScores, save_scores
from neuroexplain.catalogue.results.simulations import NewSimulation, save_simulations
from neuroexplain.catalogue.results.texts import TextSet, save_texts
from neuroexplain.catalogue.results.writing import Writer
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.errors import CatalogueError

T = TypeVar("T")
Result = TypeVar("Result")


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
        # Made once: what is written by the same function goes in together.
        self._explanations = partial(_with_run, save_explanations, run_id)
        self._simulations = partial(_with_run, save_simulations, run_id)
        self._scores = partial(_with_run, save_scores, run_id)
        self._texts = partial(_with_run, save_texts, run_id)
        self._calls = partial(_with_run, ledger.save_calls, run_id)

    async def explanation(self, entry: NewExplanation) -> int:
        """Add an explanation or the record of a failed one; returns its row.

        Raises:
            CatalogueError: the collection has no such neuron, or a number is not finite.
        """
        return await self._writer.do(self._explanations, entry)

    async def simulation(self, entry: NewSimulation) -> int:
        """Add a simulation with its failed spans; returns its row.

        Raises:
            CatalogueError: a level is not finite.
        """
        return await self._writer.do(self._simulations, entry)

    async def scores(self, entry: NewScores) -> None:
        """Add scores, except those that are there by key, explanation and scorer.

        Raises:
            CatalogueError: a number is not finite.
        """
        await self._writer.do(self._scores, entry)

    async def texts(self, entry: TextSet) -> int:
        """Add texts about an explanation, or the record of why there are none; returns their row."""
        return await self._writer.do(self._texts, entry)

    async def call(self, call: Call) -> int:
        """Add a call to the ledger; returns its row."""
        return await self._writer.do(self._calls, call)

    async def probe(self, model: str, endpoint: str, capabilities: Mapping[str, Any]) -> None:
        """Add what a server was found to be able to do."""
        await self._one(lambda c: ledger.save_probe(c, self.run_id, model, endpoint, capabilities))

    async def waiting(self, request: Waiting) -> None:
        """Add a request that waits for the answer of an offline batch."""
        await self._one(lambda c: outbox.put(c, self.run_id, request))

    async def unusable(self, request_sha256: str) -> outbox.Unusable | None:
        """An unusable answer of an offline batch."""
        return await self._one(lambda c: outbox.unusable(c, self.run_id, request_sha256))

    async def sign_of_life(self, counts: Mapping[str, int], progress: Mapping[str, Any]) -> None:
        """Write how far the run is."""
        await self._one(lambda c: runs.sign_of_life(c, self.run_id, counts, progress))

    async def close(self) -> None:
        """Write what is still in line, and end."""
        await self._writer.close()

    async def _one(self, write: Callable[[Connection], T]) -> T:
        """Write something that is seldom written."""
        return await self._writer.do(_each, write)


def _with_run(
    save: Callable[[Connection, int, Sequence[T]], list[Result]],
    run_id: int,
    connection: Connection,
    entries: Sequence[T],
) -> list[Result]:
    return save(connection, run_id, entries)


def _each(connection: Connection, writes: Sequence[Callable[[Connection], Any]]) -> list[Any]:
    return [write(connection) for write in writes]
