"""Readers of corpus files: plain text, JSON lines and Parquet; each yields (text, source) and never holds a whole file."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from neuroexplain.errors import CorpusError

Texts = Iterator[tuple[str, str]]
_ROWS = 1024


def text(path: Path, _field: str) -> Texts:
    """Documents of a text file: blocks between blank lines. Source is `FILE:LINE` of the first line."""
    block: list[str] = []
    begin = 0
    for number, line in _lines(path):
        if line.strip():
            begin = begin if block else number
            block.append(line)
        elif block:
            yield "\n".join(block), f"{path}:{begin}"
            block = []
    if block:
        yield "\n".join(block), f"{path}:{begin}"


def jsonl(path: Path, field: str) -> Texts:
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
        if not isinstance(record, dict):
            raise CorpusError(
                f"{where}: a JSON {type(record).__name__}, not an object; write one object a line"
            )
        check_field(record, field, where)
        yield as_text(record[field], field, where), where


def parquet(path: Path, field: str) -> Texts:
    """Documents of a Parquet file, read by row group. Source is `FILE:ROW`, from 1."""
    try:
        import pyarrow
        from pyarrow import parquet as reader
    except ImportError:
        raise missing_package("pyarrow", "parquet", str(path)) from None
    try:
        with reader.ParquetFile(path) as file:
            check_field(file.schema_arrow.names, field, str(path))
            row = 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=[field]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    where = f"{path}:{row}"
                    yield as_text(value, field, where), where
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as Parquet ({one_line(error)})") from None


READERS: dict[str, Callable[[Path, str], Texts]] = {
    ".txt": text,
    ".txt.gz": text,
    ".jsonl": jsonl,
    ".jsonl.gz": jsonl,
    ".parquet": parquet,
}


def reader_of(path: Path) -> Callable[[Path, str], Texts] | None:
    """The reader for a file's name, or None where the name ends in none of the known ways."""
    name = path.name.lower()
    return next((reader for end, reader in READERS.items() if name.endswith(end)), None)


def check_field(fields: Iterable[str], field: str, where: str) -> None:
    """Check that a record has the wanted field.

    Raises:
        CorpusError: it has not; the message lists those that it has.
    """
    names = list(fields)
    if field not in names:
        raise CorpusError(
            f'{where}: no field "{field}"; fields present: {", ".join(names) or "none"}; '
            "choose one with --text-field"
        )


def as_text(value: object, field: str, where: str) -> str:
    """A field's value, which must be text.

    Raises:
        CorpusError: it is something else.
    """
    if isinstance(value, str):
        return value
    kind = "empty" if value is None else f"of type {type(value).__name__}"
    raise CorpusError(
        f'{where}: field "{field}" is {kind}, not text; choose a text field with --text-field'
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
        CorpusError: the file cannot be read, or is not UTF-8; the message names the byte.
    """
    offset = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, line.rstrip("\r\n")
                offset += len(raw)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: byte {offset + error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path}: cannot be read ({one_line(error)})") from None
