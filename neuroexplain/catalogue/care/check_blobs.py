"""What is packed: whether it can be unpacked, and is as long as it should be. Rows are read one after another."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from neuroexplain.catalogue.searching import sql
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.catalogue.storage import codec
from neuroexplain.records import SPLITS

Found = Iterator[tuple[str, str, str]]
"""Table, row and what is wrong."""
_DIMENSIONS = 256
"""Of a neuron's direction in `layer_sketch`."""


class Texts(NamedTuple):
    """The spans of a corpus, by number."""

    lengths: NDArray[np.int64]
    """Tokens; 0 where there is no such span."""
    splits: NDArray[np.int8]
    first: int
    """Leading tokens that count for nothing."""


def documents(connection: Connection) -> Found:
    """Hashes of texts, tokens, offsets, and spans that reach beyond their document."""
    sizes: dict[int, tuple[int, int]] = {}
    query = Sql("SELECT id, sha256, text, token_ids, offsets FROM document")
    for number, sha256, text, token_ids, offsets in sql.stream(connection, query):
        if hashlib.sha256(text.encode()).hexdigest() != sha256:
            yield "document", str(number), "has a text of another hash"
        try:
            ids, places = codec.unwords(token_ids), codec.unwords(offsets)
        except (zlib.error, ValueError):
            yield "document", str(number), "has tokens that cannot be unpacked"
            continue
        if len(places) != 2 * len(ids) or places.max(initial=0) > len(text):
            yield "document", str(number), "has tokens that are not in its text"
        sizes[number] = len(ids), len(text)
    query = Sql("SELECT corpus_id, number, document_id, start + length, char_end FROM span")
    for corpus, number, document, end, char_end in sql.stream(connection, query):
        tokens, chars = sizes.get(document, (end, char_end))
        if end > tokens or char_end > chars:
            yield "span", f"corpus {corpus}, number {number}", "reaches beyond its document"


def exemplars(connection: Connection) -> Found:
    """Activations of exemplars and look-alikes."""
    texts = _texts(connection)
    for table, columns in (("exemplar", "split, unit"), ("look_alike", "0, NULL")):
        query = f"""
            SELECT neuron_id, collection_id, polarity, {columns}, spans, peak_positions, activations, corpus_id
            FROM {table} JOIN collection ON collection.id = {table}.collection_id
        """
        for neuron, collection, polarity, split, unit, *blobs, corpus in sql.stream(
            connection, Sql(query)
        ):
            fault = _activations(texts.get(corpus), split, unit, *blobs)
            if fault is not None:
                row = f"neuron {neuron}, collection {collection}, split {SPLITS[split]}, polarity {polarity}"
                yield table, row, fault


def simulations(connection: Connection) -> Found:
    """Levels of simulations."""
    texts = _texts(connection)
    query = """
        SELECT simulation.id, simulation.split, spans, expected, corpus_id
        FROM simulation
        JOIN explanation ON explanation.id = simulation.explanation_id
        JOIN collection ON collection.id = explanation.collection_id
    """
    for number, split, spans, expected, corpus in sql.stream(connection, Sql(query)):
        known = texts.get(corpus)
        lengths = None if known is None else _lengths(known, spans, SPLITS.index(split))
        fault = "has spans that are not of its corpus and split"
        if lengths is not None:
            fault = _halves(expected, int(lengths.sum())) or ""
        if fault:
            yield "simulation", str(number), fault


def packed_json(connection: Connection) -> Found:
    """JSON, compressed or plain."""
    for table, row, column in (
        ("collection", "id", "config"),
        ("run", "id", "config"),
        ("run", "id", "counts"),
        ("method", "id", "settings"),
        ("explanation", "id", "data"),
        ("llm_call", "id", "messages"),
        ("batch_request", "file", "body"),
        ("text_set", "id", "texts"),
    ):
        query = f"SELECT {row}, {column} FROM {table} WHERE {column} IS NOT NULL"
        for number, stored in sql.stream(connection, Sql(query)):
            try:
                json.loads(codec.unpacked_text(stored))
            except (zlib.error, ValueError):
                yield table, str(number), f"has {column} that cannot be read"


