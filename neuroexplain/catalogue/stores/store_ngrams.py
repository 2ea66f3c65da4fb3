"""N-gram passes in a catalogue: saved whole, read neuron by neuron."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neuroexplain.catalogue.collections import ngram_writer, ngrams, reader
from neuroexplain.catalogue.collections.ngram_writer import NewPass
from neuroexplain.catalogue.collections.ngrams import NgramPass
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import Aggregator, NgramMoments
from neuroexplain.records import NeuronId, Ngram, Split


class NgramStore(StoreFile):
    """The n-gram passes of a catalogue. Another corpus, subject or set than the collection's is an error everywhere."""

    def save_ngram_pass(
        self,
        collection: Collection,
        made: NewPass,
        on_layer: Callable[[int], None] | None = None,
    ) -> None:
        """Save a pass in one transaction and make it its collection's current one.

        A set that is there already is used again, and so is a pass of an equal key.

        Args:
            collection: whose neurons answered.
            made: the pass.
            on_layer: called with the number of every layer that was written.

        Raises:
            CatalogueError: it is of another corpus or subject than the collection, a number is not finite, or the disk
                is full; the catalogue is as it was before.
        """
        ngram_writer.save(self._database, collection, made, on_layer)

    def use_ngram_pass(self, collection: Collection, key: str) -> bool:
        """Make the pass of a key the current one of its collection; False where it has not been made."""
        with self._database.reading() as connection:
            number = ngrams.find(connection, key)
            found = ngrams.current(connection, collection)
        if number is None:
            return False
        if found is None or found.id != number:
            with self._database.writing() as connection:
                ngram_writer.make_current(connection, collection, number)
        return True

    def ngram_pass(self, collection: Collection) -> NgramPass | None:
        """The current pass of a collection; None where there is none.

        Raises:
            CatalogueError: it is of another corpus, subject or set; the message has both hashes.
        """
        with self._database.lookup() as connection:
            return ngrams.current(connection, collection)

    def ngrams(
        self, collection: Collection, neuron: NeuronId, aggregator: Aggregator = "mean"
    ) -> list[Ngram]:
        """A neuron's n-grams by themselves as evidence, strongest first; empty where no pass was made.

        No word stands in more than five, none holds another, see `thinning`; each has the lifts of its words.

        Raises:
            CatalogueError: as `ngram_pass`; or the neuron was not recorded, or the pass is over other splits than
                `explain`.
        """
        with self._database.lookup() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            found = ngrams.current(connection, collection)
            if found is None:
                return []
            return ngrams.evidence(connection, found, row, neuron.polarity, aggregator)

    def ngram_list(
        self, collection: Collection, neuron: NeuronId, aggregator: Aggregator = "mean"
    ) -> list[Ngram]:
        """The same as the pass recorded it: every n-gram, responses on the polarity's side, below 0 too.

        Raises:
            CatalogueError: as `ngrams`.
        """
        with self._database.lookup() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            found = ngrams.current(connection, collection)
            if found is None:
                return []
            return ngrams.ngram_list(connection, found, row, neuron.polarity, aggregator)

    def ngram_moments(self, collection: Collection, layer: int) -> NgramMoments:
        """Mean and standard deviation of a layer's responses over the n-gram set.

        Raises:
            CatalogueError: as `ngram_pass`; or no pass was made, or it lacks the layer.
        """
        with self._database.reading() as connection:
            found = ngrams.current(connection, collection)
            if found is None:
                raise CatalogueError(
                    f"no n-gram pass of {collection.subject.name}; make one by neuroexplain ngrams"
                )
            moments = ngrams.moments(connection, found, layer)
        if not len(moments.mean_mean):
            layers = ", ".join(map(str, collection.layers))
            raise CatalogueError(
                f"no such layer {layer}; {collection.subject.name} has layers {layers}"
            )
        return moments

    def texts(self, collection: Collection, splits: Sequence[Split]) -> list[str]:
        """The documents of some splits of the collection's corpus, in order, as far as they were collected.

        Raises:
            CatalogueError: a text is not the one that was collected.
        """
        with self._database.reading() as connection:
            return list(ngrams.texts(connection, collection, splits))
