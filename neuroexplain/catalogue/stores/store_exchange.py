"""Neurons of a catalogue as records that stand by themselves, out and in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.exchange import exporting
from neuroexplain.catalogue.exchange.export_block import EVERYTHING, Parts
from neuroexplain.catalogue.exchange.import_place import Target
from neuroexplain.catalogue.exchange.importing import Importer
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.exchanged import About, NeuronRecord
from neuroexplain.records import NeuronId


class ExchangeStore(StoreFile):
    """What a catalogue exchanges with others."""

    def export(
        self,
        collection: Collection,
        neurons: Iterable[NeuronId] | None = None,
        parts: Parts = EVERYTHING,
    ) -> Iterator[NeuronRecord]:
        """Neurons one after another, by layer, index and side (the upper one first); a block of them is in memory.

        A neuron is whole; what others write while a long export runs may or may not be in it. See `exporting`.

        Args:
            collection: whose neurons and spans; explanations come from all collections of its subject.
            neurons: which, in that order; None for every side of which anything is known.
            parts: what is read of them.
        """
        return exporting.export_neurons(self._database, self._spans, collection, neurons, parts)

    def about(self, collection: Collection) -> About:
        """What the records of a collection are of."""
        return exporting.about(collection)

    def importer(self, run_id: int, target: Target) -> Importer:
        """The one that writes records in; see `Importer`."""
        return Importer(self._database, run_id, target)
