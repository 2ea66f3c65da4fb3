"""The catalogue: one SQLite file with all that was recorded, explained and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from sqlmodel import col

from neuroexplain.catalogue import (
    ledger,
    reader,
    results,
    search,
    show,
    sketches,
    summary,
    tables,
    writer,
)
from neuroexplain.catalogue.engine import TIMEOUT, Database
from neuroexplain.catalogue.engine import locate as locate
from neuroexplain.catalogue.fingerprint import fingerprint
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.results import ExplanationRef
from neuroexplain.catalogue.search import SearchResult
from neuroexplain.catalogue.sketches import TokenResponse
from neuroexplain.catalogue.spans import SpanReader
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus
from neuroexplain.records import (
    Call,
    Evidence,
    Exemplar,
    Explanation,
    NeuronId,
    Ngram,
    Score,
    Simulation,
    Split,
    TokenSpan,
)


class Catalogue:
    """One catalogue file. Safe to use from several threads and processes at once.

    Args:
        location: path of the file; None means `$NEUROEXPLAIN_CATALOGUE`, else `neuroexplain.sqlite`.
        read_only: refuse to write, and to make a file that is not there.
        timeout: seconds to wait while another process writes.

    Raises:
        CatalogueError: the file is missing, locked, damaged, of another program or of a newer version.
    """

    def __init__(
        self,
        location: str | Path | None = None,
        *,
        read_only: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self.path = locate(location)
        self._database = Database(self.path, read_only=read_only, timeout=timeout)
        self._spans = SpanReader()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Collections

    def save_collection(
        self,
        key: str,
        config: Mapping[str, Any],
        subject: SubjectInfo,
        corpus: TokenCorpus,
        layers: Iterable[LayerCollection],
        on_layer: Callable[[int], None] | None = None,
    ) -> int:
        """Save a collection in one transaction and make it its subject's current one.

        A subject and a corpus that are there already are used again, and so is a collection of an equal key.

        Args:
            key: hash of everything that determines the result.
            config: settings, as JSON values.
            subject: the model.
            corpus: the texts.
            layers: read one at a time.
            on_layer: called with the number of every layer that was written.

        Returns:
            The collection's row.

        Raises:
            CatalogueError: the subject's name stands for other weights, a number is not finite, or the disk is full;
                the catalogue is as it was before.
        """
        return writer.save_collection(
            self._database, key, config, subject, corpus, layers, on_layer
        )

    def find_collection(self, key: str) -> Collection | None:
        """The collection of a key, if it was saved."""
        with self._database.reading() as connection:
            return reader.find_collection(connection, key)

    def make_current(self, collection: Collection) -> None:
        """Make a collection the one that views and commands show of its subject."""
        with self._database.writing() as connection:
            writer.make_current(connection, collection.id)

    def collection(self, subject: str | None = None) -> Collection:
        """The current collection of a subject; without a name, of the only one.

        Raises:
            CatalogueError: no such subject, or several; the message lists them.
        """
        with self._database.reading() as connection:
            return reader.current(connection, subject)

    def evidence(self, collection: Collection, neuron: NeuronId) -> Evidence:
        """What an explainer may see of a neuron: the explain split.

        Raises:
            CatalogueError: the neuron was not recorded; the message has the valid layers or indices.
        """
        with self._database.reading() as connection:
            return reader.evidence(connection, self._spans, collection, neuron)

    def exemplars(
        self, collection: Collection, neuron: NeuronId, split: Split
    ) -> tuple[Exemplar, ...]:
        """A neuron's exemplars of one split: top and quantile spans of its polarity, and the random spans.

        Raises:
            CatalogueError: the neuron was not recorded; the message has the valid layers or indices.
        """
        with self._database.reading() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            return reader.exemplars(
                connection, self._spans, collection, row, neuron.polarity, [split]
            )

    def token_responses(self, collection: Collection, neuron: NeuronId) -> list[TokenResponse]:
        """The token ids on which a neuron is strongest on average, strongest first; empty where no tokens were sampled.

        Raises:
            CatalogueError: the neuron was not recorded; the message has the valid layers or indices.
        """
        with self._database.reading() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            return sketches.token_responses(connection, collection, row, neuron.polarity)

    def similar(self, neuron: NeuronId, *, limit: int = 10) -> list[tuple[NeuronId, float]]:
        """Neurons of the subject's current collection whose activations correlate most with a neuron's.

        With estimates of the correlation, which have a standard error of 1/16 at most; largest first. Of the two sides
        of every other neuron, the one that correlates positively is named. Empty where no tokens were sampled.

        Raises:
            CatalogueError: the neuron was not recorded, or the limit is below 1.
        """
        with self._database.reading() as connection:
            collection = reader.current(connection, neuron.subject)
            return sketches.similar(connection, collection, neuron, limit)

    def fingerprint(self, collection: Collection) -> str:
        """SHA-256 of all that a collection records, as hex; equal for equal contents, in whatever file and row."""
        with self._database.reading() as connection:
            return fingerprint(connection, collection)

    def spans(self, collection: Collection, numbers: Sequence[int]) -> dict[int, TokenSpan]:
        """Spans of the collection's corpus by number.

        Raises:
            CatalogueError: there is no such span.
        """
        with self._database.reading() as connection:
            return self._spans.read(connection, collection.corpus_id, numbers)

    # Runs and calls

    def begin_run(
        self, run_key: str, command: str, config: Mapping[str, Any], versions: Mapping[str, str]
    ) -> int:
        """Record that a command starts; returns the run's row."""
        with self._database.writing() as connection:
            return ledger.begin_run(connection, run_key, command, config, versions)

    def finish_run(
        self, run_id: int, state: str, counts: Mapping[str, int], message: str = ""
    ) -> None:
        """Record how a command ended: `done`, `interrupted` or `failed`.

        Raises:
            CatalogueError: another state, or no such run.
        """
        with self._database.writing() as connection:
            ledger.finish_run(connection, run_id, state, counts, message)

    def runs(self) -> list[dict[str, Any]]:
        """Every run, newest first, with its failures by reason and what its calls cost."""
        with self._database.reading() as connection:
            return ledger.runs(connection)

    def find_reply(self, request_sha256: str) -> Call | None:
        """The newest good answer to a request."""
        with self._database.reading() as connection:
            return ledger.find_reply(connection, request_sha256)

    def save_call(self, run_id: int | None, call: Call) -> int:
        """Add a language model call to the ledger; returns its row."""
        with self._database.writing() as connection:
            return ledger.save_call(connection, run_id, call)

    # Explanations, simulations, scores

    def save_explanation(
        self,
        run_id: int,
        collection: Collection,
        key: str,
        explanation: Explanation,
        parent_id: int | None = None,
    ) -> int:
        """Add an explanation or the record of a failed one; returns its row.

        Raises:
            CatalogueError: the collection has no such neuron, or a number is not finite.
        """
        with self._database.writing() as connection:
            neuron_id = reader.neuron_id(connection, collection, explanation.neuron)
            return results.save_explanation(
                connection, run_id, collection.id, neuron_id, key, explanation, parent_id
            )

    def find_explanation(self, key: str) -> tuple[int, Explanation] | None:
        """The newest good explanation of a key."""
        with self._database.reading() as connection:
            condition = col(tables.Explanation.key) == key
            return next(iter(results.find_explanations(connection, condition)), None)

    def explanations(
        self,
        collection: Collection,
        *,
        layer: int | None = None,
        explainer: str | None = None,
        polarity: int | None = None,
    ) -> list[tuple[int, Explanation]]:
        """Good explanations from a collection, the newest of every key, by row."""
        columns = (tables.Neuron.layer, tables.Explanation.explainer, tables.Explanation.polarity)
        wanted = zip(columns, (layer, explainer, polarity), strict=True)
        conditions = [col(column) == value for column, value in wanted if value is not None]
        with self._database.reading() as connection:
            inside = col(tables.Explanation.collection_id) == collection.id
            return results.find_explanations(connection, inside, *conditions)

    def explanation(self, number: int) -> Explanation:
        """One good explanation by its row.

        Raises:
            CatalogueError: there is no such row.
        """
        with self._database.reading() as connection:
            condition = col(tables.Explanation.id) == number
            found = next(iter(results.find_explanations(connection, condition)), None)
        if found is None:
            raise CatalogueError(f"the catalogue has no explanation {number}")
        return found[1]

    def explanation_refs(self, collection: Collection) -> list[ExplanationRef]:
        """Every good explanation from a collection, the newest of every key, by row, without texts and data."""
        with self._database.reading() as connection:
            return results.explanation_refs(connection, collection.id)

    def check_subject(self, subject: SubjectInfo) -> None:
        """Find early that a subject's name stands for other weights.

        Raises:
            CatalogueError: the message says how to give it another name.
        """
        with self._database.reading() as connection:
            writer.known_subject(connection, subject)

    def save_simulation(
        self, run_id: int, explanation_id: int, key: str, split: Split, simulation: Simulation
    ) -> int:
        """Add a simulation with its failed spans; returns its row.

        Raises:
            CatalogueError: a level is not finite.
        """
        with self._database.writing() as connection:
            return results.save_simulation(
                connection, run_id, explanation_id, key, split, simulation
            )

    def find_simulation(self, key: str, *, partial: bool = False) -> tuple[int, Simulation] | None:
        """The newest simulation of a key in which no span failed; levels are as stored, in float16.

        Args:
            key: hash of everything that determines it.
            partial: where there is none without failures, the newest one with its failed spans.
        """
        with self._database.reading() as connection:
            return results.find_simulation(connection, self._spans, key, partial)

    def save_scores(
        self,
        run_id: int,
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
        with self._database.writing() as connection:
            results.save_scores(
                connection, run_id, explanation_id, simulation_id, key, split, scores, simulation
            )

    def save_ngrams(
        self, collection: Collection, neuron: NeuronId, ngrams: Sequence[Ngram]
    ) -> None:
        """Replace a neuron's n-grams; strongest first.

        Raises:
            CatalogueError: the neuron was not recorded, or a number is not finite.
        """
        with self._database.writing() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            results.save_ngrams(connection, collection, row, neuron.polarity, ngrams)

    # Reading for people

    def search(self, query: str = "", *, limit: int | None = None) -> SearchResult:
        """Explanations that match a query; `grammar` has the language.

        Raises:
            QueryError: an unknown field or a bad value; the message has the valid ones and the column.
        """
        with self._database.reading() as connection:
            return search.search(connection, query, limit)

    def show(self, neuron: NeuronId) -> dict[str, Any]:
        """All about one neuron, as the JSON object of `neuroexplain show --json`.

        Raises:
            CatalogueError: the neuron was not recorded.
        """
        with self._database.reading() as connection:
            collection = reader.current(connection, neuron.subject)
            return show.show(connection, self._spans, collection, neuron)

    def summary(
        self,
        collection: Collection,
        *,
        run_id: int | None = None,
        explanations: AbstractSet[int] | None = None,
        simulator: str | None = None,
        scorer: str = "correlation",
        top: int = 10,
    ) -> dict[str, Any]:
        """How well a collection's neurons are explained: best, worst, means and undefined scores by reason.

        Restricted to what a run wrote or scored, to some explanations, and to scores of a simulator's simulations,
        where these are given; `top` is how many of the best and of the worst rows there are.
        """
        with self._database.reading() as connection:
            return summary.summary(
                connection,
                collection.id,
                run_id=run_id,
                explanations=explanations,
                simulator=simulator,
                scorer=scorer,
                top=top,
            )
