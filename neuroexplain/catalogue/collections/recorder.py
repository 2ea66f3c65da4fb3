"""Writing the layers of a collection: neurons, statistics, exemplars and the tokens on which neurons peak."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import packing, sketches
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import add, add_rows
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import ExemplarBlock, LayerCollection, TokenCorpus
from neuroexplain.records import KINDS, SPLITS

_AT_ONCE = 256
"""Neurons whose exemplars are packed together."""
_MOMENTS = ("mean", "std", "min", "max", "frac_positive")
_COUNTS = ("n_tokens", "peaks_excluded", "troughs_excluded")
_STATISTICS = ("neuron_id", "collection_id", "n_spans", "quantiles", *_MOMENTS, *_COUNTS)
_EXEMPLAR = (
    *("neuron_id", "collection_id", "split", "kind", "polarity", "inclusion_probability"),
    *packing.DISPLAY_COLUMNS,
)
_PEAK_TOKEN = ("collection_id", "neuron_id", "polarity", "token", "n")


class Recorder:
    """Writes one layer after another."""

    def __init__(
        self,
        connection: Connection,
        collection_id: int,
        subject_id: int,
        site: str,
        corpus: TokenCorpus,
    ) -> None:
        self.layers: list[int] = []
        self.kept = 0
        """Most spans in a row of exemplars."""
        self.responses = 0
        """Most token ids in a row of token responses."""
        self._connection = connection
        self._collection_id = collection_id
        self._subject_id = subject_id
        self._site = site
        self._corpus = corpus

    def add(self, layer: LayerCollection) -> None:
        """Write a layer; one without neurons leaves nothing but its number.

        Raises:
            CatalogueError: a number is not finite.
        """
        self.layers.append(layer.layer)
        if not len(layer.mean):
            return
        ids = self._neurons(layer.layer, len(layer.mean))
        add_rows(self._connection, tables.Statistics, _STATISTICS, self._statistics(layer, ids))
        for block in layer.blocks:
            if not np.isfinite(block.activations).all():
                raise CatalogueError(f"layer {layer.layer}: an activation is NaN or infinite")
            self.kept = max(self.kept, block.spans.shape[1])
            add_rows(self._connection, tables.Exemplar, _EXEMPLAR, self._exemplars(block, ids))
            if (block.split, block.kind) == ("explain", "top"):
                tokens = self._peak_tokens(block, ids)
                add_rows(self._connection, tables.PeakToken, _PEAK_TOKEN, tokens)
        if layer.sketch is not None:
            sketches.save(self._connection, self._collection_id, layer.layer, ids, layer.sketch)
            self.responses = max(self.responses, layer.sketch.token_table.token_ids.shape[2])

    def _neurons(self, layer: int, width: int) -> list[int]:
        """Ids of a layer's neurons, in order; those that an earlier collection made are used again."""
        place = {"subject_id": self._subject_id, "site": self._site, "layer": layer}
        table = tables.Neuron
        rows = [{**place, "idx": i} for i in range(width)]
        add(self._connection, table, rows, known="passed over")
        found = self._connection.scalars(
            select(col(table.id)).filter_by(**place).order_by(col(table.idx)).limit(width)
        )
        return list(found)

    def _statistics(self, layer: LayerCollection, ids: list[int]) -> Iterator[tuple[object, ...]]:
        moments = [getattr(layer, name).tolist() for name in _MOMENTS]
        counts = [getattr(layer, name).tolist() for name in _COUNTS]
        quantiles = sketches.quantiles(layer)
        for index, (neuron_id, *row) in enumerate(zip(ids, *moments, *counts, strict=True)):
            codec.finite(
                f"layer {layer.layer}, neuron {index}", **dict(zip(_MOMENTS, row, strict=False))
            )
            yield neuron_id, self._collection_id, layer.n_spans, quantiles[index], *row

    def _exemplars(self, block: ExemplarBlock, ids: list[int]) -> Iterator[tuple[object, ...]]:
        """Rows of exemplars. What is scored stays float16; the explain split is looked at, by people and explainers."""
        common = (
            self._collection_id,
            SPLITS.index(block.split),
            KINDS.index(block.kind),
            block.polarity,
            block.inclusion_probability,
        )
        lengths, first = self._corpus.span_length[block.spans], self._corpus.info.first
        for start in range(0, len(ids), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            if block.split == "explain":
                rows = packing.packed_for_display(block, lengths, first, some)
            else:
                rows = ((*packed, None) for packed in packing.packed(block, lengths, some))
            for neuron_id, packed in zip(ids[some], rows, strict=True):
                yield neuron_id, *common, *packed

    def _peak_tokens(self, block: ExemplarBlock, ids: list[int]) -> Iterator[tuple[object, ...]]:
        """How often a neuron peaks on every token, one neuron after another."""
        seq_len = self._corpus.info.seq_len
        neurons, ranks = np.nonzero(block.spans >= 0)
        peaks = block.spans[neurons, ranks] * seq_len + block.peak_positions[neurons, ranks]
        places, which = np.unique(peaks, return_inverse=True)
        texts = [self._token(*divmod(place, seq_len)) for place in places.tolist()]
        names = list(dict.fromkeys(texts))
        numbers = {name: number for number, name in enumerate(names)}
        of_place = np.array([numbers[text] for text in texts], dtype=np.int64)
        found, counts = np.unique(neurons * len(names) + of_place[which], return_counts=True)
        for pair, n in zip(found.tolist(), counts.tolist(), strict=True):
            neuron, name = divmod(pair, len(names))
            if names[name]:
                yield self._collection_id, ids[neuron], block.polarity, names[name], n

    def _token(self, span: int, place: int) -> str:
        """Text of one token of a span, without the spaces around it."""
        entry = self._corpus.documents[int(self._corpus.span_document[span])]
        start = int(self._corpus.span_start[span])
        ends = entry.offsets[start : start + place + 1, 1]
        # As in `token_texts`: characters that two tokens share belong to the first.
        begin = int(ends[:-1].max()) if place else int(entry.offsets[start, 0])
        text = entry.document.text[begin : max(begin, int(ends[-1]))].strip()
        return str(codec.clean(text))
