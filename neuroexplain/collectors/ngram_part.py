"""A part of an n-gram pass on disk: some layers, from the first checkpoint until the catalogue has all.

One file holds the state after so many batches. It is written beside its place and renamed, so that whatever stands there
is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import filelock
import numpy as np

from neuroexplain.collectors.ngram_layer import Arrays, NgramLayer, finished
from neuroexplain.collectors.part import write_arrays, writing
from neuroexplain.errors import CollectError
from neuroexplain.recorded import LayerNgrams

_STATE = "state.npz"
_BATCHES = "batches"


@dataclass(frozen=True)
class NgramHeader:
    """What a folder is a part of; all of it is in its name."""

    key: str
    """Of the pass."""
    set_sha256: str
    widths: Mapping[int, int]
    """Neurons of every layer in it."""

    @property
    def name(self) -> str:
        """Of the folder."""
        layers = f"{min(self.widths)}-{max(self.widths)}"
        return f"{self.key[:16]}.ngrams{self.set_sha256[:16]}.layers{layers}"


class NgramPart:
    """One part; as a context manager it is this process's alone.

    Args:
        parent: folder of all parts.
        header: what it is a part of.

    Raises:
        CollectError: another process is at work on it, or the disk is full.
    """

    def __init__(self, parent: Path, header: NgramHeader) -> None:
        self.header = header
        self.folder = parent / header.name
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.folder / ".lock", timeout=0)

    def __enter__(self) -> NgramPart:
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise CollectError(
                f"another process is recording n-grams into {self.folder}; wait for it, or stop it"
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def save(self, n_batches: int, states: Mapping[int, NgramLayer]) -> None:
        """Save the state after so many batches, in place of the one before."""
        arrays: Arrays = {_BATCHES: np.array(n_batches)}
        for layer, state in states.items():
            arrays |= {_name(layer, name): array for name, array in state.arrays().items()}
        write_arrays(self.folder / _STATE, arrays)

    @property
    def n_batches(self) -> int:
        """Batches that had gone by at the newest checkpoint; 0 without one."""
        if not (self.folder / _STATE).exists():
            return 0
        with np.load(self.folder / _STATE, allow_pickle=False) as file:
            return int(file[_BATCHES])

    def restore(self, states: Mapping[int, NgramLayer]) -> None:
        """Bring states to where the newest checkpoint was."""
        if (self.folder / _STATE).exists():
            for layer, state in states.items():
                state.restore(self._state(layer))

    def layers(self) -> Iterator[LayerNgrams]:
        """What was recorded, a layer at a time."""
        for layer in self.header.widths:
            yield finished(layer, self._state(layer))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _state(self, layer: int) -> Arrays:
        prefix = _name(layer, "")
        with np.load(self.folder / _STATE, allow_pickle=False) as file:
            return {
                name.removeprefix(prefix): file[name]
                for name in file.files
                if name.startswith(prefix)
            }


def _name(layer: int, name: str) -> str:
    return f"layer-{layer:04d}-{name}"
