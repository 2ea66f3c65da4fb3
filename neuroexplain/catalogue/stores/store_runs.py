"""Runs and language model calls in a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from neuroexplain.calls import Call, Reply
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results import ledger, runs
from neuroexplain.catalogue.results.outbox import Outbox
from neuroexplain.catalogue.results.saving import Saver
from neuroexplain.catalogue.storage.claims import Claim
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.errors import CatalogueError


class RunStore(StoreFile):
    """The runs of a catalogue, and its ledger."""

    # Runs and calls

    def claim(self, run_key: str) -> Claim | None:
        """Hold a run's key while working on it; None where another living process does.

        Raises:
            RunError: there can be no lock beside the catalogue's file.
        """
        return self._database.claim(run_key)

    def claimed(self, run_key: str) -> bool:
        """Whether some living process works on a run."""
        return self._database.claimed(run_key)

    def begin_run(
        self,
        run_key: str,
        command: str,
        config: Mapping[str, Any],
        versions: Mapping[str, str],
        *,
        host: str = "",
        pid: int = 0,
    ) -> int:
        """Record that a command starts; returns the run's row. Whoever calls has claimed the key."""
        with self._database.writing() as connection:
            return runs.begin_run(connection, run_key, command, config, versions, host, pid)

    def finish_run(
        self,
        run_id: int,
        state: str,
        counts: Mapping[str, int],
        message: str = "",
        *,
        waiting: int = 0,
    ) -> None:
        """Record how a command ended: `done`, `interrupted` or `failed`.

        Raises:
            CatalogueError: another state, or no such run.
        """
        with self._database.writing() as connection:
            runs.finish_run(connection, run_id, state, counts, message, waiting)

    def runs(self, run_id: int | None = None) -> list[dict[str, Any]]:
        """Every run, newest first, with its failures by reason and what its calls cost; or one."""
        with self._database.reading() as connection:
            return runs.runs(connection, run_id)

    def newest_run(self, run_key: str) -> dict[str, Any] | None:
        """The last run of a key: `id`, `command`, `host`, `pid`, `started_at`."""
        with self._database.reading() as connection:
            return runs.newest(connection, run_key)

    def run_config(self, run_id: int) -> tuple[str, dict[str, Any]]:
        """A run's command and settings.

        Raises:
            CatalogueError: there is no such run.
        """
        with self._database.reading() as connection:
            return runs.config_of(connection, run_id)

    def failures(self, run_id: int) -> dict[str, int]:
        """What failed in a run or in others of the same key, by reason."""
        with self._database.reading() as connection:
            return runs.failures(connection, run_id)

    def failed_requests(self, run_id: int, reasons: AbstractSet[str]) -> list[str]:
        """Requests whose replies could not be used in a run or in others of the same key, for some reasons."""
        with self._database.reading() as connection:
            return runs.failed_requests(connection, run_id, reasons)

    def collection_of_run(self, run_id: int) -> Collection:
        """The collection that a run explained, or scored explanations of.

        Raises:
            CatalogueError: the run did neither.
        """
        with self._database.reading() as connection:
            return reader.collection_of_run(connection, run_id)

    def spent_on(self, run_key: str) -> tuple[int, int]:
        """Calls that all runs of a key have made, and what these cost in billionths of a dollar."""
        with self._database.reading() as connection:
            return runs.spent_on(connection, run_key)

    def saver(self, run_id: int, name: str, on_trouble: Callable[[CatalogueError], None]) -> Saver:
        """The one that writes during a run; see `Saver`."""
        return Saver(self._database, run_id, name, on_trouble)

    def find_reply(self, request_sha256: str) -> Reply | None:
        """The newest good answer to a request."""
        with self._database.lookup() as connection:
            return ledger.find_reply(connection, request_sha256)

    def save_call(self, run_id: int | None, call: Call) -> int:
        """Add a language model call to the ledger; returns its row."""
        with self._database.writing() as connection:
            return ledger.save_calls(connection, run_id, [call])[0]

    def retire(self, requests: Sequence[str]) -> int:
        """Answer some requests from the ledger no more, though it keeps the replies; returns how many there were."""
        with self._database.writing() as connection:
            return ledger.retire(connection, requests)

    def probes(self, run_id: int | None = None) -> list[dict[str, Any]]:
        """What servers were found to be able to do, newest first; in one run, or in all."""
        with self._database.reading() as connection:
            return ledger.probes(connection, run_id)

    def lengths(self, model: str) -> dict[str, dict[str, float]]:
        """What good calls of a model took on average, by purpose: tokens and milliseconds."""
        with self._database.reading() as connection:
            return ledger.lengths(connection, model)

    def sample_calls(self, model: str, at_most: int) -> list[tuple[str, str, int]]:
        """The newest good calls of a model: purpose, messages as JSON, prompt tokens."""
        with self._database.reading() as connection:
            return ledger.sample(connection, model, at_most)

    @property
    def outbox(self) -> Outbox:
        """Requests that wait for the answers of offline batches."""
        return Outbox(self._database)
