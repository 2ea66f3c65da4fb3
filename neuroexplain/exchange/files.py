"""Files that bear their name only when they are whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from neuroexplain.errors import ExchangeError

GZIP_LEVEL = 5


def line(value: Any) -> bytes:
    """A value as a line of JSON; NaN is a bug and raises ValueError."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


class Growing:
    """A file that grows under another name, gzipped where its name ends in `.gz`, until `finish` gives it its own.

    The same content gives the same bytes: the gzip header has neither time nor name.

    Args:
        path: of the whole file; its folder is made.

    Raises:
        ExchangeError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb")
        except OSError as error:
            raise self._failed(error) from error
        self._zipped = (
            gzip.GzipFile("", "wb", GZIP_LEVEL, self._file, mtime=0)
            if path.suffix == ".gz"
            else None
        )

    def write(self, data: bytes) -> None:
        """Add some bytes."""
        try:
            (self._zipped or self._file).write(data)
        except OSError as error:
            raise self._failed(error) from error

    def finish(self) -> None:
        """The file is whole."""
        try:
            if self._zipped is not None:
                self._zipped.close()
            self._file.close()
            self._partial.replace(self.path)
        except OSError as error:
            self.drop()
            raise self._failed(error) from error

    def drop(self) -> None:
        """The file will never be whole."""
        for file in filter(None, (self._zipped, self._file)):
            with suppress(
                OSError
            ):  # on a full disk nothing more can be written: it goes all the same
                file.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Growing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.drop()

    def _failed(self, error: OSError) -> ExchangeError:
        return ExchangeError(f"{self.path}: cannot be written: {error.strerror}")


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Write a JSONL file.

    Raises:
        ExchangeError: it cannot be written.
    """
    with Growing(path) as file:
        for value in values:
            file.write(line(value))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        ExchangeError: it cannot be written.
    """
    with Growing(path) as file:
        file.write(content)


def write_or_remove(path: Path, content: bytes | None) -> None:
    """Write a file; with no content, one that an earlier export wrote goes.

    Raises:
        ExchangeError: it cannot be written, or removed.
    """
    if content is not None:
        write_bytes(path, content)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be removed: {error.strerror}") from error
