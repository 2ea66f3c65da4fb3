"""Neurons as they leave the catalogue: one record after another, in order of layer, index and side, a block in memory.

A block of neurons is read by some ten statements in one transaction, so a neuron is always whole. What others write
while a long export runs may or may not be in it: no transaction stays open, and their write-ahead log does not grow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, bindparam, select, tuple_
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.exchange.export_block import EVERYTHING, Parts, Place, read_block
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.exchanged import About, NeuronRecord
from neuroexplain.records import NeuronId

BLOCK = 128
"""Neurons that are read together."""
_N, _SUBJECT = tables.Neuron, tables.Subject
_PLACE = (col(_N.layer), col(_N.idx))
_SAME = (col(_SUBJECT.name) == bindparam("subject"), col(_N.site) == bindparam("site"))


def _neurons() -> Any:
    return (
        select(col(_N.id), *_PLACE)
        .join(_SUBJECT, col(_SUBJECT.id) == col(_N.subject_id))
        .where(*_SAME)
        .order_by(*_PLACE)
    )


_AFTER = Prepared(
    _neurons()
    .where(tuple_(*_PLACE) > tuple_(bindparam("layer"), bindparam("index")))
    .limit(bindparam("most"))
)
_NAMED = Prepared(
    _neurons().where(col(_N.layer) == bindparam("layer"), col(_N.idx).in_(listed("indices")))
)
_Next = Callable[[Connection], list[Place]]
"""Gives the next block of neurons; none at the end."""


def export_neurons(
    database: Database,
    spans: SpanReader,
    collection: Collection,
    neurons: Iterable[NeuronId] | None = None,
    parts: Parts = EVERYTHING,
) -> Iterator[NeuronRecord]:
    """The records of neurons of a collection's subject and site, the upper side of each before the lower.

    Explanations are those that nothing supersedes, from all collections of the subject, with their newest scores and
    simulations. Spans, statistics and n-grams are the collection's.

    Args:
        database: the catalogue's.
        spans: reads its spans.
        collection: whose neurons.
        neurons: which, in order of layer, index and side; None for every side of which anything is known. Those that
            were not recorded are passed over.
        parts: what is read of them.
    """
    following = _all(collection) if neurons is None else _some(collection, neurons)
    while True:
        with database.reading() as connection:
            sqlite = connection.dialect.name == "sqlite"
            if sqlite:  # every page is read once, and need be neither mapped nor kept
                connection.exec_driver_sql("PRAGMA mmap_size = 0")
                connection.exec_driver_sql("PRAGMA cache_size = -8192")
            places = following(connection)
            block = read_block(connection, spans, collection, places, parts)
            if sqlite:
                connection.exec_driver_sql("PRAGMA shrink_memory")
        if not places:
            return
        for place in places:
            yield from block.records(place)
        del block  # before the next one is read


def _all(collection: Collection) -> _Next:
    """Every neuron, a block after the other, by where the last block ended."""
    last = (-1, -1)

    def following(connection: Connection) -> list[Place]:
        nonlocal last
        subject = collection.subject
        place = {"layer": last[0], "index": last[1], "most": BLOCK}
        rows = _AFTER(connection, subject=subject.name, site=subject.site, **place)
        if rows:
            last = rows[-1].layer, rows[-1].idx
        return [Place(row.id, NeuronId(subject.name, row.layer, row.idx)) for row in rows]

    return following


def _some(collection: Collection, neurons: Iterable[NeuronId]) -> _Next:
    """The neurons that are named, a block after the other."""
    remaining = iter(neurons)

    def following(connection: Connection) -> list[Place]:
        while chosen := list(islice(remaining, BLOCK)):
            if found := list(_named(connection, collection, chosen)):
                return found
        return []

    return following


def _named(
    connection: Connection, collection: Collection, neurons: list[NeuronId]
) -> Iterator[Place]:
    subject = collection.subject
    for layer, same in groupby(neurons, lambda neuron: neuron.layer):
        sides: dict[int, list[int]] = {}
        for neuron in same:
            sides.setdefault(neuron.index, []).append(neuron.polarity)
        place = {"layer": layer, "indices": json.dumps(list(sides))}
        for row in _NAMED(connection, subject=subject.name, site=subject.site, **place):
            yield Place(row.id, NeuronId(subject.name, layer, row.idx), tuple(sides[row.idx]))


def about(collection: Collection) -> About:
    """What a collection's records are of."""
    subject, corpus = collection.subject, collection.corpus
    return About(
        subject=subject.name,
        spec=subject.spec,
        weights_sha256=subject.weights_sha256,
        architecture=subject.architecture,
        site=subject.site,
        widths=subject.widths,
        corpus=corpus.spec,
        tokenizer_sha256=corpus.tokenizer_sha256,
        seq_len=corpus.seq_len,
        first=corpus.first,
        created_at=collection.created_at,
        config=collection.config,
    )
