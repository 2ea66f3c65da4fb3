"""Neurons from Neuronpedia's bulk layout, as this package or anybody else wrote it: which files, and what is in each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange.batches import (
    BATCH_SIZE,
    Batch,
    OnError,
    attempt,
    cut,
    folder_of,
    natural,
    sha256,
)
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.lines import MAX_LINE, document, objects
from neuroexplain.exchange.neuronpedia.joining import Rows
from neuroexplain.exchange.neuronpedia.tables import NEURONS, Source
from neuroexplain.exchange.neuronpedia.writing import KINDS, ours

_BATCH = re.compile(r"batch-(\d+)\.jsonl(?:\.gz)?")


def read(
    folder: Path,
    *,
    subject: str | None = None,
    on_error: OnError | None = None,
    batch_size: int = BATCH_SIZE,
    max_line: int = MAX_LINE,
) -> Iterator[Batch]:
    """Read all sources below a folder: an export, a model's folder, or a source's.

    Files of a source with the same number are read together, one such set at a time. In an export of this package they are about
    the same neurons; in others a neuron may come in several batches.

    Args:
        folder: what to read.
        subject: name of the subject; None takes the one that an export of this package tells, else the model's, with the source set
            behind it unless that is `neurons`.
        on_error: is told of bad batches; None stops at the first.
        batch_size: neurons of a batch at most.
        max_line: bytes of a line at most.

    Raises:
        ExchangeError: there is nothing to read, or a batch is bad and nobody is to be told.
    """
    wanted = "{modelId}/{sourceId}/features/batch-0.jsonl.gz and the like"
    found = _sets(folder_of(folder, wanted))
    if not found:
        raise ExchangeError(f"{folder}: holds no batches; wanted {wanted}")
    yield from attempt(
        ((files.name, partial(files.read, subject, batch_size, max_line)) for files in found),
        on_error,
    )


def _sets(folder: Path) -> list[_Files]:
    """Files that are read together, in order of source and number."""
    found: dict[tuple[Path, int], dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.rglob("batch-*.jsonl*")):
        match = _BATCH.fullmatch(path.name)
        if match and path.parent.name in KINDS:
            found[path.parent.parent, int(match[1])].setdefault(path.parent.name, path)
    order = sorted(found, key=lambda key: (natural(key[0]), key[1]))
    return [_Files(folder, source, found[source, number]) for source, number in order]


@dataclass(frozen=True)
class _Files:
    """The files of a batch, by their tables."""

    root: Path
    source: Path
    paths: dict[str, Path]

    @property
    def name(self) -> str:
        """Path of the first table that there is, from what was read."""
        first = next(self.paths[kind] for kind in reversed(KINDS) if kind in self.paths)
        return self._name(first)

    def read(self, subject: str | None, size: int, max_line: int) -> list[Batch]:
        """Everything in them."""
        written = ours(self.source)
        rows = Rows(
            subject or (written or {}).get("subject"),
            plain=written is not None,
            width=self._width(written or {}, max_line),
        )
        for kind in ("features", "activations", "explanations", "explanation_scores"):
            if kind in self.paths:
                take: Callable[[Fields], None] = getattr(rows, kind)
                for row in objects(self.paths[kind], self._name(self.paths[kind]), limit=max_line):
                    take(row)
        digest = sha256(self.paths[kind] for kind in KINDS if kind in self.paths)
        return list(cut(self.name, digest, rows.records(), size))

    def _width(self, written: Mapping[str, Any], max_line: int) -> int | None:
        """Neurons of a layer, where our notes or the model's line tell; latents of another set are not as many."""
        if isinstance(written.get("width"), int):
            return int(written["width"])
        path = self.source / "model.jsonl"
        source = Source.parse(self.source.name)
        if not path.is_file() or source is None or source.source_set != NEURONS:
            return None
        row = document(path, self._name(path), limit=max_line)
        return row.maybe_integer("neuronsPerLayer", least=0) or None

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
