"""Explanations, simulations and scores in a catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results import explanations, simulations
from neuroexplain.catalogue.results import scores as scores_
from neuroexplain.catalogue.results.explanations import ExplanationRef, NewExplanation
from neuroexplain.catalogue.results.scores import NewScores
from neuroexplain.catalogue.results.simulations import KnownSimulation, NewSimulation
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.errors import AbsentError
from neuroexplain.records import Explanation, NeuronId, Ngram, Score, Simulation, Split


class ResultStore(StoreFile):
    """The explanations of a catalogue, and what became of them."""

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
            entry = NewExplanation(collection, key, explanation, parent_id)
            return explanations.save_explanations(connection, run_id, [entry])[0]

    def known_explanations(self, keys: Sequence[str]) -> dict[str, int]:
        """Rows of the newest good explanations of some keys."""
        with self._database.lookup() as connection:
            return explanations.known_explanations(connection, keys)

    def known_simulations(self, keys: Sequence[str]) -> dict[str, KnownSimulation]:
        """The newest simulations of some keys; those without failed spans first."""
        with self._database.lookup() as connection:
            return simulations.known_simulations(connection, keys)

    def newest_score_keys(self, explanation_id: int, split: Split) -> dict[str, str]:
        """Keys of an explanation's newest scores, by scorer."""
        with self._database.lookup() as connection:
            return scores_.newest_score_keys(connection, explanation_id, split)

    def find_explanation(self, key: str) -> tuple[int, Explanation] | None:
        """The newest good explanation of a key."""
        with self._database.reading() as connection:
            condition = col(tables.Explanation.key) == codec.digest(key)
            return next(iter(explanations.find_explanations(connection, condition)), None)

    def explanations(
        self,
        collection: Collection,
        *,
        layer: int | None = None,
        explainer: str | None = None,
        polarity: int | None = None,
    ) -> list[tuple[int, Explanation]]:
        """Good explanations from a collection, the newest of every key, by row."""
        columns = (tables.Neuron.layer, tables.Method.plugin, tables.Explanation.polarity)
        wanted = zip(columns, (layer, explainer, polarity), strict=True)
        conditions = [col(column) == value for column, value in wanted if value is not None]
        with self._database.reading() as connection:
            inside = col(tables.Explanation.collection_id) == collection.id
            return explanations.find_explanations(connection, inside, *conditions)

    def explanation(self, number: int) -> Explanation:
        """One good explanation by its row.

        Raises:
            CatalogueError: there is no such row.
        """
        with self._database.reading() as connection:
            found = explanations.explanation(connection, number)
        if found is None:
            raise AbsentError(f"the catalogue has no explanation {number}")
        return found

    def explanation_refs(
        self, collection: Collection, layer: int | None = None
    ) -> list[ExplanationRef]:
        """Every good explanation from a collection, or a layer of it, the newest of every key, without texts and data."""
        with self._database.reading() as connection:
            return explanations.explanation_refs(connection, collection.id, layer)

    def explainers(self, collection: Collection, layer: int | None = None) -> dict[str, int]:
        """Explainers of the good explanations from a collection, and how many there are of each."""
        with self._database.reading() as connection:
            return explanations.explainers(connection, collection.id, layer)

    def simulation(self, number: int) -> Simulation:
        """One simulation by its row, with its failed spans.

        Raises:
            CatalogueError: there is no such row.
        """
        with self._database.lookup() as connection:
            return simulations.simulation(connection, self._spans, number)

    def save_simulation(
        self, run_id: int, explanation_id: int, key: str, split: Split, simulation: Simulation
    ) -> int:
        """Add a simulation with its failed spans; returns its row.

        Raises:
            CatalogueError: a level is not finite.
        """
        with self._database.writing() as connection:
            entry = NewSimulation(explanation_id, key, split, simulation)
            return simulations.save_simulations(connection, run_id, [entry])[0]

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
        entry = NewScores(
            *(explanation_id, simulation_id, key, split, scores),
            simulator=simulation.simulator,
            llm=simulation.llm,
        )
        with self._database.writing() as connection:
            scores_.save_scores(connection, run_id, [entry])

    def save_ngrams(
        self, collection: Collection, neuron: NeuronId, ngrams: Sequence[Ngram]
    ) -> None:
        """Replace a neuron's n-grams; strongest first.

        Raises:
            CatalogueError: the neuron was not recorded, or a number is not finite.
        """
        with self._database.writing() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            explanations.save_ngrams(connection, collection, row, neuron.polarity, ngrams)
