"""Collections in a catalogue: saved whole, read neuron by neuron."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from neuroexplain.catalogue.collections import reader, sketches, writer
from neuroexplain.catalogue.collections.fingerprint import fingerprint
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.collections.sketches import TokenResponse
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus
from neuroexplain.records import Exemplar, NeuronId, Placed, Split, TokenSpan


class CollectionStore(StoreFile):
    """The collections of a catalogue."""

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

    def exemplars(
        self, collection: Collection, neuron: NeuronId, split: Split
    ) -> tuple[Exemplar, ...]:
        """A neuron's exemplars of one split: top and quantile spans of its polarity, and the random spans.

        Raises:
            CatalogueError: the neuron was not recorded; the message has the valid layers or indices.
        """
        with self._database.lookup() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            return reader.exemplars(
                connection, self._spans, collection, row, neuron.polarity, [split]
            )

    def places(self, collection: Collection, neuron: NeuronId, split: Split) -> tuple[Placed, ...]:
        """Where a neuron's exemplars of one split have their places, without the activations.

        Raises:
            CatalogueError: the neuron was not recorded; the message has the valid layers or indices.
        """
        with self._database.lookup() as connection:
            row = reader.neuron_id(connection, collection, neuron)
            return reader.places(connection, self._spans, collection, row, neuron.polarity, split)

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

    def check_subject(self, subject: SubjectInfo) -> None:
        """Find early that a subject's name stands for other weights.

        Raises:
            CatalogueError: the message says how to give it another name.
        """
        with self._database.reading() as connection:
            writer.known_subject(connection, subject)
