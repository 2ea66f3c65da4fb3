"""Records as tables, a row group of each in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import about as about_
from neuroexplain.exchange import rows
from neuroexplain.exchange.parquet import columns
from neuroexplain.exchange.scores import score_row
from neuroexplain.exchanged import About, ExplanationRecord, NeuronRecord

GROUP = {"spans": 3_072, "simulations": 3_072, "neurons": 1_024, "explanations": 2_048}
"""Rows of a row group, which are in memory together."""
_GROUP = 4_096


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    neurons: int
    """Sides of neurons."""
    explanations: int
    scores: int


class _Table:
    """A file that grows by row groups under another name, and gets its own when it is whole."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._path = folder / f"{name}.parquet"
        self._partial = folder / f".{self._path.name}.part"
        self._rows: list[tuple[rows.Row, rows.Row]] = []
        self._limit = GROUP.get(name, _GROUP)
        self.n = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._partial,
            columns.schema(name),
            compression="zstd",
            compression_level=3,
            # What is kept of every row group until the end: enough to find a neuron by.
            write_statistics=["layer", "index"],
        )

    def add(self, key: rows.Row, row: rows.Row) -> None:
        """Add a row, of which a part is shared with others."""
        self._rows.append((key, row))
        self.n += 1
        if len(self._rows) >= self._limit:
            self._flush()

    def __enter__(self) -> _Table:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()
        if error is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(columns.batch(self._name, self._rows))
        self._rows = []


def write(
    records: Iterable[NeuronRecord], out: Path, about: About, *, neurons: bool = True
) -> Written:
    """Write records; of every table a row group is in memory.

    Args:
        records: of one subject, in order of layer, index and side.
        out: folder that takes the files, in place of those of an earlier export.
        about: what the records are of.
        neurons: whether neurons, spans and n-grams are written too, or only explanations.

    Raises:
        ExchangeError: a file cannot be written.
    """
    names = [n for n in columns.TABLES if neurons or n not in ("neurons", "spans", "ngrams")]
    about_.forget(out)
    try:
        with ExitStack() as stack:
            tables = {name: stack.enter_context(_Table(out, name)) for name in names}
            sides = 0
            for record in records:
                sides += 1
                _add(tables, record)
    except (OSError, pa.ArrowException) as error:
        raise ExchangeError(f"{out}: cannot be written: {error}") from error
    about_.save(out, about, [f"{name}.parquet" for name in names])
    return Written(sides, tables["explanations"].n, tables["scores"].n)


def _add(tables: Mapping[str, _Table], record: NeuronRecord) -> None:
    key = rows.neuron_key(record.neuron)
    if "neurons" in tables:
        tables["neurons"].add(key, rows.neuron_row(record))
        for span in record.spans:
            tables["spans"].add(key, rows.span_row(span, arrays=True))
        for ngram in record.ngrams:
            tables["ngrams"].add(key, rows.ngram_row(ngram))
    for place, own in enumerate(record.explanations):
        tables["explanations"].add(key, columns.with_json(rows.explanation_row(own)))
        _add_results(tables, key | {"explanation": place, "explanation_key": own.key}, own)


def _add_results(tables: Mapping[str, _Table], key: rows.Row, own: ExplanationRecord) -> None:
    for score in own.scores:
        tables["scores"].add(key, score_row(score))
    for place, simulation in enumerate(own.simulations):
        of = key | {"simulation": place} | columns.with_json(rows.simulation_row(simulation))
        for span in simulation.spans:
            tables["simulations"].add(of, rows.levels_row(span, arrays=True))
