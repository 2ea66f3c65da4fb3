"""The tables of our Parquet format: their columns, and rows as columns of Arrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

Row = dict[str, Any]
_KEY = (("subject", "string"), ("layer", "int32"), ("index", "int32"), ("polarity", "int8"))
_PLACE = (*(("document", "int64"), ("start", "int32"), ("tokens", "texts"), ("token_ids", "ids")),)
_OF_EXPLANATION = (("explanation", "int32"), ("explanation_key", "string"))

TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "neurons": (
        *_KEY,
        *(("site", "string"), ("width", "int32"), ("n_tokens", "int64"), ("n_spans", "int64")),
        *((name, "double") for name in ("mean", "std", "min", "max", "frac_positive")),
        *(("peaks_excluded", "int64"), ("troughs_excluded", "int64")),
        *(("quantile_levels", "doubles"), ("quantiles", "doubles")),
        *(("promoted", "texts"), ("promoted_logits", "doubles")),
        *(("suppressed", "texts"), ("suppressed_logits", "doubles")),
    ),
    "spans": (
        *_KEY,
        *(("split", "string"), ("kind", "string"), ("rank", "int32")),
        ("inclusion_probability", "double"),
        *_PLACE,
        ("activations", "floats"),
    ),
    "ngrams": (
        *_KEY,
        ("ngram", "string"),
        *(("mean_response", "double"), ("max_response", "double"), ("count", "int64")),
    ),
    "explanations": (
        *_KEY,
        *((name, "string") for name in ("key", "text", "explainer", "llm")),
        *(("settings", "json"), ("data", "json"), ("scale", "double")),
        *((name, "string") for name in ("status", "reason", "message", "raw_reply", "parent")),
        *(("template_sha256", "string"), ("prompt_sha256", "string"), ("created_at", "time")),
    ),
    "scores": (
        *_KEY,
        *_OF_EXPLANATION,
        *((name, "string") for name in ("scorer", "simulator", "llm", "split")),
        *(("value", "double"), ("reason", "string"), ("ci_low", "double"), ("ci_high", "double")),
        *(("null_mean", "double"), ("null_own", "double"), ("null_n", "int64")),
        *(("p_value", "double"), ("null_reason", "string"), ("floor", "double")),
        *(("n_tokens", "int64"), ("n_nonzero", "int64"), ("coverage", "double")),
        ("key", "string"),
    ),
    "simulations": (
        *_KEY,
        *_OF_EXPLANATION,
        ("simulation", "int32"),
        *((name, "string") for name in ("simulator", "llm", "split", "key")),
        ("settings", "json"),
        *_PLACE,
        *(("expected", "floats"), ("activations", "floats")),
        *(("reason", "string"), ("message", "string"), ("raw_reply", "string")),
    ),
}
"""Columns by table, each with its type here. Rows of scores and simulations have the place of their explanation among those of
the neuron's side, from 0, in `explanation`; in `simulations` a row is a span, and `simulation` the place of the simulation."""


@dataclass(frozen=True)
class _Type:
    arrow: pa.DataType
    made: Callable[[Sequence[Any], pa.DataType], pa.Array]


def _plain(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


def _times(values: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    return pa.array([None if v is None else datetime.fromisoformat(v) for v in values], kind)


def _shared(values: Sequence[tuple[Any, ...] | None], kind: pa.DataType) -> pa.Array:
    """Lists of which many are one object: each is turned once."""
    places: dict[int, int] = {}
    indices = [places.setdefault(id(value), len(places)) for value in values]
    distinct = dict(zip(indices, values, strict=True))
    return pa.array(list(distinct.values()), kind).take(pa.array(indices, pa.int32()))


def _arrays(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """NumPy arrays as lists; None is null."""
    lengths = [0 if value is None else len(value) for value in values]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    missing = np.array([value is None for value in values], dtype=bool)
    empty = np.zeros(0, np.float32)
    flat = np.concatenate([empty, *(v for v in values if v is not None)]).astype(np.float32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(flat), type=kind, mask=pa.array(missing)
    )


_TYPES = {
    **{name: _Type(pa.type_for_alias(name), _plain) for name in ("string", "int8", "int32")},
    **{name: _Type(pa.type_for_alias(name), _plain) for name in ("int64", "double")},
    "doubles": _Type(pa.list_(pa.float64()), _plain),
    "texts": _Type(pa.list_(pa.string()), _shared),
    "ids": _Type(pa.list_(pa.uint32()), _shared),
    "floats": _Type(pa.list_(pa.float32()), _arrays),
    "json": _Type(pa.string(), _plain),
    "time": _Type(pa.timestamp("ms", "UTC"), _times),
}
JSON = frozenset(name for columns in TABLES.values() for name, kind in columns if kind == "json")
"""Columns whose texts are JSON values."""


def with_json(row: Row) -> Row:
    """A row with the values of such columns as texts; soon, because they take a tenth of the room."""
    for name in JSON & row.keys():
        row[name] = None if row[name] is None else json.dumps(row[name], allow_nan=False)
    return row


def schema(table: str) -> pa.Schema:
    """Of a table."""
    return pa.schema([pa.field(name, _TYPES[kind].arrow) for name, kind in TABLES[table]])


def batch(table: str, rows: Sequence[tuple[Row, Row]]) -> pa.Table:
    """Rows, each of two parts, as columns."""
    arrays = []
    for name, kind in TABLES[table]:
        part = 0 if name in rows[0][0] else 1
        arrays.append(_TYPES[kind].made([row[part][name] for row in rows], _TYPES[kind].arrow))
    return pa.Table.from_arrays(arrays, schema=schema(table))
