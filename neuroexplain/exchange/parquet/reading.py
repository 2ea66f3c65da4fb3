"""Our Parquet tables, read side by side: of each a few thousand rows in memory, and a batch of neurons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import about as about_
from neuroexplain.exchange import rows
from neuroexplain.exchange.batches import Batch, OnError, attempt, sha256
from neuroexplain.exchange.fields import Fields, Where
from neuroexplain.exchange.parquet import columns
from neuroexplain.exchanged import ExplanationRecord, NeuronRecord

SIDES = 128
"""Of neurons, in a batch."""
_AT_ONCE = 512
"""Rows that are turned into Python's values together."""
_ORDER = "rows in order of subject, layer and index, polarity 1 before -1"
_REQUIRED = {
    "neurons": ("subject", "layer", "index", "polarity"),
    "explanations": ("text", "explainer", "status"),
}
Place = tuple[str, int, int, int]
"""A neuron's side, so that sorting gives the order of the tables."""


class _Side(NamedTuple):
    """All rows of a table about one side of a neuron."""

    place: Place
    rows: list[Fields]


def has_neurons(folder: Path) -> bool:
    """Whether there are neurons in a folder, not just explanations of neurons that the reader has."""
    return "neurons" in _files(folder)


def read(
    folder: Path, *, on_error: OnError | None = None, batch_size: int = SIDES
) -> Iterator[Batch]:
    """Read the tables of a folder, some neurons at a time.

    Args:
        folder: holds `explanations.parquet`, `neurons.parquet`, or both, and what belongs to them.
        on_error: is told of bad batches; None stops at the first.
        batch_size: sides of neurons in a batch.

    Raises:
        ExchangeError: there is nothing to read, a file is damaged or not in order, or a batch is bad and nobody is to be
            told.
    """
    files = _files(folder)
    if not files.keys() & {"neurons", "explanations"}:
        raise ExchangeError(
            f"{folder}: there is no neurons.parquet and no explanations.parquet; wanted a folder with one of them"
        )
    digest = sha256(files.values())
    yield from attempt(_batches(files, digest, batch_size), on_error)


def _files(folder: Path) -> dict[str, Path]:
    """Files by table: those that an export names, or all where there is no `about.json`."""
    whole = about_.load(folder) if folder.is_dir() else None
    found = {name: folder / f"{name}.parquet" for name in columns.TABLES}
    return {
        name: path
        for name, path in found.items()
        if path.is_file() and (whole is None or path.name in whole[1])
    }


def _batches(
    files: Mapping[str, Path], digest: str, size: int
) -> Iterator[tuple[str, Callable[[], list[Batch]]]]:
    """Names of batches, with what gives them."""
    sides = _sides(files)
    first = 1
    while records := list(map(_attempt, islice(sides, size))):
        last = first + len(records) - 1
        name = f"neurons#{first}-{last}"
        yield name, partial(_batch, name, digest, records)
        first = last + 1


def _attempt(side: Mapping[str, list[Fields]]) -> NeuronRecord | ExchangeError:
    """A record, at once: its rows take ten times the room. What is wrong is raised with the batch."""
    try:
        return _record(side)
    except ExchangeError as error:
        return error


def _batch(name: str, digest: str, records: Sequence[NeuronRecord | ExchangeError]) -> list[Batch]:
    good = []
    for record in records:
        if isinstance(record, ExchangeError):
            raise record
        good.append(record)
    return [Batch(name, digest, tuple(good))]


def _sides(files: Mapping[str, Path]) -> Iterator[dict[str, list[Fields]]]:
    """The rows of every side of a neuron, by table."""
    tables = {name: _grouped(path) for name, path in files.items()}
    following = {name: next(table, None) for name, table in tables.items()}
    while places := [side.place for side in following.values() if side is not None]:
        place = min(places)
        found = {}
        for name, side in following.items():
            if side is not None and side.place == place:
                found[name] = side.rows
                following[name] = next(tables[name], None)
        yield found


def _grouped(path: Path) -> Iterator[_Side]:
    """A table's rows by neuron, in order."""
    last: Place | None = None
    for place, some in groupby(_placed(path), itemgetter(0)):
        if last is not None and place <= last:
            raise ExchangeError(
                f"{path.name}: wanted {_ORDER}; {place[0]}/{place[1]}/{place[2]} is out of order"
            )
        last = place
        yield _Side(place, [row for _, row in some])


def _placed(path: Path) -> Iterator[tuple[Place, Fields]]:
    number = 0
    for number, values in enumerate(_values(path), 1):
        row = Fields(values, Where(path.name, number))
        neuron = rows.read_key(row)
        yield (neuron.subject, neuron.layer, neuron.index, -neuron.polarity), row


def _values(path: Path) -> Iterator[rows.Row]:
    """A table's rows as JSON values; columns that we do not know are left out."""
    try:
        with pq.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            for wanted in _REQUIRED["neurons"] + _REQUIRED.get(path.stem, ()):
                if wanted not in names:
                    raise ExchangeError(f"{path.name}: {wanted}: there is no such column")
            known = [name for name, _ in columns.TABLES[path.stem] if name in names]
            for batch in file.iter_batches(_AT_ONCE, columns=known):
                yield from map(_row, batch.to_pylist())
    except (OSError, pa.ArrowException, ValueError) as error:
        raise ExchangeError(f"{path.name}: cannot be read: {error}") from error


def _row(row: rows.Row) -> rows.Row:
    """Times are ISO texts in records."""
    times = {
        k: v.isoformat(timespec="milliseconds") for k, v in row.items() if isinstance(v, datetime)
    }
    return row | times


def _record(tables: Mapping[str, list[Fields]]) -> NeuronRecord:
    """A side of a neuron from its rows."""
    neurons = tables.get("neurons", [])
    if len(neurons) > 1:
        raise neurons[1].wrong("index", "one row for each side of a neuron")
    if not neurons:
        row = next(iter(tables.values()))[0]
        key = {name: row.values[name] for name in _REQUIRED["neurons"]}
        neurons = [Fields(key, row.where)]
    return rows.read_neuron(
        neurons[0],
        spans=tuple(map(rows.read_span, tables.get("spans", ()))),
        ngrams=tuple(map(rows.read_ngram, tables.get("ngrams", ()))),
        explanations=tuple(_explanations(tables)),
    )


def _explanations(tables: Mapping[str, list[Fields]]) -> Iterator[ExplanationRecord]:
    found = tables.get("explanations", [])
    scores = _by(tables.get("scores", []), "explanation", len(found))
    simulations = _by(tables.get("simulations", []), "explanation", len(found))
    for place, row in enumerate(found):
        parts = _by(simulations.get(place, []), "simulation", None)
        made = [rows.read_simulation(_with_json(part[0]), part) for part in parts.values()]
        yield rows.read_explanation(_with_json(row), scores.get(place, ()), made)


def _with_json(row: Fields) -> Fields:
    """A row with what the texts of its columns of JSON say."""
    values = dict(row.values)
    for name in columns.JSON & values.keys():
        try:
            values[name] = None if values[name] is None else json.loads(values[name])
        except (ValueError, RecursionError) as error:
            raise row.wrong(name, f"is no JSON: {error}") from error
    return Fields(values, row.where)


def _by(some: list[Fields], key: str, n: int | None) -> dict[int, list[Fields]]:
    """Rows by the number that they have under a key."""
    found: dict[int, list[Fields]] = {}
    for row in some:
        number = row.integer(key, least=0)
        if n is not None and number >= n:
            raise row.wrong(key, f"the place of an explanation, below {n}, not {number}")
        found.setdefault(number, []).append(row)
    return found
