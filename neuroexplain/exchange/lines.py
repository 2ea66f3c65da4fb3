"""JSON from files that may be anything: a line at a time, of bounded length, gzipped or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange.fields import Fields, Where

MAX_LINE = 64_000_000
"""Bytes of a line, or of a file that is one value. A longer one is refused before it is in memory."""


def objects(path: Path, name: str, *, limit: int = MAX_LINE) -> Iterator[Fields]:
    """The objects of a JSONL file, plain or with ending `.gz`.

    Args:
        path: of the file.
        name: what messages call it.
        limit: bytes of a line at most.

    Raises:
        ExchangeError: it cannot be read, holds no line, is cut off, or a line is too long or no JSON object.
    """
    number = 0
    for number, line in enumerate(raw_lines(path, name, limit), 1):
        if line.strip():
            where = Where(name, number)
            yield parsed(line, where)
    if number == 0:
        raise ExchangeError(f"{name}: is empty; wanted a JSON object a line")


def document(path: Path, name: str, *, limit: int = MAX_LINE) -> Fields:
    """The object that a JSON file is.

    Raises:
        ExchangeError: as `objects`.
    """
    with _opened(path, name) as file:
        fits = path.stat().st_size <= limit
        data = _read(file, name, limit) if fits else b""
    if not fits or len(data) > limit:
        raise ExchangeError(f"{name}: is longer than {limit:,} bytes")
    if not data.strip():
        raise ExchangeError(f"{name}: is empty; wanted a JSON object")
    where = Where(name)
    return parsed(data, where)


def raw_lines(path: Path, name: str, limit: int) -> Iterator[bytes]:
    """The lines of a file, plain or with ending `.gz`, as they stand.

    Raises:
        ExchangeError: it cannot be read, is cut off, or a line is too long.
    """
    with _opened(path, name) as file:
        number = 0
        while line := _read(file, name, limit, number + 1):
            number += 1
            if len(line) > limit:
                raise ExchangeError(f"{name}, line {number}: is longer than {limit:,} bytes")
            yield line


def parsed(data: bytes, where: Where) -> Fields:
    """The object that some JSON is.

    Raises:
        ExchangeError: it is no JSON, or no object.
    """
    return Fields(_value(data, where), where)


def _opened(path: Path, name: str) -> gzip.GzipFile | BufferedReader:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise ExchangeError(f"{name}: cannot be read: {error.strerror}") from error


def _read(
    file: gzip.GzipFile | BufferedReader, name: str, limit: int, line: int | None = None
) -> bytes:
    """A line, or all where no line is given, but no more than a byte above the limit."""
    place = name if line is None else f"{name}, line {line}"
    try:
        return file.read(limit + 1) if line is None else file.readline(limit + 1)
    except EOFError as error:
        raise ExchangeError(f"{place}: the gzip file is cut off here; copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ExchangeError(f"{place}: is no gzip file, or a damaged one") from error
    except OSError as error:
        raise ExchangeError(f"{place}: cannot be read: {error.strerror}") from error


def _value(data: bytes, where: Where) -> Any:
    place = where.file if where.line is None else f"{where.file}, line {where.line}"
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ExchangeError(f"{place}: is no UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        at = error.pos + 1 if where.line is not None else f"{error.pos + 1} (line {error.lineno})"
        raise ExchangeError(f"{place}: is no JSON: {error.msg} at character {at}") from error
    except ValueError as error:  # a number of thousands of digits
        raise ExchangeError(f"{place}: is no JSON that can be read: {error}") from error
    except RecursionError as error:
        raise ExchangeError(f"{place}: is nested too deeply") from error
