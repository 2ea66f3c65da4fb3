"""Reading what n-gram passes recorded: lists, as they are or as evidence, and moments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.ngram_writer import MOMENTS, check_source
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.errors import CatalogueError
from neuroexplain.lifts import lifts
from neuroexplain.recorded import AGGREGATORS, Aggregator, NgramMoments
from neuroexplain.records import SPLITS, Ngram, Split
from neuroexplain.thinning import left, thinned
from neuroexplain.words import words


@dataclass(frozen=True)
class NgramPass:
    """One run of a set's n-grams through the subject of a collection."""

    id: int
    key: str
    """Hash of everything that determines it."""
    weights_sha256: str
    """Of the subject that answered."""
    corpus_sha256: str
    """Of the corpus that the n-grams are from."""
    set_sha256: str
    """Of the set."""
    n_ngrams: int
    """Of the set."""
    config: Mapping[str, Any]
    created_at: str
    """ISO time, UTC."""
    set_id: int
    """Row of the set in this catalogue."""


def _build_pass() -> Select[*tuple[Any, ...]]:
    table, found = tables.NgramPass, tables.NgramSet
    columns = (
        *(table.id, table.key, table.weights_sha256, table.corpus_sha256, table.set_sha256),
        *(table.config, table.created_at, table.set_id, found.n),
    )
    return (
        select(*(col(c) for c in columns), col(found.sha256).label("own_sha256"))
        .join(found, col(found.id) == col(table.set_id))
        .where(
            col(table.collection_id) == bindparam("collection"),
            col(table.current) == 1,
        )
    )


def _build_list() -> Select[*tuple[Any, ...]]:
    table = tables.NgramList
    columns = (table.aggregator, table.numbers, table.exponent, table.means, table.maxima)
    return (
        select(*(col(c) for c in columns))
        .where(
            col(table.neuron_id) == bindparam("neuron"),
            col(table.pass_id) == bindparam("pass_id"),
            col(table.polarity) == bindparam("polarity"),
        )
        .order_by(col(table.aggregator))
    )


def _build_texts() -> Select[*tuple[Any, ...]]:
    table = tables.NgramText
    return select(*(col(c) for c in (table.number, table.text, table.count))).where(
        col(table.set_id) == bindparam("set_id"), col(table.number).in_(listed("numbers"))
    )


def _build_words() -> Select[*tuple[Any, ...]]:
    table = tables.NgramWord
    return select(col(table.word), col(table.n)).where(
        col(table.set_id) == bindparam("set_id"), col(table.word).in_(listed("words", str))
    )


_PASS, _LISTS = Prepared(_build_pass()), Prepared(_build_list())
_LIST = Prepared(_build_list().where(col(tables.NgramList.aggregator) == bindparam("aggregator")))
_TEXTS, _WORDS = Prepared(_build_texts()), Prepared(_build_words())


def find(connection: Connection, key: str) -> int | None:
    """The row of a pass, by its key."""
    table = tables.NgramPass
    return connection.scalar(select(col(table.id)).where(col(table.key) == key))


def current(connection: Connection, collection: Collection) -> NgramPass | None:
    """The current pass of a collection; None where there is none.

    Raises:
        CatalogueError: it is of another corpus, subject or set than it says.
    """
    for row in _PASS(connection, collection=collection.id):
        check_source(collection, row.corpus_sha256, row.weights_sha256)
        if row.own_sha256 != row.set_sha256:
            raise CatalogueError(
                f"the n-gram lists of {collection.subject.name} are of set {row.set_sha256[:12]}, and stand beside set "
                f"{row.own_sha256[:12]}; run neuroexplain ngrams on a new catalogue"
            )
        return NgramPass(
            id=row.id,
            key=row.key,
            weights_sha256=row.weights_sha256,
            corpus_sha256=row.corpus_sha256,
            set_sha256=row.set_sha256,
            n_ngrams=row.n,
            config=json.loads(row.config),
            created_at=row.created_at,
            set_id=row.set_id,
        )
    return None


def ngram_list(
    connection: Connection, found: NgramPass, neuron: int, polarity: int, aggregator: Aggregator
) -> list[Ngram]:
    """A neuron's n-grams as the pass recorded them, strongest first; `neuron` is the row."""
    place = {"neuron": neuron, "pass_id": found.id, "polarity": polarity}
    rows = _LIST(connection, **place, aggregator=AGGREGATORS.index(aggregator))
    return [Ngram(*entry) for entries in _entries(connection, found, rows) for entry in entries]


