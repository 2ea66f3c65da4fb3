"""What is read from files, a part at a time: a part is good as a whole or left out as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroexplain.errors import ExchangeError
from neuroexplain.exchanged import NeuronRecord

BATCH_SIZE = 512
"""Neurons of a batch at most."""

_DIGITS = re.compile("([0-9]+)")

OnError = Callable[[ExchangeError], None]
"""What is done about a bad batch; reading goes on with the next."""


@dataclass(frozen=True)
class Batch:
    """Neurons of one file, or of a few files that belong together, or of a part of them.

    A format may tell of a neuron in several batches, its spans in one and its explanations in another.
    """

    name: str
    """Path of the file relative to what was read; of a part with `#FIRST-LAST` behind it."""
    sha256: str
    """Of the files' bytes, or of the lines that it is made of, as hex."""
    records: tuple[NeuronRecord, ...]
    """No neuron twice."""


def cut(name: str, sha256: str, records: Sequence[NeuronRecord], size: int) -> Iterator[Batch]:
    """All neurons of a file as batches of at most `size`."""
    if len(records) <= size:
        yield Batch(name, sha256, tuple(records))
        return
    for start in range(0, len(records), size):
        part = tuple(records[start : start + size])
        first, last = part[0].neuron.index, part[-1].neuron.index
        yield Batch(f"{name}#{first}-{last}", sha256, part)


def attempt(
    batches: Iterable[tuple[str, Callable[[], Iterable[Batch]]]], on_error: OnError | None
) -> Iterator[Batch]:
    """Read batches one after the other.

    Args:
        batches: names, each with what reads it before it gives anything.
        on_error: is told of each that is bad; None stops at the first.

    Raises:
        ExchangeError: a batch is bad, and nobody is to be told.
    """
    for name, reading in batches:
        try:
            found = reading()
        except ExchangeError as error:
            error.batch = name
            if on_error is None:
                raise
            on_error(error)
        else:
            yield from found


def sha256(paths: Iterable[Path]) -> str:
    """Of the bytes of some files, one after the other, as hex.

    Raises:
        ExchangeError: one cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            raise ExchangeError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def natural(path: Path) -> list[tuple[int, str]]:
    """A path to sort by: numbers in it count as numbers."""
    return [
        (int(part), "") if place % 2 else (-1, part)
        for place, part in enumerate(_DIGITS.split(path.as_posix()))
    ]


def folder_of(folder: Path, wanted: str) -> Path:
    """A folder that is there.

    Raises:
        ExchangeError: it is not.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise ExchangeError(f"{folder}: {what}; wanted one with {wanted}")
    return folder
