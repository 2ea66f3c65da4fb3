"""Saving a collection: subject, corpus, neurons, statistics and exemplars, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col

from neuroexplain.catalogue import codec, tables
from neuroexplain.catalogue.engine import Database, add, add_one
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import (
    ExemplarBlock,
    LayerCollection,
    SubjectInfo,
    TokenCorpus,
    TokenDocument,
)
from neuroexplain.records import KINDS, SPLITS

_MOMENTS = ("mean", "std", "min", "max", "frac_positive")
_COUNTS = ("peaks_excluded", "troughs_excluded")


def save_collection(
    database: Database,
    key: str,
    config: Mapping[str, Any],
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: Iterable[LayerCollection],
    on_layer: Callable[[int], None] | None = None,
) -> int:
    """Save one collection and make it the current one of its subject; see `Catalogue.save_collection`."""
    table = tables.Collection
    with database.writing() as connection:
        known = connection.scalar(select(col(table.id)).where(col(table.key) == key))
        if known is not None:
            return known
        subject_id = _subject(connection, subject)
        corpus_id = _corpus(connection, corpus)
        row = {
            "key": key,
            "subject_id": subject_id,
            "corpus_id": corpus_id,
            "site": subject.site,
            "widths": codec.to_json(subject.widths, "widths"),
            "layers": "[]",
            "kept": 0,
            "config": codec.to_json(config, "config of the collection"),
            "current": 0,
            "created_at": codec.now(),
        }
        collection_id = add_one(connection, table, row)
        recorder = _Recorder(connection, collection_id, subject_id, subject.site, corpus)
        for layer in layers:
            recorder.add(layer)
            if on_layer is not None:
                on_layer(layer.layer)
        layers_json = codec.to_json(sorted(recorder.layers), "layers")
        connection.execute(
            update(table)
            .where(col(table.id) == collection_id)
            .values(layers=layers_json, kept=recorder.kept)
        )
        make_current(connection, collection_id)
    return collection_id


def make_current(connection: Connection, collection_id: int) -> None:
    """Make a collection the one that views and commands show of its subject."""
    table = tables.Collection
    row = col(table.id) == collection_id
    subject_id = connection.scalar(select(col(table.subject_id)).where(row))
    same_subject = col(table.subject_id) == subject_id
    connection.execute(update(table).where(same_subject).values(current=0))
    connection.execute(update(table).where(row).values(current=1))


def _subject(connection: Connection, info: SubjectInfo) -> int:
    table = tables.Subject
    number = known_subject(connection, info)
    if number is None:
        values = {k: getattr(info, k) for k in ("name", "spec", "weights_sha256", "architecture")}
        return add_one(connection, table, values)
    return number


def known_subject(connection: Connection, info: SubjectInfo) -> int | None:
    """The row of a subject, if it is there.

    Raises:
        CatalogueError: the name stands for other weights.
    """
    table = tables.Subject
    row = connection.execute(select(table).where(col(table.name) == info.name)).one_or_none()
    if row is None:
        return None
    if row.weights_sha256 != info.weights_sha256:
        raise CatalogueError(
            f'the catalogue has a subject "{info.name}" with other weights ({row.weights_sha256[:12]}, '
            f"now {info.weights_sha256[:12]}); give this one another name by --name"
        )
    return int(row.id)


def _corpus(connection: Connection, corpus: TokenCorpus) -> int:
    table = tables.Corpus
    known = connection.scalar(select(col(table.id)).where(col(table.sha256) == corpus.info.sha256))
    if known is not None:
        return known
    corpus_id = add_one(connection, table, asdict(corpus.info))
    add(connection, tables.Document, (_document(corpus_id, d) for d in corpus.documents))
    document = tables.Document
    places = select(col(document.position), col(document.id)).where(
        col(document.corpus_id) == corpus_id
    )
    ids = {row.position: row.id for row in connection.execute(places)}
    add(connection, tables.Span, _spans(corpus_id, corpus, ids))
    return corpus_id


def _document(corpus_id: int, entry: TokenDocument) -> dict[str, Any]:
    document = entry.document
    return {
        "corpus_id": corpus_id,
        "position": document.position,
        "sha256": document.sha256,
        "split": SPLITS.index(document.split),
        "source": document.source,
        "text": document.text,
        "token_ids": codec.words(entry.token_ids),
        "offsets": codec.words(entry.offsets),
    }


def _spans(
    corpus_id: int, corpus: TokenCorpus, documents: Mapping[int, int]
) -> Iterator[dict[str, Any]]:
    for number, position in enumerate(corpus.span_document.tolist()):
        start, length = int(corpus.span_start[number]), int(corpus.span_length[number])
        offsets = corpus.documents[position].offsets[start : start + length]
        yield {
            "corpus_id": corpus_id,
            "number": number,
            "document_id": documents[position],
            "start": start,
            "length": length,
            "char_start": int(offsets[0, 0]),
            "char_end": int(offsets.max()),
            "split": int(corpus.span_split[number]),
        }


class _Recorder:
    """Writes the layers of one collection."""

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
        self._connection = connection
        self._collection_id = collection_id
        self._subject_id = subject_id
        self._site = site
        self._corpus = corpus
        self._tokens: dict[int, tuple[str, ...]] = {}

    def add(self, layer: LayerCollection) -> None:
        ids = self._neurons(layer.layer, len(layer.mean))
        add(self._connection, tables.Statistics, self._statistics(layer, ids))
        for block in layer.blocks:
            if not np.isfinite(block.activations).all():
                raise CatalogueError(f"layer {layer.layer}: an activation is NaN or infinite")
            self.kept = max(self.kept, block.spans.shape[1])
            add(self._connection, tables.Exemplar, self._exemplars(block, ids))
            if (block.split, block.kind) == ("explain", "top"):
                add(self._connection, tables.PeakToken, self._peak_tokens(block, ids))
        self.layers.append(layer.layer)

    def _neurons(self, layer: int, width: int) -> list[int]:
        """Ids of a layer's neurons, in order; those that an earlier collection made are used again."""
        place = {"subject_id": self._subject_id, "site": self._site, "layer": layer}
        table = tables.Neuron
        self._connection.execute(
            insert(table).on_conflict_do_nothing(), [{**place, "idx": i} for i in range(width)]
        )
        found = self._connection.scalars(
            select(col(table.id)).filter_by(**place).order_by(col(table.idx)).limit(width)
        )
        return list(found)

    def _statistics(self, layer: LayerCollection, ids: list[int]) -> Iterator[dict[str, Any]]:
        columns = {name: getattr(layer, name).tolist() for name in _MOMENTS + _COUNTS}
        for index, neuron_id in enumerate(ids):
            numbers = {name: values[index] for name, values in columns.items()}
            codec.finite(f"layer {layer.layer}, neuron {index}", **numbers)
            yield {
                "neuron_id": neuron_id,
                "collection_id": self._collection_id,
                "n_tokens": layer.n_tokens,
                "n_spans": layer.n_spans,
                **numbers,
            }

    def _exemplars(self, block: ExemplarBlock, ids: list[int]) -> Iterator[dict[str, Any]]:
        common = {
            "collection_id": self._collection_id,
            "split": SPLITS.index(block.split),
            "kind": KINDS.index(block.kind),
            "polarity": block.polarity,
            "inclusion_probability": block.inclusion_probability,
        }
        positions = np.arange(block.activations.shape[2])
        for index, neuron_id in enumerate(ids):
            kept = np.flatnonzero(block.spans[index] >= 0)
            spans = block.spans[index, kept]
            activations = block.activations[index, kept]
            peaks = block.peak_positions[index, kept]
            inside = positions < self._corpus.span_length[spans][:, None]
            yield {
                **common,
                "neuron_id": neuron_id,
                "n": len(kept),
                "spans": codec.fixed(spans, 4),
                # The stored peak is the stored activation, so that the two always agree.
                "peaks": _float_bits(activations[np.arange(len(kept)), peaks]),
                "peak_positions": codec.fixed(peaks, 2),
                "exponents": codec.fixed(block.exponents[index, kept], 1),
                "activations": codec.halves(activations[inside]),
            }

    def _peak_tokens(self, block: ExemplarBlock, ids: list[int]) -> Iterator[dict[str, Any]]:
        for index, neuron_id in enumerate(ids):
            pairs = zip(
                block.spans[index].tolist(), block.peak_positions[index].tolist(), strict=True
            )
            tokens = Counter(self._token(span, place) for span, place in pairs if span >= 0)
            for token, n in tokens.items():
                if token:
                    yield {
                        "collection_id": self._collection_id,
                        "neuron_id": neuron_id,
                        "polarity": block.polarity,
                        "token": token,
                        "n": n,
                    }

    def _token(self, span: int, place: int) -> str:
        if span not in self._tokens:
            self._tokens[span] = self._corpus.span(span).tokens
        return codec.clean(self._tokens[span][place].strip())  # type: ignore[no-any-return]


def _float_bits(values: NDArray[np.float16]) -> bytes:
    return codec.fixed(values.astype(np.float16).view(np.uint16), 2)