def thin_lists(
    connection: Connection, found: NgramPass, neuron: int, polarity: int
) -> Iterator[tuple[Aggregator, tuple[str, float, float, int]]]:
    """Both lists thinned out, without lifts: text, mean and maximum, 0 or more, and count; what a page shows."""
    rows = _LISTS(connection, neuron=neuron, pass_id=found.id, polarity=polarity)
    for row, entries in zip(rows, _entries(connection, found, rows), strict=True):
        for place in left(text for text, *_ in entries):
            text, mean, highest, count = entries[place]
            yield AGGREGATORS[row.aggregator], (text, max(0.0, mean), max(0.0, highest), count)


def _entries(
    connection: Connection, found: NgramPass, rows: Sequence[Any]
) -> list[list[tuple[str, float, float, int]]]:
    """Text, mean, maximum and count of the n-grams of some lists."""
    numbers = [codec.unfixed(row.numbers, 4).tolist() for row in rows]
    wanted = json.dumps(sorted({number for some in numbers for number in some}))
    texts = _TEXTS.plain(connection, set_id=found.set_id, numbers=wanted)
    known = {number: (text, count) for number, text, count in texts}
    lists = []
    for row, some in zip(rows, numbers, strict=True):
        means, maxima = (
            np.ldexp(codec.unhalf(blob), row.exponent).tolist() for blob in (row.means, row.maxima)
        )
        columns = zip(map(known.__getitem__, some), means, maxima, strict=True)
        lists.append([(text, mean, highest, n) for (text, n), mean, highest in columns])
    return lists


def thin_list(
    connection: Connection, found: NgramPass, neuron: int, polarity: int, aggregator: Aggregator
) -> list[Ngram]:
    """The same thinned out, with lifts, no response below 0."""
    whole = ngram_list(connection, found, neuron, polarity, aggregator)
    telling = _lifts(connection, found, [ngram.text for ngram in whole])
    return [
        replace(
            ngram,
            mean_response=max(0.0, ngram.mean_response),
            max_response=max(0.0, ngram.max_response),
            lifts=tuple(telling[word] for word in words(ngram.text)),
        )
        for ngram in thinned(whole)
    ]


def evidence(
    connection: Connection, found: NgramPass, neuron: int, polarity: int, aggregator: Aggregator
) -> list[Ngram]:
    """What an explainer may see: the thinned list of a pass over the explain split.

    Raises:
        CatalogueError: the pass is over other splits.
    """
    splits = found.config["splits"]
    if splits != ["explain"]:
        raise CatalogueError(
            f"the n-gram pass is over the splits {', '.join(splits)}, and an explainer may see explain alone; "
            "run neuroexplain ngrams without --splits"
        )
    return thin_list(connection, found, neuron, polarity, aggregator)


def _lifts(connection: Connection, found: NgramPass, texts: Sequence[str]) -> dict[str, float]:
    wanted = sorted({word for text in texts for word in words(text)})
    rows = _WORDS(connection, set_id=found.set_id, words=json.dumps(wanted))
    return lifts(texts, dict(rows), found.n_ngrams)


def moments(connection: Connection, found: NgramPass, layer: int) -> NgramMoments:
    """Moments of a layer's neurons."""
    table, neuron = tables.NgramMoments, tables.Neuron
    rows = connection.execute(
        select(*(col(getattr(table, name)) for name in MOMENTS))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .where(col(table.pass_id) == found.id, col(neuron.layer) == layer)
        .order_by(col(neuron.idx))
    ).all()
    columns: list[NDArray[Any]] = [
        np.array([row[place] for row in rows]) for place in range(len(MOMENTS))
    ]
    return NgramMoments(found.n_ngrams, *columns)


def texts(connection: Connection, collection: Collection, splits: Sequence[Split]) -> Iterator[str]:
    """The documents of some splits, as far as the collection read them.

    Raises:
        CatalogueError: a text is not the one that was collected; the message has both hashes.
    """
    table = tables.Document
    rows = connection.execute(
        select(*(col(c) for c in (table.position, table.sha256, table.text, table.offsets)))
        .where(
            col(table.corpus_id) == collection.corpus_id,
            col(table.split).in_([SPLITS.index(split) for split in splits]),
        )
        .order_by(col(table.position))
    )
    for row in rows:
        found = sha256(row.text.encode()).hexdigest()
        if found != row.sha256:
            raise CatalogueError(
                f"document {row.position} of {collection.corpus.spec} is {found[:12]}, and was collected as "
                f"{row.sha256[:12]}: the catalogue was changed by hand; collect it anew"
            )
        yield row.text[: int(codec.unwords(row.offsets).max(initial=0))]
