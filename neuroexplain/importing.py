"""Import: files in a format of the field, a batch at a time, into a collection of their own or into one that is there.

exchange.FORMAT.read ─▶ Importer, a transaction for each batch
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from neuroexplain.catalogue import Importer, Target
from neuroexplain.errors import ExchangeError, unknown
from neuroexplain.exchange.about import load
from neuroexplain.exchange.batches import Batch
from neuroexplain.exchanged import About, NeuronRecord
from neuroexplain.locks import whoami
from neuroexplain.run import Run

FORMATS = {
    "jsonl": "jsonl",
    "parquet": "parquet",
    "neuronpedia": "neuronpedia",
    "openai": "openai_explainer",
    "saedashboard": "saedashboard",
}
"""Modules of `exchange` by the name of their format."""
Into = Literal["auto", "new", "current"]
OnError = Literal["stop", "skip"]
_SHOWN = 20
"""Refused batches that are told of, of all that are counted."""


@dataclass(frozen=True)
class ImportConfig:
    """What is imported."""

    path: str
    """Absolute."""
    format: str
    subject: str | None = None
    """Name that the subject gets in the catalogue; None takes the one that the files tell."""
    into: Into = "auto"
    """`new`: a collection of its own. `current`: explanations, scores and simulations are added to the neurons of the collection
    that the subject has. `auto`: current where the files hold explanations alone."""


@dataclass(frozen=True)
class Imported:
    """What came of an import."""

    subject: str | None
    """None where nothing was there to import."""
    attached: bool
    """Whether it was added to a collection that was there."""
    counts: dict[str, int]
    refused: list[str] = field(default_factory=list)
    """Why batches were left out, one line each; the first of them."""
    conflicts: list[str] = field(default_factory=list)
    """What was left out because the catalogue says something else; the first of it."""


def import_files(run: Run, config: ImportConfig, on_error: OnError = "stop") -> Imported:
    """Import files; what an earlier import of the same files wrote is passed over.

    Args:
        run: where results are saved, and counted.
        config: which files, and where to.
        on_error: `stop` at the first bad batch, or `skip` all that are bad. Nothing of a bad batch is imported.

    Raises:
        ExchangeError: no such format or files, or a bad batch.
        CatalogueError: the catalogue cannot be written.
    """
    work = _Import(run, config, on_error)
    path = Path(config.path)
    with run.execution.progress.stage("import", None) as advance:
        for batch in work.batches(path):
            advance(work.add(batch))
    return work.finish()


class _Import:
    """One import under way."""

    def __init__(self, run: Run, config: ImportConfig, on_error: OnError) -> None:
        if config.format not in FORMATS:
            raise ExchangeError(unknown("format", config.format, FORMATS))
        if config.into not in get_args(Into):
            raise ExchangeError(unknown("into", config.into, get_args(Into)))
        self._run, self._config = run, config
        self._skips = on_error == "skip"
        self._module = _module(config.format)
        self._own = config.format in ("jsonl", "parquet")
        self._importer: Importer | None = None
        self._names: tuple[str, str] | None = None
        self._attach = config.into == "current"
        self._refused: list[str] = []
        self._n_refused = 0

    def batches(self, path: Path) -> Iterator[Batch]:
        """All batches that can be read."""
        if not path.exists():
            raise ExchangeError(f"{path}: there is no such file or folder")
        on_error = self._refuse if self._skips else None
        if self._own:
            if self._config.into == "auto":
                self._attach = not self._module.has_neurons(path)
            return self._module.read(path, on_error=on_error)  # type: ignore[no-any-return]
        return self._module.read(path, subject=self._config.subject, on_error=on_error)  # type: ignore[no-any-return]

    def add(self, batch: Batch) -> int:
        """Write a batch; returns how many sides of neurons it is about."""
        if not batch.records:
            return 0
        importer, records = self._ready(batch), self._renamed(batch.records)
        try:
            importer.add(batch.name, batch.sha256, records)
        except ExchangeError as error:
            if not self._skips:
                raise
            self._refuse(error)
        return len(records)

    def finish(self) -> Imported:
        """Whatever is imported is what the subject's neurons are now; counts are the run's."""
        importer = self._importer
        if importer is not None:
            importer.finish()
            self._run.counts.update(importer.counts)
        self._run.counts.update({"batches refused": self._n_refused, "failed": self._n_refused})
        return Imported(
            subject=self._names[1] if self._names else None,
            attached=self._attach,
            counts=dict(+self._run.counts),
            refused=self._refused,
            conflicts=importer.conflicts if importer else [],
        )

    def _refuse(self, error: ExchangeError) -> None:
        self._n_refused += 1
        if len(self._refused) < _SHOWN:
            self._refused.append(str(error))

    def _ready(self, batch: Batch) -> Importer:
        """The importer; the first batch says which subject it is for."""
        if self._importer is None:
            about = self._about(batch)
            name = self._config.subject or about.subject
            self._names = batch.records[0].neuron.subject, name
            host, _ = whoami()
            source = f"{host}:{self._config.path}"
            target = Target(
                replace(about, subject=name), source, self._config.format, attach=self._attach
            )
            self._importer = self._run.catalogue.importer(self._run.id, target)
        return self._importer

    def _about(self, batch: Batch) -> About:
        path = Path(self._config.path)
        told = load(path if path.is_dir() else path.parent) if self._own else None
        return told[0] if told else About(batch.records[0].neuron.subject)

    def _renamed(self, records: tuple[NeuronRecord, ...]) -> list[NeuronRecord]:
        """Records with the subject's name in the catalogue; those of other subjects keep theirs, and are refused."""
        assert self._names is not None
        old, new = self._names
        if old == new:
            return list(records)
        return [
            replace(r, neuron=replace(r.neuron, subject=new)) if r.neuron.subject == old else r
            for r in records
        ]


def _module(format: str) -> Any:
    try:
        return importlib.import_module(f"neuroexplain.exchange.{FORMATS[format]}")
    except ModuleNotFoundError as error:
        raise ExchangeError(
            f"{format} needs {error.name}: pip install 'neuroexplain[{format}]'"
        ) from None
