"""Imported neurons: rows, statistics, spans with activations, output tokens and n-grams of a new collection.

What is there already stays as it is: a neuron's random spans, which serve both sides, come with each of them.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, delete, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import packing
from neuroexplain.catalogue.exchange.import_spans import Shown
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add, add_many, listed
from neuroexplain.errors import ExchangeError
from neuroexplain.exchanged import NeuronRecord, SpanRecord
from neuroexplain.recorded import QUANTILE_LEVELS, ExemplarBlock
from neuroexplain.records import KINDS, SPLITS, Kind, NeuronId, Split

LARGEST = 60_000.0
"""Of a float16, which ends at 65,504; larger activations are scaled by a power of two."""
_MOMENTS = ("mean", "std", "min", "max", "frac_positive")
_COUNTS = ("n_tokens", "n_spans")
_EXCLUDED = ("peaks_excluded", "troughs_excluded")
_N, _X = tables.Neuron, tables.Exemplar
Block = tuple[Split, Kind, int]
"""Split, kind, and polarity as in the table: 0 for random spans."""


@dataclass(frozen=True)
class Rows:
    """Where a batch goes."""

    collection_id: int
    subject_id: int
    site: str
    first: int
    """Leading tokens of every span that count for nothing."""


_NEURONS = Prepared(
    select(col(_N.id), col(_N.idx)).where(
        col(_N.subject_id) == bindparam("subject"),
        col(_N.site) == bindparam("site"),
        col(_N.layer) == bindparam("layer"),
        col(_N.idx).in_(listed("indices")),
    )
)


def find_neurons(
    connection: Connection, rows: Rows, neurons: Iterable[NeuronId]
) -> dict[tuple[int, int], int]:
    """Rows of neurons by layer and index, of those that are there."""
    layers: defaultdict[int, set[int]] = defaultdict(set)
    for neuron in neurons:
        layers[neuron.layer].add(neuron.index)
    found = {}
    for layer, indices in layers.items():
        place = {"subject": rows.subject_id, "site": rows.site, "layer": layer}
        for row in _NEURONS(connection, **place, indices=json.dumps(sorted(indices))):
            found[layer, row.idx] = row.id
    return found


def make_neurons(
    connection: Connection, rows: Rows, neurons: Iterable[NeuronId]
) -> dict[tuple[int, int], int]:
    """Rows of neurons by layer and index; added where they are missing."""
    wanted = {(neuron.layer, neuron.index): neuron for neuron in neurons}
    found = find_neurons(connection, rows, wanted.values())
    missing = sorted(wanted.keys() - found.keys())
    common = {"subject_id": rows.subject_id, "site": rows.site}
    added = [common | {"layer": layer, "idx": index} for layer, index in missing]
    return found | dict(zip(missing, add_many(connection, _N, added), strict=True))


def _known(table: Any, *names: str) -> Prepared:
    """Keys of a table's rows about some neurons of a collection."""
    columns = (col(getattr(table, name)) for name in ("neuron_id", *names))
    return Prepared(
        select(*columns).where(
            col(table.neuron_id).in_(listed("neurons")),
            col(table.collection_id) == bindparam("collection"),
        )
    )


_STATISTICS = _known(tables.Statistics, *_MOMENTS, *_COUNTS, *_EXCLUDED, "quantiles")
_EXEMPLARS = _known(_X, "split", "kind", "polarity")
_NGRAMS = _known(tables.Ngram, "polarity")


def save_statistics(
    connection: Connection, rows: Rows, kept: Sequence[tuple[int, NeuronRecord]]
) -> int:
    """A row for every neuron, with NULL for what nobody tells; returns how many are new.

    What a row tells already stays: a format may tell the largest activation with one side, the smallest with the other.

    Raises:
        ExchangeError: a number is infinite, or a share is none.
    """
    neurons = json.dumps([row for row, _ in kept])
    found = _STATISTICS(connection, neurons=neurons, collection=rows.collection_id)
    before: dict[int, dict[str, Any]] = {row.neuron_id: row._asdict() for row in found}
    after: dict[int, dict[str, Any]] = {}
    for row, record in kept:
        told = _statistics(record)
        known = after.get(row) or before.get(row) or {}
        after[row] = {"neuron_id": row} | {
            name: value if known.get(name) is None else known[name] for name, value in told.items()
        }
    table = tables.Statistics
    changed = [row for row, values in after.items() if row in before and values != before[row]]
    if changed:
        own = (
            col(table.neuron_id) == bindparam("row"),
            col(table.collection_id) == rows.collection_id,
        )
        connection.execute(delete(table).where(*own), [{"row": row} for row in changed])
    new = [row for row in after if row not in before]
    place = {"collection_id": rows.collection_id}
    add(connection, table, [after[row] | place for row in [*new, *changed]])
    return len(new)


