"""JSONL of our own: `neurons.jsonl`, a side of a neuron a line with its spans, and `explanations.jsonl`, an explanation a line.

Both have `subject`, `layer`, `index` and `polarity` in every line. Scores and simulations are lists in an explanation's line. The
lines are in order of layer and index, the upper side first; they are read in any order, also without the other file, and
gzipped too (`.jsonl.gz`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import about as about_
from neuroexplain.exchange import rows
from neuroexplain.exchange.batches import Batch, OnError, attempt
from neuroexplain.exchange.fields import Fields, Where
from neuroexplain.exchange.files import Growing, line
from neuroexplain.exchange.lines import MAX_LINE, parsed, raw_lines
from neuroexplain.exchange.scores import score_row
from neuroexplain.exchanged import About, ExplanationRecord, NeuronRecord
from neuroexplain.records import NeuronId

NEURONS = "neurons.jsonl"
EXPLANATIONS = "explanations.jsonl"
LINES = 128
"""Of a batch."""


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    neurons: int
    """Sides of neurons."""
    explanations: int
    scores: int


def write(
    records: Iterable[NeuronRecord], out: Path, about: About, *, neurons: bool = True
) -> Written:
    """Write records, one at a time in memory.

    Args:
        records: of one subject.
        out: folder that takes the files, in place of those of an earlier export.
        about: what the records are of.
        neurons: whether neurons are written too, or only explanations.

    Raises:
        ExchangeError: a file cannot be written.
    """
    names = [NEURONS, EXPLANATIONS] if neurons else [EXPLANATIONS]
    sides = explanations = scores = 0
    about_.forget(out)
    with ExitStack() as stack:
        files = {name: stack.enter_context(Growing(out / name)) for name in names}
        for record in records:
            sides += 1
            if neurons:
                files[NEURONS].write(line(_neuron(record)))
            for own in record.explanations:
                explanations += 1
                scores += len(own.scores)
                files[EXPLANATIONS].write(line(_explanation(record.neuron, own)))
    about_.save(out, about, names)
    return Written(sides, explanations, scores)


def _neuron(record: NeuronRecord) -> rows.Row:
    return {
        **rows.neuron_row(record),
        "ngrams": [rows.ngram_row(ngram) for ngram in record.ngrams],
        "spans": [rows.span_row(span) for span in record.spans],
    }


def _explanation(neuron: NeuronId, own: ExplanationRecord) -> rows.Row:
    simulations = [
        rows.simulation_row(s) | {"spans": [rows.levels_row(span) for span in s.spans]}
        for s in own.simulations
    ]
    return {
        **rows.neuron_key(neuron),
        **rows.explanation_row(own),
        "scores": [score_row(score) for score in own.scores],
        "simulations": simulations,
    }


def has_neurons(path: Path) -> bool:
    """Whether there are neurons in a folder or file, not just explanations of neurons that the reader has."""
    return any(_kind(file) == NEURONS for file in _files(path))


def read(
    path: Path,
    *,
    on_error: OnError | None = None,
    batch_size: int = LINES,
    max_line: int = MAX_LINE,
) -> Iterator[Batch]:
    """Read a folder, or one of its files, some lines at a time; neurons before explanations.

    Args:
        path: of the folder or file.
        on_error: is told of bad batches; None stops at the first.
        batch_size: lines of a batch.
        max_line: bytes of a line at most.

    Raises:
        ExchangeError: there is nothing to read, or a batch is bad and nobody is to be told.
    """
    files = _files(path)
    if not files:
        raise ExchangeError(
            f"{path}: there is no {NEURONS} and no {EXPLANATIONS}; wanted one of them, or its folder"
        )
    for file in files:
        yield from attempt(_batches(file, batch_size, max_line), on_error)


def _files(path: Path) -> list[Path]:
    """Those that an export names, or that bear the names where there is no `about.json`; neurons first."""
    if not path.is_dir():
        return [path] if path.is_file() and _kind(path) else []
    whole = about_.load(path)
    found = [path / f"{name}{end}" for name in (NEURONS, EXPLANATIONS) for end in ("", ".gz")]
    return [
        file
        for file in found
        if file.is_file() and (whole is None or file.name.removesuffix(".gz") in whole[1])
    ]


def _kind(file: Path) -> str | None:
    """What a file holds, by the end of its name: `gpt2.explanations.jsonl` will do."""
    name = file.name.removesuffix(".gz")
    return next((kind for kind in (NEURONS, EXPLANATIONS) if name.endswith(kind)), None)


class _Line(NamedTuple):
    number: int
    data: bytes


def _batches(file: Path, size: int, max_line: int) -> Iterator[tuple[str, partial[list[Batch]]]]:
    """Names of a file's batches with what reads them. One whose lines cannot be told from another is the last."""
    lines = enumerate(raw_lines(file, file.name, max_line), 1)
    block: list[_Line] = []
    first = 1
    while True:
        try:
            number, data = next(lines)
        except StopIteration:
            break
        except ExchangeError as error:
            yield f"{file.name}#{first}-", partial(_fail, error)
            return
        block.append(_Line(number, data))
        if len(block) == size:
            yield f"{file.name}#{first}-{number}", partial(_read, file, block)
            block, first = [], number + 1
    if block:
        yield f"{file.name}#{first}-{block[-1].number}", partial(_read, file, block)
    elif first == 1:
        yield file.name, partial(_fail, ExchangeError(f"{file.name}: is empty"))


def _fail(error: ExchangeError) -> list[Batch]:
    raise error


def _read(file: Path, block: list[_Line]) -> list[Batch]:
    # One after another: what a line says takes ten times the room of the record that is made of it.
    found = (
        parsed(entry.data, Where(file.name, entry.number)) for entry in block if entry.data.strip()
    )
    records = _neurons(found) if _kind(file) == NEURONS else _explained(found)
    name = f"{file.name}#{block[0].number}-{block[-1].number}"
    digest = hashlib.sha256(b"".join(entry.data for entry in block))
    return [Batch(name, digest.hexdigest(), tuple(records))]


def _neurons(lines: Iterable[Fields]) -> Iterator[NeuronRecord]:
    seen: set[NeuronId] = set()
    for row in lines:
        record = rows.read_neuron(
            row,
            spans=tuple(map(rows.read_span, row.objects("spans"))),
            ngrams=tuple(map(rows.read_ngram, row.objects("ngrams"))),
        )
        if record.neuron in seen:
            raise row.wrong("index", f"another neuron than before, not {record.neuron} again")
        seen.add(record.neuron)
        yield record


def _explained(lines: Iterable[Fields]) -> Iterator[NeuronRecord]:
    """Neurons with nothing but explanations."""
    found: dict[NeuronId, list[ExplanationRecord]] = {}
    for row in lines:
        simulations = [
            rows.read_simulation(own, list(own.objects("spans")))
            for own in row.objects("simulations")
        ]
        own = rows.read_explanation(row, row.objects("scores"), simulations)
        found.setdefault(rows.read_key(row), []).append(own)
    for neuron, explanations in found.items():
        yield NeuronRecord(neuron, explanations=tuple(explanations))
