"""Readers of corpus files: plain text, JSON lines and Parquet; each yields (value, source).

A value is a text, or whatever else the record holds in its field. None of them holds a whole file.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from neuroexplain.errors import CorpusError

Records = Iterator[tuple[object, str]]
LONGEST = 2**27
"""Bytes of the longest document of a file, so that one without blank lines does not fill the memory."""
MESSAGES = "messages"
"""Field that is read where there is no field `text`: the usual one for conversations."""
_ROWS = 256


def text(path: Path, _field: str) -> Records:
    """Documents of a text file: blocks between blank lines. Source is `FILE:LINE` of the first line."""
    block: list[str] = []
    begin = size = 0
    for number, line in _lines(path):
        if line.strip():
            begin, size = (begin, size + len(line)) if block else (number, len(line))
            block.append(line)
            if size > LONGEST:
                raise _too_long(f"{path}:{begin}")
        elif block:
            yield "\n".join(block), f"{path}:{begin}"
            block = []
    if block:
        yield "\n".join(block), f"{path}:{begin}"


def jsonl(path: Path, field: str) -> Records:
    """Documents of a file with one JSON object a line; blank lines are skipped. Source is `FILE:LINE`."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(
                f"{where}: bad JSON, {error.msg} at column {error.colno}; write one JSON object a line"
            ) from None
        except (ValueError, RecursionError) as error:
            raise CorpusError(
                f"{where}: JSON that cannot be read ({one_line(error)}); correct or delete the line"
            ) from None
        if not isinstance(record, dict):
            raise CorpusError(
                f"{where}: a JSON {type(record).__name__}, not an object; write one object a line"
            )
        yield record[present_field(record, field, where)], where


def parquet(path: Path, field: str) -> Records:
    """Documents of a Parquet file, read by row group. Source is `FILE:ROW`, from 1."""
    try:
        import pyarrow
        from pyarrow import parquet as reader
    except ImportError:
        raise missing_package("pyarrow", "parquet", str(path)) from None
    try:
        with reader.ParquetFile(path) as file:
            name = present_field(file.schema_arrow.names, field, str(path))
            row = 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=[name]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    yield value, f"{path}:{row}"
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as Parquet ({one_line(error)})") from None


READERS: dict[str, Callable[[Path, str], Records]] = {
    ".txt": text,
    ".txt.gz": text,
    ".jsonl": jsonl,
    ".jsonl.gz": jsonl,
    ".parquet": parquet,
}


def reader_of(path: Path) -> Callable[[Path, str], Records] | None:
    """The reader for a file's name, or None where the name ends in none of the known ways."""
    name = path.name.lower()
    return next((reader for end, reader in READERS.items() if name.endswith(end)), None)


def present_field(fields: Iterable[str], field: str, where: str) -> str:
    """The wanted field, or `messages` where there is no field `text`.

    Raises:
        CorpusError: a record has neither; the message lists the fields that it has.
    """
    names = list(fields)
    if field in names:
        return field
    if field == "text" and MESSAGES in names:
        return MESSAGES
    raise CorpusError(
        f'{where}: no field "{field}"; fields present: {", ".join(names) or "none"}; choose one with --text-field'
    )


def missing_package(package: str, extra: str, what: str) -> CorpusError:
    """The error for a form of corpus whose optional package is not installed."""
    return CorpusError(
        f"{what}: needs the package {package}; install it with pip install 'neuroexplain[{extra}]'"
    )


def one_line(error: BaseException) -> str:
    """First line of an error's message, or its class where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends, from 1.

    Raises:
        CorpusError: the file cannot be read, is not UTF-8 (the message names the byte), or has an endless line.
    """
    begin = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(iter(partial(file.readline, LONGEST + 1), b""), 1):
                if len(raw) > LONGEST:
                    raise _too_long(f"{path}:{number}")
                yield number, _decoded(raw, begin, number, path).rstrip("\r\n")
                begin += len(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path}: cannot be read ({one_line(error)})") from None


def _decoded(raw: bytes, begin: int, number: int, path: Path) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        unpacked = " of the unpacked text" if path.suffix.lower() == ".gz" else ""
        raise CorpusError(
            f"{path}: byte {begin + error.start}{unpacked} (line {number}) is not UTF-8; save the file as UTF-8"
        ) from None
    return text.removeprefix("\ufeff") if number == 1 else text


def _too_long(where: str) -> CorpusError:
    return CorpusError(
        f"{where}: a document of more than {LONGEST >> 20} MiB; part documents with blank lines (.txt) or write one a "
        "line (.jsonl)"
    )
