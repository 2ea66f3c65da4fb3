"""A hash of what a collection holds, to tell whether two are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text

from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.storage import codec

_COLUMNS = {
    "statistics": "n_tokens, n_spans, mean, std, min, max, frac_positive, peaks_excluded, troughs_excluded, quantiles",
    "exemplar": "split, kind, polarity, inclusion_probability, spans, peaks, peak_positions, exponents, "
    "activations, unit",
    "peak_token": "polarity, token, n",
    "token_response": "polarity, token_ids, means, extremes, counts",
}
_ORDER = {
    "statistics": "idx",
    "exemplar": "idx, split, kind, polarity",
    "peak_token": "idx, polarity, token",
    "token_response": "idx, polarity",
}
"""That of unique indexes, so that nothing has to be sorted; but peak_token's index begins with the token."""
_LOOPS = {"peak_token": "peak_token AS own CROSS JOIN neuron"}
"""SQLite takes a CROSS JOIN's outer table first: where the inner one has no index by neuron, one pass for a layer, not for each."""
_NEURONS = """
    SELECT idx, {columns} FROM {loops}
    WHERE own.neuron_id = neuron.id AND own.collection_id = :collection
    AND neuron.subject_id = (SELECT subject_id FROM collection WHERE id = :collection)
    AND neuron.site = :site AND neuron.layer = :layer
    ORDER BY {order}
"""
_SKETCH = "SELECT n_tokens, directions FROM layer_sketch WHERE collection_id = :collection AND layer = :layer"


def fingerprint(connection: Connection, collection: Collection) -> str:
    """SHA-256 over a collection's key and, layer by layer, its statistics, exemplars and sketches, as hex.

    Rows of the file and times do not count, and compressed arrays count by what they hold.
    """
    digest = hashlib.sha256()
    subject, corpus = collection.subject, collection.corpus
    _add(digest, (collection.key, subject.weights_sha256, subject.site, corpus.sha256))
    for layer in collection.layers:
        _add(digest, (layer, subject.widths[layer]))
        place = {"collection": collection.id, "layer": layer}
        for table, columns in _COLUMNS.items():
            loops = _LOOPS.get(table, f"neuron CROSS JOIN {table} AS own")
            query = _NEURONS.format(loops=loops, columns=columns, order=_ORDER[table])
            _add(digest, (table,))
            for row in connection.execute(text(query), {**place, "site": subject.site}):
                _add(digest, map(_content, row._fields, row))
        _add(digest, ("layer_sketch",))
        for row in connection.execute(text(_SKETCH), place):
            _add(digest, row)
    return digest.hexdigest()


def _content(column: str, value: Any) -> Any:
    return codec.inflate(value) if column == "activations" else value


def _add(digest: Any, values: Iterable[Any]) -> None:
    for value in values:
        data = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"{type(value).__name__} {len(data)} ".encode())
        digest.update(data)
