"""Results of a search as files, written while they are read: the whole is never in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from typing import Any

from neuroexplain.catalogue import SearchResult, SearchRow
from neuroexplain.catalogue.language import grammar
from neuroexplain.errors import CatalogueError

MOST = 100_000
"""Rows of a file."""
PAGE = 1_000
"""Rows that are read at once, each within the time limit of a query."""
COLUMNS = tuple(field.name for field in fields(SearchRow))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Find = Callable[..., SearchResult]


def pages(find: Find, query: str, *, most: int = MOST) -> Iterator[SearchResult]:
    """The result of a query in order, up to `most` rows or to the limit that the query has.

    What is missing is said by `cut` of the last page. The first page is read when it is asked for, so that what is wrong
    with the query is known before anything was sent.
    """
    own = grammar.parse(query).limit
    left, after, cut = min(own or most, most), None, None
    while True:
        found = find(query, limit=min(PAGE, left), after=after)
        left -= len(found.rows)
        after = found.next
        cut = cut or found.cut
        yield replace(found, cut=cut if after is None else None)
        if after is None:
            return
        if left < 1:
            break
    if own is None or own > most:
        cut = f"the first {most:,}" + (f"; {cut}" if cut else "")
    if cut:
        yield SearchResult((), truncated=True, cut=cut)


def as_csv(found: Iterator[SearchResult]) -> Iterator[str]:
    """Lines of CSV under a head; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Where rows are missing, the last line begins with # and says why.
    """
    yield _lines([COLUMNS])
    for page in _unbroken(found):
        yield _lines([[_cell(value) for value in vars(row).values()] for row in page.rows])
        if page.cut:
            yield f"# not all: {page.cut}\r\n"


def as_jsonl(found: Iterator[SearchResult]) -> Iterator[str]:
    """A JSON object a row; where rows are missing, the last line is one with the key `cut` alone."""
    for page in _unbroken(found):
        yield "".join(_json(asdict(row)) for row in page.rows)
        if page.cut:
            yield _json({"cut": page.cut})


def _unbroken(found: Iterator[SearchResult]) -> Iterator[SearchResult]:
    """Pages; what goes wrong between two of them comes as a last one, for the answer has begun by then."""
    try:
        yield from found
    except CatalogueError as error:
        yield SearchResult((), truncated=True, cut=str(error))


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _lines(rows: list[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
