"""Files of neuron-explainer to neurons: which files there are, and what is in one neuron's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import pieces
from neuroexplain.exchange.batches import Batch, OnError, attempt, folder_of, sha256
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.lines import MAX_LINE, document, objects
from neuroexplain.exchange.openai_explainer.beside import Beside
from neuroexplain.exchange.openai_explainer.layout import (
    ACTIVATIONS,
    EXPLANATIONS,
    NEGATIVE,
    OURS,
    TOKENS,
    path_of,
)
from neuroexplain.exchange.openai_explainer.results import explanations
from neuroexplain.exchange.openai_explainer.spans import spans
from neuroexplain.exchanged import NeuronRecord
from neuroexplain.records import NeuronId, Statistics

BATCH_SIZE = 64
"""Neurons of a batch, each of which is a few files."""
TREES = (ACTIVATIONS, EXPLANATIONS, TOKENS, OURS)
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")
_WANTED = f"{ACTIVATIONS}/LAYER/NEURON.json or {EXPLANATIONS}/LAYER/NEURON.jsonl"


def read(
    folder: Path,
    *,
    subject: str | None = None,
    on_error: OnError | None = None,
    batch_size: int = BATCH_SIZE,
    max_line: int = MAX_LINE,
) -> Iterator[Batch]:
    """Read all neurons below a folder; of a neuron all files, in one batch with those of the indices beside it.

    Args:
        folder: holds `collated-activations`, `explanations`, or both.
        subject: name of the subject; None takes the one that a file of ours tells, else the folder's name.
        on_error: is told of bad batches; None stops at the first.
        batch_size: indices that a batch may have.
        max_line: bytes of a file at most.

    Raises:
        ExchangeError: there is nothing to read, or a batch is bad and nobody is to be told.
    """
    found = _blocks(folder_of(folder, _WANTED), batch_size)
    if not found:
        raise ExchangeError(f"{folder}: holds no neurons; wanted {_WANTED}")
    reading = _Reading(folder, subject, max_line)
    named = ((_name(block, batch_size), block) for block in sorted(found))
    yield from attempt(
        ((name, partial(reading.block, name, block, found[block])) for name, block in named),
        on_error,
    )


class _Block(NamedTuple):
    """Neurons of a batch: of a layer, with indices from a multiple of the batch size on."""

    negative: bool
    layer: int
    number: int


def _blocks(folder: Path, size: int) -> dict[_Block, set[int]]:
    """All neurons that there are: indices by batch."""
    found: dict[_Block, set[int]] = defaultdict(set)
    for negative in (False, True):
        root = folder / NEGATIVE if negative else folder
        for pattern in (f"{ACTIVATIONS}/*/*.json", f"{EXPLANATIONS}/*/*.jsonl"):
            for path in root.glob(pattern):
                layer, index = path.parent.name, path.stem
                if _NUMBER.fullmatch(layer) and _NUMBER.fullmatch(index):
                    found[_Block(negative, int(layer), int(index) // size)].add(int(index))
    return found


def _name(block: _Block, size: int) -> str:
    side = f"{NEGATIVE}/" if block.negative else ""
    first = block.number * size
    return f"{side}{block.layer}#{first}-{first + size - 1}"


@dataclass(frozen=True)
class _Reading:
    root: Path
    subject: str | None
    max_line: int

    def block(self, name: str, block: _Block, indices: Iterable[int]) -> list[Batch]:
        """The one batch that some neurons are."""
        records: dict[NeuronId, NeuronRecord] = {}
        paths: list[Path] = []
        polarity = -1 if block.negative else 1
        for index in sorted(indices):
            files = self._files(NeuronId("", block.layer, index, polarity))
            paths += files.values()
            for record in self._neuron(files, block.layer, index, polarity):
                records[record.neuron] = record
        return [Batch(name, sha256(paths), tuple(records[neuron] for neuron in sorted(records)))]

    def _files(self, neuron: NeuronId) -> dict[str, Path]:
        """A neuron's files by tree."""
        paths = {tree: path_of(self.root, tree, neuron) for tree in TREES}
        return {tree: path for tree, path in paths.items() if path.is_file()}

    def _neuron(
        self, files: Mapping[str, Path], layer: int, index: int, polarity: int
    ) -> Iterator[NeuronRecord]:
        """What a neuron's files tell; Transluce's tell of both sides."""
        rows = {tree: self._row(tree, path) for tree, path in files.items()}
        beside = Beside.read(rows[OURS]) if OURS in rows else None
        subject = self.subject or (beside.subject if beside else self.root.resolve().name)
        record = NeuronRecord(NeuronId(subject, layer, index, polarity))
        for tree in (ACTIVATIONS, EXPLANATIONS):
            if tree in rows:
                _check(rows[tree], record.neuron)
        if beside is not None:
            record = replace(record, site=beside.site, width=beside.width)
        if ACTIVATIONS in rows:
            row = rows[ACTIVATIONS]
            known = beside.statistics if beside else _moments(row, polarity)
            record = replace(record, statistics=known, spans=spans(row, polarity, beside))
        if TOKENS in rows:
            sides = [rows[TOKENS].object(f"output_{side}") for side in ("positive", "negative")]
            promoted, suppressed = (_pairs(side, beside is not None) for side in sides)
            record = replace(record, promoted=promoted, suppressed=suppressed)
        found = explanations(rows[EXPLANATIONS], polarity, beside) if EXPLANATIONS in rows else {}
        yield replace(record, explanations=tuple(found.pop(polarity, ())))
        for other, theirs in found.items():
            neuron = replace(record.neuron, polarity=other)
            yield NeuronRecord(neuron, explanations=tuple(theirs))

    def _row(self, tree: str, path: Path) -> Fields:
        name = path.relative_to(self.root).as_posix()
        if tree != EXPLANATIONS:
            return document(path, name, limit=self.max_line)
        rows = list(objects(path, name, limit=self.max_line))
        if len(rows) != 1:
            raise ExchangeError(f"{name}: holds {len(rows)} lines; wanted one")
        return rows[0]


def _check(row: Fields, neuron: NeuronId) -> None:
    own = row.object("neuron_id")
    for key, wanted in (("layer_index", neuron.layer), ("neuron_index", neuron.index)):
        if own.integer(key, least=0) != wanted:
            raise own.wrong(key, f"{wanted}, as the file's name has it")


def _moments(row: Fields, polarity: int) -> Statistics | None:
    """Mean and variance, where either is a number."""
    mean = row.maybe_number("mean", nan=True)
    variance = row.maybe_number("variance", nan=True)
    if mean is None and variance is None:
        return None
    if variance is not None and variance < 0:
        raise row.wrong("variance", f"0 or more, not {variance}")
    mean = None if mean is None else polarity * mean
    std = None if variance is None else variance**0.5
    return Statistics(None, mean, std, None, None, None, n_spans=None)


def _pairs(row: Fields, plain: bool) -> tuple[tuple[str, float], ...]:
    pairs = row.weighted("tokens", "strengths")
    return pairs if plain else pieces.weighted(pairs)
