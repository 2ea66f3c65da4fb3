"""A part of a collection on disk: one shard, some layers, from its first checkpoint until it is put together.

    part.json       what it is a part of, and the folder is named by
    spans…, tokens… what is sampled, written as it goes by
    top-SPLIT-LAYER the strongest spans of a split that has gone by
    at-N/           the state after N batches; only the newest is kept
    done/           the same after the last

Everything is written beside its place and renamed, so that whatever stands there is whole.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import filelock
import numpy as np

from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.spool import Spool
from neuroexplain.collectors.topk import Arrays
from neuroexplain.errors import CollectError
from neuroexplain.records import SPLITS

_HEADER = "part.json"
_DONE = "done"
_STATE = "state.json"


@dataclass(frozen=True)
class Header:
    """What a folder is a part of."""

    key: str
    """Of the collection."""
    batch_size: int
    shard: int
    """From 1."""
    shards: int
    widths: Mapping[int, int]
    """Neurons of every layer in it."""
    seq_len: int

    @property
    def name(self) -> str:
        """Of the folder."""
        layers = f"{min(self.widths)}-{max(self.widths)}"
        return f"{self.key[:16]}.b{self.batch_size}.{self.shard}of{self.shards}.layers{layers}"


class Part:
    """One part; as a context manager it is this process's alone.

    Args:
        parent: folder of all parts.
        header: what it is a part of.

    Raises:
        CollectError: another process is at work on it, or the disk is full.
    """

    def __init__(self, parent: Path, header: Header) -> None:
        self.header = header
        self.folder = parent / header.name
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / _HEADER).exists():
                _write_json(self.folder / _HEADER, asdict(header))
        self.spools = {
            layer: Spool(self.folder, layer, width, header.seq_len)
            for layer, width in header.widths.items()
        }
        self._lock = filelock.FileLock(self.folder / ".lock", timeout=0)

    @classmethod
    def read(cls, folder: Path) -> Part:
        """The part in a folder.

        Raises:
            CollectError: there is none.
        """
        try:
            values = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
            widths = {int(layer): width for layer, width in values.pop("widths").items()}
            return cls(folder.parent, Header(widths=widths, **values))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CollectError(f"{folder} holds no part of a collection: {error}") from None

    def __enter__(self) -> Part:
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise CollectError(
                f"another process is collecting into {self.folder}; wait for it, or stop it"
            ) from None
        with writing(self.folder):
            for spool in self.spools.values():
                spool.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for spool in self.spools.values():
            spool.close()
        self._lock.release()

    @property
    def finished(self) -> bool:
        """Whether every batch has gone by."""
        return (self.folder / _DONE).is_dir()

    def save(self, n_batches: int, split: int, states: Mapping[int, LayerState]) -> None:
        """Save the state after so many batches, and drop the one before."""
        for spool in self.spools.values():
            spool.sync()
        self._save_state(f"at-{n_batches}", n_batches, split, states)

    def save_split(self, split: int, states: Mapping[int, LayerState]) -> None:
        """Save the strongest spans of a split that has gone by."""
        for layer, state in states.items():
            write_arrays(self._top(split, layer), state.top())

    def finish(self, n_batches: int, states: Mapping[int, LayerState]) -> None:
        """Save the state after the last batch."""
        for spool in self.spools.values():
            spool.sync()
        self._save_state(_DONE, n_batches, len(SPLITS) - 1, states)

    def restore(self, states: Mapping[int, LayerState]) -> tuple[int, int]:
        """Bring states to where the newest checkpoint was: batches that had gone by, and the split of the next.

        Without a checkpoint: 0, 0.
        """
        newest = max(self._checkpoints(), default=None)
        if newest is None:
            return 0, 0
        n_batches, folder = newest
        split = int(json.loads((folder / _STATE).read_text(encoding="utf-8"))["split"])
        for layer, state in states.items():
            state.restore(read_arrays(folder / f"layer-{layer:04d}.npz"), split)
        return n_batches, split

    def state(self, layer: int) -> Arrays:
        """A layer's state at the end."""
        return read_arrays(self.folder / _DONE / f"layer-{layer:04d}.npz")

    def top(self, split: int, layer: int) -> Arrays:
        """The strongest spans of a layer and split."""
        return read_arrays(self._top(split, layer))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _top(self, split: int, layer: int) -> Path:
        return self.folder / f"top-{SPLITS[split]}-{layer:04d}.npz"

    def _checkpoints(self) -> list[tuple[int, Path]]:
        found = (p for p in self.folder.glob("at-*") if p.suffix != ".tmp")
        return [(int(p.name.removeprefix("at-")), p) for p in found]

    def _save_state(
        self, name: str, n_batches: int, split: int, states: Mapping[int, LayerState]
    ) -> None:
        old = [path for _, path in self._checkpoints()]
        target = self.folder / name
        scratch = target.with_suffix(".tmp")
        with writing(self.folder):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            for layer, state in states.items():
                write_arrays(scratch / f"layer-{layer:04d}.npz", state.arrays())
            _write_json(scratch / _STATE, {"n_batches": n_batches, "split": split})
            shutil.rmtree(target, ignore_errors=True)
            scratch.replace(target)
        for path in old:
            if path != target:
                shutil.rmtree(path, ignore_errors=True)


def read_parts(parent: Path) -> list[Part]:
    """Every part in a folder, or the one that the folder is.

    Raises:
        CollectError: there is none.
    """
    folders = [
        path.parent for path in sorted([*parent.glob(_HEADER), *parent.glob(f"*/{_HEADER}")])
    ]
    if not folders:
        raise CollectError(f"{parent} holds no parts; give the folder that --shard wrote into")
    return [Part.read(folder) for folder in folders]


def complete(parts: Sequence[Part]) -> list[Part]:
    """Make sure that parts are the whole of one collection.

    Raises:
        CollectError: one is missing or unfinished, or they do not belong together.
    """
    parent = parts[0].folder.parent
    kinds = sorted({(p.header.key, p.header.batch_size, p.header.shards) for p in parts})
    if len(kinds) > 1:
        shown = ", ".join(f"{k[:16]} in {n} shards of batches of {b}" for k, b, n in kinds)
        raise CollectError(
            f"{parent} holds parts of several collections ({shown}); merge one at a time"
        )
    shards = parts[0].header.shards
    layers = sorted({layer for part in parts for layer in part.header.widths})
    done = [part for part in parts if part.finished]
    finished = {(layer, p.header.shard) for p in done for layer in p.header.widths}
    missing = sorted(
        {s for s in range(1, shards + 1) for layer in layers if (layer, s) not in finished}
    )
    if missing:
        raise CollectError(
            f"{parent}: shards missing or unfinished: {', '.join(map(str, missing))} of {shards}; "
            f"run them with --shard, for example --shard {missing[0]}/{shards}"
        )
    return done


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the errors of a disk into one line.

    Raises:
        CollectError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CollectError(
                f"the disk of {folder} is full; free some space, and the same command goes on from the last checkpoint"
            ) from error
        raise CollectError(f"{folder} cannot be written: {error.strerror}") from error


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays to a file that is there as a whole or not at all."""
    scratch = path.with_suffix(".tmp")
    with writing(path.parent), scratch.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        _to_disk(file.fileno())
    scratch.replace(path)


def _write_json(path: Path, value: object) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(value), encoding="utf-8")
    scratch.replace(path)


def read_arrays(path: Path) -> Arrays:
    """The arrays of a file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _to_disk(file: int) -> None:
    os.fsync(file)
