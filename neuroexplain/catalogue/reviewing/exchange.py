"""Reviews written to a file of lines, and read from one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

from neuroexplain.catalogue.reviewing import lines
from neuroexplain.catalogue.reviewing.lines import Record
from neuroexplain.errors import ExchangeError, NeuroexplainError

LONGEST = 2**26
"""Bytes of a line: a queue of a hundred thousand items has some 20 MB."""


def written(given: Iterable[Record]) -> Iterator[str]:
    """Records as lines, the header first; each ends with a line break."""
    yield f"{lines.header()}\n"
    for record in given:
        yield f"{lines.written(record)}\n"


def read(file: IO[bytes], name: str) -> Iterator[tuple[str, Record]]:
    """Records with the lines that they stand on.

    Args:
        file: open for reading.
        name: of it, for messages.

    Raises:
        ExchangeError: a line is none of this format; the message has its number and what is wrong.
    """
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        place = f"{name}, line {number}"
        if len(line) > LONGEST:
            raise ExchangeError(f"{place}: longer than {LONGEST // 2**20} MB")
        try:
            said = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if number == 1:
                lines.check_header(said)
            elif said:
                yield place, lines.read(said)
        except UnicodeDecodeError as error:
            raise ExchangeError(f"{place}: no UTF-8 at byte {error.start}") from error
        except NeuroexplainError as error:
            raise ExchangeError(f"{place}: {error}") from error
    if not number:
        raise ExchangeError(f"{name}: empty; a file of reviews begins with a line that says so")