def _statistics(record: NeuronRecord) -> dict[str, Any]:
    """Columns; None where nobody tells."""
    told = record.statistics
    if told is None:
        return dict.fromkeys((*_MOMENTS, *_COUNTS, "quantiles")) | dict.fromkeys(_EXCLUDED, 0)
    values: dict[str, Any] = {
        name: _number(record.neuron, name, getattr(told, name)) for name in _MOMENTS
    }
    share = values["frac_positive"]
    if share is not None and not 0 <= share <= 1:
        raise ExchangeError(f"{record.neuron}: frac_positive is {share}, which is no share")
    levels = dict(told.quantiles)
    sampled = set(levels) == set(QUANTILE_LEVELS)
    values |= {name: getattr(told, name) for name in (*_COUNTS, *_EXCLUDED)}
    values["quantiles"] = codec.floats([levels[n] for n in QUANTILE_LEVELS]) if sampled else None
    return values


def _number(neuron: NeuronId, name: str, value: float | None) -> float | None:
    """A moment; not a number is not told."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise ExchangeError(f"{neuron}: {name} is infinite")
    return float(value)


def blocks(record: NeuronRecord) -> dict[Block, list[SpanRecord]]:
    """A record's spans as rows have them, by rank.

    Raises:
        ExchangeError: spans of a kind that no collection keeps, without finite activations, or with several inclusion
            probabilities.
    """
    found: defaultdict[Block, list[SpanRecord]] = defaultdict(list)
    for span in record.spans:
        if span.kind not in KINDS:
            kinds = ", ".join(KINDS)
            raise ExchangeError(
                f"{record.neuron}: spans of kind {span.kind} cannot be kept; known: {kinds}"
            )
        if not (span.tokens and len(span.tokens) == len(span.activations)):
            raise ExchangeError(
                f"{record.neuron}: a span has no tokens, or not as many activations"
            )
        if not np.isfinite(span.activations).all():
            raise ExchangeError(f"{record.neuron}: an activation is NaN or infinite")
        side = 0 if span.kind == "random" else record.neuron.polarity
        found[span.split, span.kind, side].append(span)
    for (split, kind, _), spans in found.items():
        probabilities = {span.inclusion_probability for span in spans}
        if len(probabilities) > 1 or not all(p is None or 0 <= p <= 1 for p in probabilities):
            raise ExchangeError(
                f"{record.neuron}: {kind} spans of the split {split} have no inclusion probability, or several"
            )
        spans.sort(key=lambda span: span.rank)
    return dict(found)


def save_exemplars(
    connection: Connection,
    rows: Rows,
    kept: Sequence[tuple[int, NeuronRecord]],
    numbers: Mapping[Shown, int],
) -> int:
    """Spans of neurons with activations as float16, and the tokens on which they peak; returns the longest row.

    Args:
        connection: in a transaction that holds the write lock.
        rows: where they go.
        kept: rows of neurons with what there is to keep.
        numbers: of the spans in the corpus.
    """
    place = {"neurons": json.dumps([row for row, _ in kept]), "collection": rows.collection_id}
    known = {tuple(row) for row in _EXEMPLARS(connection, **place)}
    by_block: defaultdict[Block, dict[int, list[SpanRecord]]] = defaultdict(dict)
    for row, record in kept:
        for block, spans in blocks(record).items():
            split, kind, side = block
            if (row, SPLITS.index(split), KINDS.index(kind), side) not in known:
                by_block[block].setdefault(row, spans)
    longest = 0
    for block, neurons in by_block.items():
        add(connection, _X, _exemplars(rows, block, neurons, numbers))
        longest = max(longest, *(len(spans) for spans in neurons.values()))
        if block[:2] == ("explain", "top"):
            add(connection, tables.PeakToken, _peak_tokens(rows, block[2], neurons))
    return longest


def _exemplars(
    rows: Rows, block: Block, neurons: Mapping[int, list[SpanRecord]], numbers: Mapping[Shown, int]
) -> list[dict[str, Any]]:
    split, kind, side = block
    made = _block(block, list(neurons.values()), numbers, rows.first)
    lengths = np.zeros(made.spans.shape, np.int64)
    for at, spans in enumerate(neurons.values()):
        lengths[at, : len(spans)] = [len(span.tokens) for span in spans]
    return [
        {
            "neuron_id": row,
            "collection_id": rows.collection_id,
            "split": SPLITS.index(split),
            "kind": KINDS.index(kind),
            "polarity": side,
            **dict(zip(packing.COLUMNS, columns, strict=True)),
            "inclusion_probability": _probability(spans[0]),
        }
        for (row, spans), columns in zip(
            neurons.items(), packing.packed(made, lengths), strict=True
        )
    ]


def _probability(span: SpanRecord) -> float:
    """One that nobody told is 1: the span stands for itself alone."""
    return 1.0 if span.inclusion_probability is None else float(span.inclusion_probability)


def _block(
    block: Block, neurons: Sequence[list[SpanRecord]], numbers: Mapping[Shown, int], first: int
) -> ExemplarBlock:
    """Spans of several neurons in arrays, with activations scaled so that float16 holds them."""
    split, kind, side = block
    shape = len(neurons), max(len(spans) for spans in neurons)
    longest = max(len(span.tokens) for spans in neurons for span in spans)
    spans = np.full(shape, -1, np.int64)
    positions = np.zeros(shape, np.int32)
    exponents = np.zeros(shape, np.int8)
    activations = np.zeros((*shape, longest), np.float16)
    peaks = np.zeros(shape, np.float32)
    for at, kept in enumerate(neurons):
        for rank, span in enumerate(kept):
            place = at, rank
            values = span.activations
            spans[place] = numbers[Shown.of(span, split)]
            largest = float(np.abs(values).max())
            exponents[place] = max(0, math.ceil(math.log2(max(largest / LARGEST, 1.0))))
            activations[at, rank, : len(values)] = np.ldexp(values, -int(exponents[place]))
            positions[place] = peak_position(span, side or 1, first)
            peaks[place] = values[positions[place]]
    return ExemplarBlock(
        *(split, kind, side, spans, peaks, positions, activations, exponents),
        inclusion_probability=1.0,
    )


def peak_position(span: SpanRecord, side: int, first: int) -> int:
    """Token on which a span peaks, of those that count."""
    first = min(first, len(span.tokens) - 1)
    counted = span.activations[first:] * side
    return first + int(counted.argmax())


def _peak_tokens(
    rows: Rows, side: int, neurons: Mapping[int, list[SpanRecord]]
) -> list[dict[str, Any]]:
    found = []
    for row, spans in neurons.items():
        tokens = Counter(s.tokens[peak_position(s, side, rows.first)].strip() for s in spans)
        place = {"collection_id": rows.collection_id, "neuron_id": row, "polarity": side}
        found += [place | {"token": token, "n": n} for token, n in tokens.items() if token]
    return found


def save_ngrams(
    connection: Connection, rows: Rows, kept: Sequence[tuple[int, NeuronRecord]]
) -> None:
    """N-grams of neurons that have none yet.

    Raises:
        ExchangeError: a response is not finite.
    """
    place = {"neurons": json.dumps([row for row, _ in kept]), "collection": rows.collection_id}
    known = {tuple(row) for row in _NGRAMS(connection, **place)}
    found = []
    for row, record in kept:
        side = row, record.neuron.polarity
        for rank, ngram in enumerate(record.ngrams if side not in known else ()):
            responses = {"mean_response": ngram.mean_response, "max_response": ngram.max_response}
            if not all(map(math.isfinite, responses.values())):
                raise ExchangeError(f"{record.neuron}: a response to {ngram.text!r} is not finite")
            own = {"neuron_id": row, "collection_id": rows.collection_id, "polarity": side[1]}
            found.append(
                own | {"rank": rank, "ngram": ngram.text, **responses, "count": ngram.count}
            )
    add(connection, tables.Ngram, found)
