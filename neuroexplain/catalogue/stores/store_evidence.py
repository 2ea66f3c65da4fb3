"""Evidence of neurons: what the collection recorded, and the parts that take a pass of their own."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue.collections import corpora, look_alikes, ngrams, output_tokens, reader
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.config import EvidenceConfig
from neuroexplain.recorded import LookAlikes, OutputBlock, SplitTokens
from neuroexplain.records import Evidence, NeuronId, Split


class EvidenceStore(StoreFile):
    """The evidence of a catalogue's neurons."""

    def evidence(
        self, collection: Collection, neuron: NeuronId, wants: AbstractSet[str] = frozenset()
    ) -> Evidence:
        """What an explainer may see of a neuron: the explain split.

        Args:
            collection: that recorded it.
            neuron: which.
            wants: further parts to read, see `explainers.base.Want`; those that have not been made stay empty.

        Raises:
            CatalogueError: the neuron was not recorded; the message has the valid layers or indices.
        """
        with self._database.lookup() as connection:
            found = reader.evidence(connection, self._spans, collection, neuron)
            if not wants:
                return found
            row, polarity = reader.neuron_id(connection, collection, neuron), neuron.polarity
            if "look_alikes" in wants:
                sought = look_alikes.read(connection, self._spans, collection, row, polarity)
                alike = () if sought is None else tuple(a.exemplar for a in sought.found)
                found = replace(found, look_alikes=alike)
            if "output_tokens" in wants:
                written = output_tokens.read(connection, row, polarity)
                found = replace(found, output_tokens=written.tokens if written else None)
            if "ngrams" in wants and (made := ngrams.current(connection, collection)):
                alone = ngrams.evidence(connection, made, row, polarity, "mean")
                found = replace(found, ngrams=tuple(alone))
        return found

    def split_tokens(self, collection: Collection, split: Split) -> SplitTokens:
        """The spans of one split of the collection's corpus."""
        with self._database.reading() as connection:
            return corpora.split_tokens(connection, collection.corpus_id, split)

    def save_look_alikes(
        self, collection: Collection, found: Sequence[LookAlikes], config: EvidenceConfig
    ) -> None:
        """Keep look-alikes of neurons, in place of what there was, in one transaction.

        Raises:
            CatalogueError: a neuron was not recorded, or a number is not finite.
        """
        with self._database.writing() as connection:
            for entry in found:
                look_alikes.save(connection, collection, entry, config)

    def save_output_tokens(
        self, collection: Collection, block: OutputBlock, config: EvidenceConfig
    ) -> None:
        """Keep what neurons write towards the vocabulary, in place of what there was.

        Raises:
            CatalogueError: a neuron was not recorded, or a logit is not finite.
        """
        with self._database.writing() as connection:
            output_tokens.save(connection, collection, block, config)

    def save_no_output_tokens(
        self,
        collection: Collection,
        layer: int,
        indices: Sequence[int],
        reason: str,
        config: EvidenceConfig,
    ) -> None:
        """Keep why neurons write towards no vocabulary.

        Raises:
            CatalogueError: a neuron was not recorded.
        """
        with self._database.writing() as connection:
            output_tokens.save_none(connection, collection, layer, indices, reason, config)

    def with_look_alikes(
        self, collection: Collection, layer: int, polarity: int, config: EvidenceConfig
    ) -> NDArray[np.int64]:
        """Indices of a layer's neurons whose look-alikes on a side have been sought by a configuration, ascending."""
        with self._database.reading() as connection:
            return look_alikes.sought(connection, collection, layer, polarity, config)

    def with_output_tokens(
        self, collection: Collection, layer: int, config: EvidenceConfig
    ) -> NDArray[np.int64]:
        """Indices of a layer's neurons whose output tokens have been sought by a configuration, ascending."""
        with self._database.reading() as connection:
            return output_tokens.sought(connection, collection, layer, config)

    def has_output_tokens(self, collection: Collection) -> bool:
        """Whether any neuron of the collection's subject has output tokens, of those for which they have been sought."""
        with self._database.reading() as connection:
            return output_tokens.any_found(connection, collection)
