"""What a sample of tokens says about neurons: quantiles, token responses, and which neurons are alike."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.rolls import Roll
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import add, add_rows
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import QUANTILE_LEVELS, LayerCollection, LayerSketch, TokenTable
from neuroexplain.records import POLARITIES, Floats, NeuronId

DIMENSIONS = 256
"""Of a direction."""
_AT_ONCE = 4096
"""Neurons that are packed, or compared with another, together."""
_RESPONSE = (
    *("neuron_id", "collection_id", "polarity", "n"),
    *("token_ids", "means", "extremes", "counts"),
)


@dataclass(frozen=True)
class TokenResponse:
    """How a neuron answers to one token id, over sampled tokens of the explain split."""

    token_id: int
    token: str
    """Characters of its first occurrence in the corpus, with the spaces that belong to it."""
    mean: float
    """Mean activation, signed, in the subject's units."""
    extreme: float
    """Largest activation on the polarity's side, signed."""
    count: int
    """Sampled occurrences that these are taken over."""


def quantiles(layer: LayerCollection) -> Sequence[bytes | None]:
    """The quantiles of every neuron of a layer, packed; None where no tokens were sampled.

    Raises:
        CatalogueError: one is not finite.
    """
    if layer.sketch is None:
        return [None] * len(layer.mean)
    _check(layer.layer, "a quantile", layer.sketch.quantiles)
    counts = [len(QUANTILE_LEVELS)] * len(layer.mean)
    return list(codec.cut(codec.floats(layer.sketch.quantiles), counts, 4))


def save(
    connection: Connection, collection_id: int, layer: int, ids: Sequence[int], sketch: LayerSketch
) -> None:
    """Write the token responses and directions of a layer's neurons, whose rows are `ids`.

    Raises:
        CatalogueError: a response is not finite.
    """
    _check(layer, "a token response", sketch.token_table.means, sketch.token_table.extremes)
    for side, polarity in enumerate(POLARITIES):
        rows = (
            (neuron_id, collection_id, polarity, *packed)
            for neuron_id, packed in zip(ids, _packed(sketch.token_table, side), strict=True)
            if packed[0]
        )
        add_rows(connection, tables.TokenResponse, _RESPONSE, rows)
    row = {
        "collection_id": collection_id,
        "layer": layer,
        "n_tokens": sketch.n_tokens,
        "directions": sketch.directions.astype(np.int8, copy=False).tobytes(),
    }
    add(connection, tables.LayerSketch, [row])


def _packed(table: TokenTable, side: int) -> Iterator[tuple[int, bytes, bytes, bytes, bytes]]:
    """Number, ids, means, extremes and counts of the token responses of every neuron on one side."""
    for start in range(0, table.counts.shape[1], _AT_ONCE):
        some = (side, slice(start, start + _AT_ONCE))
        kept = table.counts[some] > 0
        n = kept.sum(axis=1).tolist()
        yield from zip(
            n,
            codec.cut(codec.fixed(table.token_ids[some][kept], 4), n, 4),
            codec.cut(codec.floats(table.means[some][kept]), n, 4),
            codec.cut(codec.floats(table.extremes[some][kept]), n, 4),
            codec.cut(codec.fixed(table.counts[some][kept], 4), n, 4),
            strict=True,
        )


def _check(layer: int, what: str, *arrays: Floats) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise CatalogueError(f"layer {layer}: {what} is NaN or infinite")


_RESPONSES = Prepared(
    select(*(col(getattr(tables.TokenResponse, c)) for c in _RESPONSE[-4:])).where(
        col(tables.TokenResponse.neuron_id) == bindparam("neuron"),
        col(tables.TokenResponse.collection_id) == bindparam("collection"),
        col(tables.TokenResponse.polarity) == bindparam("polarity"),
    )
)
_TEXTS = Prepared(
    select(col(tables.Token.token_id), col(tables.Token.text)).where(
        col(tables.Token.corpus_id) == bindparam("corpus"),
        col(tables.Token.token_id).in_(listed("token_ids")),
    )
)


