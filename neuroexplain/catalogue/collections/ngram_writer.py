"""Saving an n-gram pass: its set, where it is new, and every neuron's lists and moments, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, update
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import Database, add_one, add_rows
from neuroexplain.catalogue.storage.room import writing_much
from neuroexplain.errors import CatalogueError
from neuroexplain.lifts import holding
from neuroexplain.recorded import AGGREGATORS, LayerNgrams, NgramSet
from neuroexplain.records import POLARITIES, Floats

_LIST = (
    *("pass_id", "polarity", "aggregator", "neuron_id", "n", "exponent"),
    *("numbers", "means", "maxima"),
)
MOMENTS = (
    *("mean_mean", "mean_std", "max_mean", "max_std", "min_mean", "min_std"),
    *("peaks_excluded", "troughs_excluded"),
)
"""Fields of `NgramMoments`, in order, and columns of its table."""


@dataclass(frozen=True)
class NewPass:
    """An n-gram pass that is to be saved."""

    key: str
    """Hash of everything that determines it."""
    config: Mapping[str, Any]
    weights_sha256: str
    """Of the subject that answered."""
    ngrams: NgramSet
    layers: Iterable[LayerNgrams]
    """Read one at a time."""


def save(
    database: Database,
    collection: Collection,
    made: NewPass,
    on_layer: Callable[[int], None] | None = None,
) -> None:
    """Save a pass and make it the current one of its collection; see `Catalogue.save_ngram_pass`."""
    check_source(collection, made.ngrams.corpus_sha256, made.weights_sha256)
    saved = 0
    with writing_much(database, lambda: saved / max(1, len(collection.layers))) as connection:
        table = tables.NgramPass
        known = connection.scalar(select(col(table.id)).where(col(table.key) == made.key))
        if known is None:
            known = add_one(connection, table, _row(connection, collection, made))
            kept = 0
            for layer in made.layers:
                kept = max(kept, _add(connection, collection, known, layer, len(made.ngrams)))
                saved += 1
                if on_layer is not None:
                    on_layer(layer.layer)
            row = col(table.id) == known
            connection.execute(update(table).where(row).values(kept=kept))
        make_current(connection, collection, known)


def check_source(collection: Collection, corpus_sha256: str, weights_sha256: str) -> None:
    """Refuse n-grams of another corpus, or answers of another subject, than a collection's.

    Raises:
        CatalogueError: the message has both hashes.
    """
    name = collection.subject.name
    for what, own, other in (
        ("corpus", collection.corpus.sha256, corpus_sha256),
        ("weights", collection.subject.weights_sha256, weights_sha256),
    ):
        if own != other:
            raise CatalogueError(
                f"the n-grams are not of the collection of {name}: its {what} {own[:12]}, theirs {other[:12]}; "
                "run neuroexplain ngrams for this collection"
            )


def make_current(connection: Connection, collection: Collection, number: int) -> None:
    """Make a pass the one that is read of its collection."""
    table = tables.NgramPass
    same = col(table.collection_id) == collection.id
    connection.execute(update(table).where(same).values(current=0))
    connection.execute(update(table).where(col(table.id) == number).values(current=1))


def _row(connection: Connection, collection: Collection, made: NewPass) -> dict[str, Any]:
    return {
        "key": made.key,
        "collection_id": collection.id,
        "set_id": _set(connection, collection, made.ngrams),
        "weights_sha256": made.weights_sha256,
        "corpus_sha256": made.ngrams.corpus_sha256,
        "set_sha256": made.ngrams.sha256,
        "config": codec.to_json(made.config, "config of the n-gram pass"),
        "kept": 0,
        "current": 0,
        "created_at": codec.now(),
    }


def _set(connection: Connection, collection: Collection, ngrams: NgramSet) -> int:
    """The row of a set, which is written if it is not there."""
    table = tables.NgramSet
    place = {"corpus_id": collection.corpus_id, "sha256": ngrams.sha256}
    known = connection.scalar(select(col(table.id)).filter_by(**place))
    if known is not None:
        return known
    number = add_one(connection, table, {**place, "n": len(ngrams)})
    texts = map(codec.clean, ngrams.texts)
    rows = zip(range(len(ngrams)), texts, ngrams.counts.tolist(), strict=True)
    add_rows(
        connection,
        tables.NgramText,
        ("set_id", "number", "text", "count"),
        ((number, *row) for row in rows),
    )
    words = sorted(holding(map(codec.clean, ngrams.texts)).items())
    add_rows(
        connection, tables.NgramWord, ("set_id", "word", "n"), ((number, *row) for row in words)
    )
    return number


def _add(
    connection: Connection, collection: Collection, pass_id: int, layer: LayerNgrams, n: int
) -> int:
    """Write a layer; returns the length of its longest list."""
    _check(layer, n)
    width = layer.numbers.shape[2]
    ids = reader.neuron_ids(connection, collection, layer.layer, range(width))
    for polarity in POLARITIES:
        for place, aggregator in enumerate(AGGREGATORS):
            fixed = (pass_id, polarity, place)
            lists = zip(ids, _packed(*layer.of(polarity, aggregator)), strict=True)
            add_rows(
                connection, tables.NgramList, _LIST, ((*fixed, i, *packed) for i, packed in lists)
            )
    columns = (getattr(layer.moments, name).tolist() for name in MOMENTS)
    moments = ((pass_id, *row) for row in zip(ids, *columns, strict=True))
    add_rows(connection, tables.NgramMoments, ("pass_id", "neuron_id", *MOMENTS), moments)
    return int((layer.numbers >= 0).sum(axis=-1).max(initial=0))


def _check(layer: LayerNgrams, n: int) -> None:
    """Refuse what is not finite, and numbers of another set."""
    moments = [getattr(layer.moments, name) for name in MOMENTS]
    if not all(np.isfinite(array).all() for array in (*moments, layer.means, layer.maxima)):
        raise CatalogueError(f"layer {layer.layer}: a response to an n-gram is NaN or infinite")
    highest = int(layer.numbers.max(initial=-1))
    if highest >= n or layer.moments.n != n:
        raise CatalogueError(
            f"layer {layer.layer} answered to {layer.moments.n} n-grams, the highest listed {highest}, and the set has "
            f"{n}: it is another set"
        )


def _packed(
    numbers: NDArray[np.int64], means: Floats, maxima: Floats
) -> Iterator[tuple[object, ...]]:
    """Number, exponent, numbers, means and maxima of every neuron's list."""
    kept = numbers >= 0
    n = kept.sum(axis=1).tolist()
    largest = np.where(kept, np.maximum(np.abs(means), np.abs(maxima)), 0).max(axis=1, initial=0)
    # The largest response of a list lies between 1 and 2, so that small ones keep all of float16's digits.
    exponents = np.frexp(largest)[1] - (largest > 0)
    halves = [np.ldexp(array, -exponents[:, None])[kept] for array in (means, maxima)]
    return zip(
        n,
        exponents.tolist(),
        codec.cut(codec.fixed(numbers[kept], 4), n, 4),
        *(codec.cut(codec.half(array), n, 2) for array in halves),
        strict=True,
    )
