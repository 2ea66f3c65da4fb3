"""Rankings of a catalogue's explanations and neurons, and the index of meanings that some of them take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from neuroexplain.catalogue.collections import reader, sketches
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.collections.rolls import Roll
from neuroexplain.catalogue.searching import activated, meanings, wording
from neuroexplain.catalogue.searching.activated import Knots
from neuroexplain.catalogue.searching.entries import FAILED
from neuroexplain.catalogue.searching.nearest import Index
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.catalogue.searching.sql import Sql, fetch, numbers
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.errors import CatalogueError
from neuroexplain.records import Floats, NeuronId

MISSING = 100_000
"""Explanations without a vector up to which they are counted."""
_NO_INDEX = "the catalogue has no index of meanings; `neuroexplain db embed` makes it"


class _Kept:
    """What takes long to read: one thing of each kind, until another is wanted; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._found: dict[str, tuple[object, Any]] = {}

    def get(self, kind: str, key: object, make: Callable[[], Any]) -> Any:
        with self._lock:
            known = self._found.get(kind)
            if known is None or known[0] != key:
                known = self._found[kind] = key, make()
            return known[1]


class RankingStore(StoreFile):
    """What a catalogue's searches get from more than SQL."""

    @cached_property
    def _kept(self) -> _Kept:
        return _Kept()

    def ranking_state(self) -> tuple[int, ...]:
        """Changes when a ranking may have become another."""
        statement = Sql(
            "SELECT (SELECT coalesce(max(id), 0) FROM embedding), (SELECT coalesce(max(id), 0) FROM explanation), "
            "(SELECT coalesce(sum(id), 0) FROM collection WHERE current = 1)"
        )
        with self._database.reading() as connection:
            return tuple(map(int, fetch(connection, statement)[0]))

    def meaning_model(self) -> str:
        """The sentence model of the index of meanings, with the hash of its weights.

        Raises:
            CatalogueError: there is no index.
        """
        with self._database.reading() as connection:
            model = meanings.model_of(connection)
        if model is None:
            raise CatalogueError(_NO_INDEX)
        return model

    def without_meaning(self, model: str) -> NDArray[np.int64]:
        """Good explanations that have no vector of a model, ascending."""
        with self._database.reading() as connection:
            statement = Sql("SELECT id FROM entry WHERE state <> ? ORDER BY id", (FAILED,))
            good = np.array(fetch(connection, statement), np.int64).reshape(-1)
            return np.setdiff1d(good, meanings.covered(connection, model), assume_unique=True)

    def explanation_texts(self, explanations: Sequence[int]) -> list[str]:
        """Texts of some explanations, in the order given."""
        with self._database.reading() as connection:
            wanted = numbers(connection, explanations)
            statement = (
                Sql("SELECT x.id, x.text FROM ") + wanted + " c JOIN explanation x ON x.id = c.id"
            )
            found: dict[int, str] = dict(fetch(connection, statement))
        return [found[number] for number in explanations]

    def save_meanings(self, model: str, explanations: Sequence[int], vectors: Floats) -> int:
        """Add vectors [explanation, dimension] to the index, in one transaction; returns how many were not there yet."""
        with self._database.writing() as connection:
            # Another process may have been at the same work.
            known = np.isin(explanations, meanings.covered(connection, model))
            new = np.flatnonzero(~known)
            if len(new):
                ids = np.asarray(explanations)[new].tolist()
                meanings.save(connection, model, ids, meanings.quantised(vectors[new]))
        return len(new)

    def keep_meanings(self, model: str) -> None:
        """Remove the vectors of other models from the index."""
        with self._database.writing() as connection:
            meanings.remove_others(connection, model)

    def nearest(self, vector: Floats) -> Ranking:
        """Explanations by the cosine of their vectors with one of the same sentence model, [dimension].

        Raises:
            CatalogueError: there is no index.
        """
        with self._database.reading() as connection:
            index = self._index(connection)
            if index is None:
                raise CatalogueError(_NO_INDEX)
            return self._nearest(connection, index, vector)

    def alike(self, neuron: NeuronId) -> Ranking:
        """Explanations of other neurons by how alike they are to a neuron's on its polarity.

        By the cosine with the mean of their vectors where these are in the index, else by words that they share.

        Raises:
            CatalogueError: the neuron was not recorded, or has no explanation.
        """
        with self._database.reading() as connection:
            collection = reader.current(connection, neuron.subject)
            row = reader.neuron_id(connection, collection, neuron)
            statement = Sql(
                "SELECT x.id, x.text FROM explanation x CROSS JOIN entry e "
                "WHERE e.id = x.id AND x.neuron_id = ? AND x.polarity = ? AND e.state <> ?",
                (row, neuron.polarity, FAILED),
            )
            texts: dict[int, str] = dict(fetch(connection, statement))
            if not texts:
                raise CatalogueError(
                    f"neuron {neuron} has no explanation to compare; by:activations compares what it does"
                )
            index = self._index(connection)
            vectors = () if index is None else index.vectors(connection, list(texts))
            if index is not None and len(vectors):
                found = self._nearest(connection, index, np.mean(vectors, axis=0))
            else:
                found = wording.alike(connection, list(texts.values()))
            own = Sql("SELECT id FROM explanation WHERE neuron_id = ?", (row,))
            return found.without([number for (number,) in fetch(connection, own)])

    def correlated(self, neuron: NeuronId) -> Ranking:
        """All other neurons of the subject's current collection by how much their activations correlate with a neuron's.

        Of the two sides of every neuron, the one that correlates positively is named. Without those whose correlation
        is not known; empty where no tokens were sampled.

        Raises:
            CatalogueError: the neuron was not recorded.
        """
        with self._database.reading() as connection:
            collection = reader.current(connection, neuron.subject)
            roll = self._roll(connection, collection)
            return sketches.correlated(connection, collection, roll, neuron)

    def activated(
        self, collection: Collection, highest: dict[int, Floats], lowest: dict[int, Floats]
    ) -> Ranking:
        """Neurons of a collection by where their activations on a text stand among those that they have on the corpus.

        Args:
            collection: the neurons.
            highest: [neuron], by layer; largest activation over the tokens that count.
            lowest: [neuron], by layer; smallest one.

        Returns:
            Neurons on the sides on which they fire, with the values of `activated.standing`.
        """
        with self._database.reading() as connection:
            roll = self._roll(connection, collection)
            knots = self._kept.get(
                "knots", collection.id, lambda: Knots.read(connection, collection, roll)
            )
        extremes = ([values[layer] for layer in roll.starts] for values in (highest, lowest))
        return activated.ranking(roll, knots, *map(np.concatenate, extremes))

    def _index(self, connection: Connection) -> Index | None:
        model, state = meanings.model_of(connection), meanings.newest(connection)
        if model is None:
            return None
        read = self._kept.get("index", (model, state), lambda: Index.read(connection, model))
        assert isinstance(read, Index)
        return read

    def _nearest(self, connection: Connection, index: Index, vector: Floats) -> Ranking:
        statement = Sql(
            "SELECT count(*) FROM (SELECT 1 FROM entry WHERE id > ? AND state <> ? LIMIT ?) AS k",
            (int(index.explanations.max()), FAILED, MISSING),
        )
        ((missing,),) = fetch(connection, statement)
        return index.nearest(connection, vector, missing=int(missing))

    def _roll(self, connection: Connection, collection: Collection) -> Roll:
        read = self._kept.get("roll", collection.id, lambda: Roll.read(connection, collection))
        assert isinstance(read, Roll)
        return read