def arrays(connection: Connection) -> Found:
    """Arrays whose numbers must be finite, or that must have a row for every neuron."""
    query = (
        "SELECT layer_sketch.collection_id, layer, length(directions), widths FROM layer_sketch "
    )
    query += "JOIN collection ON collection.id = layer_sketch.collection_id"
    for collection, layer, size, widths in sql.stream(connection, Sql(query)):
        known = dict(enumerate(json.loads(widths)))
        if size != _DIMENSIONS * known.get(layer, -1):
            row = f"collection {collection}, layer {layer}"
            yield "layer_sketch", row, "has not one direction for every neuron"
    for table, row, columns, read in (
        ("statistics", "neuron_id", "quantiles", codec.unfloats),
        ("token_response", "neuron_id", "means, extremes", codec.unfloats),
        ("ngram_list", "neuron_id", "means, maxima", codec.unhalf),
        ("output_token", "neuron_id", "promoted_logits, suppressed_logits", codec.unhalf),
        ("look_alike", "neuron_id", "likeness, peaks", codec.unhalf),
    ):
        for number, *blobs in sql.stream(connection, Sql(f"SELECT {row}, {columns} FROM {table}")):
            if not all(np.isfinite(read(blob)).all() for blob in blobs if blob is not None):
                yield table, f"neuron {number}", "has a number that is not finite"


def embeddings(connection: Connection) -> Found:
    """Vectors of explanations: as many as there should be."""
    query = "SELECT id, n, explanations, length(signs), length(vectors) FROM embedding"
    for number, n, explanations, signs, vectors in sql.stream(connection, Sql(query)):
        ids = np.frombuffer(explanations, "<u8") if len(explanations) == 8 * n else np.zeros(0)
        if len(ids) != n or not n or signs % n or vectors % n or (np.diff(ids) <= 0).any():
            yield "embedding", str(number), "has not one vector for every explanation"


CHECKS = (documents, exemplars, simulations, packed_json, arrays, embeddings)


def _texts(connection: Connection) -> dict[int, Texts]:
    found = {}
    for corpus, first in sql.fetch(connection, Sql("SELECT id, first FROM corpus")):
        query = Sql("SELECT number, length, split FROM span WHERE corpus_id = ?", (corpus,))
        rows = np.array(list(sql.stream(connection, query)), np.int64).reshape(-1, 3)
        lengths = np.zeros(rows[:, 0].max(initial=-1) + 1, np.int64)
        splits = np.zeros(len(lengths), np.int8)
        lengths[rows[:, 0]], splits[rows[:, 0]] = rows[:, 1], rows[:, 2]
        found[corpus] = Texts(lengths, splits, first)
    return found


def _lengths(texts: Texts, spans: bytes, split: int) -> NDArray[np.int64] | None:
    """Tokens of some spans; None where one is not there, or of another split."""
    numbers = codec.unfixed(spans, 4)
    if numbers.max(initial=-1) >= len(texts.lengths) or (texts.splits[numbers] != split).any():
        return None
    lengths: NDArray[np.int64] = texts.lengths[numbers]
    return lengths if (lengths > 0).all() else None


def _activations(
    texts: Texts | None, split: int, unit: float | None, spans: bytes, positions: bytes, blob: bytes
) -> str | None:
    """What is wrong with a row of exemplars."""
    lengths = None if texts is None else _lengths(texts, spans, split)
    if texts is None or lengths is None:
        return "has spans that are not of its corpus and split"
    if (codec.unfixed(positions, 2) >= lengths).any():
        return "has a peak beyond the end of its span"
    if unit is None:
        return _halves(blob, int(lengths.sum()))
    # As `steps` packs them: a step, a byte for every token, and the leading ones once more as float16.
    size = 4 + int(lengths.sum() + 2 * np.minimum(lengths, texts.first).sum())
    return _sized(blob, size)


def _halves(blob: bytes, n: int) -> str | None:
    fault = _sized(blob, 2 * n)
    if fault is None and not np.isfinite(codec.unhalves(blob)).all():
        return "has a number that is not finite"
    return fault


def _sized(blob: bytes, size: int) -> str | None:
    try:
        found = len(codec.inflate(blob))
    except zlib.error:
        return "cannot be unpacked"
    return None if found == size else f"has {found} bytes of numbers instead of {size}"
