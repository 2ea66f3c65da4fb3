"""Searches, and their results as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from neuroexplain.catalogue import SearchResult
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.downloads import MOST, as_csv, as_jsonl, pages
from neuroexplain.review.sparing import spared_find

router = APIRouter(tags=["search"])
MOST_ROWS = 1_000
"""Of a page."""
Text = Annotated[str, Query(max_length=100_000, description="In the language of `search`")]
Place = Annotated[str | None, Query(max_length=1_000, description="`next` of the page before")]
FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": f"At most {MOST:,} rows; the last line says where some are missing."}
}
Written = Callable[[Iterator[SearchResult]], Iterator[str]]


@router.get("/search")
def search(
    desk: AtDesk,
    reviewer: By,
    q: Text = "",
    after: Place = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
    facets: bool = False,
) -> SearchResult:
    """Explanations that a query finds, a page at a time; with `facets`, also what all of them have in common.

    `cut` says what may be missing, because the time was up or because it waits for the reviewer in a blind queue.
    """
    found = spared_find(desk, reviewer)(q, limit=limit, after=after, count=True)
    if not facets:
        return found
    counted = desk.finder.facets(q)
    late = None if counted else "facets take longer to count than a query may"
    return replace(found, facets=counted, cut=found.cut or late)


@router.get("/search.csv", response_class=StreamingResponse, responses=FILES)
def search_csv(desk: AtDesk, reviewer: By, q: Text = "") -> StreamingResponse:
    """The result as CSV. Texts that a spreadsheet would take for a formula begin with an apostrophe."""
    return _file(desk, reviewer, q, as_csv, "csv", "text/csv")


@router.get("/search.jsonl", response_class=StreamingResponse, responses=FILES)
def search_jsonl(desk: AtDesk, reviewer: By, q: Text = "") -> StreamingResponse:
    """The result as JSON Lines."""
    return _file(desk, reviewer, q, as_jsonl, "jsonl", "application/jsonl")


def _file(
    desk: Desk, reviewer: str, q: str, written: Written, ending: str, kind: str
) -> StreamingResponse:
    found = pages(spared_find(desk, reviewer), q)
    first = next(found)  # what is wrong with the query is an error, not a file
    headers = {
        "Content-Disposition": f'attachment; filename="search.{ending}"',
        "X-Row-Limit": str(MOST),
    }
    body = written(chain([first], found))
    return StreamingResponse(body, media_type=f"{kind}; charset=utf-8", headers=headers)
