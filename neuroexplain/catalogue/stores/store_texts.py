"""Texts about explanations in a catalogue, and what scoring by them needs to read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.ngrams import NgramPass
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results import explanations, scores, texts
from neuroexplain.catalogue.results.texts import TextSet
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.records import Explanation, NeuronId

_AT_ONCE = 500


class TextStore(StoreFile):
    """The texts of a catalogue that the subject runs on."""

    def known_texts(self, keys: Sequence[str]) -> dict[str, TextSet]:
        """The newest texts of some keys, those that did not fail before those that did."""
        with self._database.reading() as connection:
            return texts.known_texts(connection, keys)

    def explanations_of(self, numbers: Sequence[int]) -> dict[int, Explanation]:
        """Good explanations by their rows; those that have been replaced are left out."""
        found: dict[int, Explanation] = {}
        with self._database.reading() as connection:
            for start in range(0, len(numbers), _AT_ONCE):
                some = col(tables.Explanation.id).in_(list(numbers[start : start + _AT_ONCE]))
                found.update(explanations.find_explanations(connection, some))
        return found

    def newest_scores(
        self, collection: Collection, *, explainer: str, scorer: str, simulator: str
    ) -> dict[NeuronId, float]:
        """The newest defined scores of an explainer's explanations on the test split, by neuron."""
        with self._database.reading() as connection:
            return scores.newest_scores(connection, collection, explainer, scorer, simulator)

    def ngram_texts(self, found: NgramPass) -> frozenset[str]:
        """The n-grams that an n-gram pass has seen."""
        table = tables.NgramText
        with self._database.reading() as connection:
            texts_ = connection.scalars(
                select(col(table.text)).where(col(table.set_id) == found.set_id)
            )
            return frozenset(texts_)