def token_responses(
    connection: Connection, collection: reader.Collection, neuron: int, polarity: int
) -> list[TokenResponse]:
    """The token ids on which a neuron is strongest on average, strongest first; `neuron` is the row."""
    place = {"neuron": neuron, "collection": collection.id, "polarity": polarity}
    rows = _RESPONSES(connection, **place)
    if not rows:
        return []
    (row,) = rows
    ids = codec.unfixed(row.token_ids, 4).tolist()
    wanted = codec.to_json(ids, "token ids")
    rows = _TEXTS.plain(connection, corpus=collection.corpus_id, token_ids=wanted)
    texts: dict[int, str] = dict(rows)
    columns = (
        codec.unfloats(row.means).tolist(),
        codec.unfloats(row.extremes).tolist(),
        codec.unfixed(row.counts, 4).tolist(),
    )
    return [
        TokenResponse(token_id, texts[token_id], *numbers)
        for token_id, *numbers in zip(ids, *columns, strict=True)
    ]


def similar(
    connection: Connection, collection: reader.Collection, neuron: NeuronId, limit: int
) -> list[tuple[NeuronId, float]]:
    """Neurons of the collection by how much their activations correlate with a neuron's; see `Catalogue.similar`."""
    if limit < 1:
        raise CatalogueError(f"limit must be at least 1, not {limit}")
    best: list[tuple[float, int, int, float]] = []
    for layer, cosines in _correlations(connection, collection, neuron):
        strength = np.abs(cosines)
        for index in np.argsort(-strength, kind="stable")[:limit].tolist():
            best.append((-float(strength[index]), layer, index, float(cosines[index])))
        best = [entry for entry in heapq.nsmallest(limit, best) if entry[0]]
    return [
        (NeuronId(neuron.subject, layer, index, 1 if cosine > 0 else -1), -minus)
        for minus, layer, index, cosine in best
    ]


def correlated(
    connection: Connection, collection: reader.Collection, roll: Roll, neuron: NeuronId
) -> Ranking:
    """All neurons of the collection, whose `roll` this is, by how much they correlate with a neuron; see `similar`."""
    cosines = np.zeros(len(roll.rows), np.float32)
    for layer, found in _correlations(connection, collection, neuron):
        cosines[roll.layer(layer)] = found
    places = np.flatnonzero((cosines != 0) & (roll.rows > 0))
    own = cosines[places]
    sides = np.where(own > 0, 1, -1)
    return Ranking.of_neurons("correlation", roll.rows[places], sides, np.abs(own))


def _correlations(
    connection: Connection, collection: reader.Collection, neuron: NeuronId
) -> Iterator[tuple[int, Floats]]:
    """Layers with the correlations [neuron] of their neurons with a neuron; 0 for itself, and where undefined.

    Raises:
        CatalogueError: the neuron was not recorded.
    """
    reader.neuron_id(connection, collection, neuron)
    own = _directions(connection, collection.id, neuron.layer)
    if own is None:
        return
    direction = own[neuron.index].astype(np.float32) * neuron.polarity
    for layer in collection.layers:
        others = own if layer == neuron.layer else _directions(connection, collection.id, layer)
        if others is None:
            continue
        cosines = _cosines(others, direction)
        if layer == neuron.layer:
            cosines[neuron.index] = 0
        yield layer, cosines


def _directions(connection: Connection, collection_id: int, layer: int) -> NDArray[np.int8] | None:
    """[neuron, dimension]; None for a layer that has none."""
    table = tables.LayerSketch
    blob = connection.scalar(
        select(col(table.directions)).filter_by(collection_id=collection_id, layer=layer)
    )
    return np.frombuffer(blob, np.int8).reshape(-1, DIMENSIONS) if blob else None


def _cosines(directions: NDArray[np.int8], direction: Floats) -> Floats:
    """[neuron]; 0 where one of the two is undefined. Products of int8 are exact in float32, on every machine."""
    cosines = np.zeros(len(directions), dtype=np.float32)
    for start in range(0, len(directions), _AT_ONCE):
        some = directions[start : start + _AT_ONCE].astype(np.float32)
        lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(direction)
        np.divide(
            some @ direction, lengths, out=cosines[start : start + _AT_ONCE], where=lengths > 0
        )
    return cosines.clip(-1, 1)
