"""Neurons to Neuronpedia's bulk layout, a line at a time."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange.batches import BATCH_SIZE
from neuroexplain.exchange.files import Growing, line, write_bytes, write_lines
from neuroexplain.exchange.neuronpedia import rows, tables
from neuroexplain.exchange.neuronpedia.tables import NEURONS, Model, Source
from neuroexplain.exchanged import About, NeuronRecord

log = logging.getLogger(__name__)

KINDS = ("explanations", "explanation_scores", "activations", "features")
"""Folders of a source, in the order in which the files of a batch get their names."""
LONGEST = 512
"""Characters of an explanation that Neuronpedia's upload takes."""


@dataclass(frozen=True)
class Written:
    """What an export wrote, and what it had no place for."""

    neurons: int
    activations: int
    explanations: int
    scores: int
    long: int
    """Explanations of more than 512 characters, written all the same."""
    failed: int
    """Failed explanations, left out."""


def write(
    records: Iterable[NeuronRecord],
    out: Path,
    about: About,
    *,
    source_set: str = NEURONS,
    batch_size: int = BATCH_SIZE,
) -> Written:
    """Write neurons of one subject; a second time the same ones give the same bytes.

    Args:
        records: best in order of layer; a new layer ends the batches of the one before it.
        out: folder for models. Sources in it that this package wrote are replaced.
        about: the subject.
        source_set: `neurons`, or a name for the latents of sparse autoencoders, of letters, digits and single - and _.
        batch_size: neurons of a batch.

    Raises:
        ExchangeError: a source is there that somebody else wrote, or a file cannot be written.
    """
    model = Model.of(about, source_set)
    counts: Counter[str] = Counter()
    names: dict[str, set[str]] = {name: set() for name in _CONFIG}
    with ExitStack() as stack:
        writer = _Writer(out / model.id, model, batch_size, stack)
        for record in records:
            writer.open_at(record)
            _write(record, model, writer, counts, names)
        writer.finish()
    _write_config(out / "config", names, model)
    return Written(
        *(counts[name] for name in ("features", "activations", "explanations")),
        *(counts[name] for name in ("explanation_scores", "long", "failed")),
    )


class _Writer:
    """Batches that are being written: one per source of a layer."""

    def __init__(self, folder: Path, model: Model, size: int, stack: ExitStack) -> None:
        self._folder, self._model, self._size = folder, model, size
        self._open: dict[Source, _Files] = {}
        self._numbers: Counter[Source] = Counter()
        self._now: Source | None = None
        stack.callback(self._drop)

    def open_at(self, record: NeuronRecord) -> None:
        """What is written next is about a neuron."""
        source = self._model.source(record.neuron)
        if self._now is not None and self._now.layer != source.layer:
            self.finish()
        files = self._open.get(source)
        if files is not None and files.neurons == self._size:
            self._open.pop(source).finish()
            files = None
        if files is None:
            number = self._numbers[source]
            if number == 0:
                _claim(self._folder / str(source), self._model, source)
            self._numbers[source] += 1
            files = self._open[source] = _Files(self._folder / str(source), number)
        files.neurons += 1
        self._now = source

    def write(self, kind: str, row: rows.Row) -> None:
        """Write a row of a table."""
        assert self._now is not None
        self._open[self._now].of(kind).write(line(row))

    def finish(self) -> None:
        """What is open is whole."""
        while self._open:
            _, files = self._open.popitem()
            files.finish()

    def _drop(self) -> None:
        for files in self._open.values():
            files.drop()


@dataclass
class _Files:
    """The files of a batch; a table without rows has none."""

    folder: Path
    number: int
    neurons: int = 0
    files: dict[str, Growing] = field(default_factory=dict)

    def of(self, kind: str) -> Growing:
        if kind not in self.files:
            path = self.folder / kind / f"batch-{self.number}.jsonl.gz"
            self.files[kind] = Growing(path)
        return self.files[kind]

    def finish(self) -> None:
        for kind in KINDS:
            if kind in self.files:
                self.files[kind].finish()

    def drop(self) -> None:
        for file in self.files.values():
            file.drop()


def _write(
    record: NeuronRecord,
    model: Model,
    writer: _Writer,
    counts: Counter[str],
    names: dict[str, set[str]],
) -> None:
    def put(kind: str, row: rows.Row) -> None:
        writer.write(kind, row)
        counts[kind] += 1

    put("features", rows.feature(record, model))
    for number, span in enumerate(record.spans):
        if span.tokens:
            put("activations", rows.activation(record, span, number, model))
    for own in record.explanations:
        if own.status != "ok":
            counts["failed"] += 1
            continue
        if len(own.text) > LONGEST:
            counts["long"] += 1
            if counts["long"] == 1:
                where = f"{record.neuron}, {len(own.text)} characters"
                log.warning("Neuronpedia takes %d characters of text; longer: %s", LONGEST, where)
        put("explanations", rows.explanation(record, own, model))
        names["explanation_type"].add(own.explainer)
        names["explanation_model_type"] |= set(filter(None, [own.llm]))
        for place, scored in enumerate(own.scores):
            row = rows.score(record, own, place, model)
            if row is not None:
                put("explanation_scores", row)
                names["explanation_score_type"].add(scored.score.scorer)
                names["explanation_score_model"].add(rows.score_model(scored))


def _claim(folder: Path, model: Model, source: Source) -> None:
    """Empty a source's folder, and write its small tables."""
    old = sorted(path for kind in KINDS for path in folder.glob(f"{kind}/*batch-*.jsonl*"))
    if old and (ours(folder) or {}).get("subject") != model.subject:
        raise ExchangeError(
            f"{folder}: holds batches that are no earlier export of {model.subject}; choose another folder"
        )
    try:
        for path in old:
            path.unlink()
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be replaced: {error.strerror}") from error
    write_lines(folder / "source.jsonl", [tables.source_line(model, source)])
    write_lines(folder / "release.jsonl", [tables.release_line(model)])
    write_lines(folder / "model.jsonl", [tables.model_line(model)])
    write_lines(folder / "sourceset.jsonl", [tables.source_set_line(model)])


def ours(folder: Path) -> dict[str, Any] | None:
    """What this package noted in a source's line when it wrote the source; None where it did not write it."""
    try:
        values = json.loads((folder / "source.jsonl").read_text(encoding="utf-8"))
        notes = json.loads(values["notes"])
        return dict(notes) if notes["writer"] == tables.RELEASE else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


_CONFIG: dict[str, Callable[[Iterable[str], str], list[dict[str, Any]]]] = {
    "explanation_type": tables.explanation_types,
    "explanation_model_type": tables.language_models,
    "explanation_score_type": tables.score_types,
    "explanation_score_model": tables.language_models,
}


def _write_config(folder: Path, names: dict[str, set[str]], model: Model) -> None:
    """Write the tables of names, with the lines that are there of other names."""
    for table, make in _CONFIG.items():
        path = folder / f"{table}.jsonl"
        lines = {row["name"]: row for row in make(sorted(names[table]), model.created_at)}
        lines |= {name: row for name, row in _known(path) if name not in lines}
        write_lines(path, [lines[name] for name in sorted(lines)])
    if not (folder / "eval_type.jsonl").exists():
        write_bytes(folder / "eval_type.jsonl", b"")


def _known(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for text in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(text)
            yield row["name"], row
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExchangeError(
            f"{path}: is no table of names; move it away, or choose another folder"
        ) from error
