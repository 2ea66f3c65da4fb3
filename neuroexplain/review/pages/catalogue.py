"""Search in the catalogue."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from neuroexplain.catalogue import SearchResult
from neuroexplain.catalogue.language import query as language
from neuroexplain.catalogue.language.fields import HELP
from neuroexplain.catalogue.language.grammar import pointer
from neuroexplain.errors import CatalogueError, QueryError
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.narrowing import page_of, parsed
from neuroexplain.review.pages.neuron import link
from neuroexplain.review.rendering import page
from neuroexplain.review.sparing import spared_find
from neuroexplain.review.views import results

router = APIRouter()
ROWS = 50
"""On a page."""
MOST_ROWS = 200
"""On a page of a query with a limit of its own."""
FACET_SECONDS = 0.01
"""For counts and facets; what takes longer is counted by a second request."""
COUNT_SECONDS = 10.0
"""For that one, which keeps nobody from reading the rows."""
MostText = Annotated[str, Query(max_length=100_000)]


@router.get("/catalogue")
def catalogue(
    request: Request,
    desk: AtDesk,
    reviewer: By,
    q: MostText = "",
    after: MostText | None = None,
    part: Literal["facets"] | None = None,
) -> HTMLResponse:
    """The explanations that a query finds, a page at a time, with what they have in common."""
    began = perf_counter()
    shown: dict[str, Any] = {
        "q": q,
        "help": HELP,
        "after": after,
        "saved": [(s, page_of(s.query)) for s in desk.reviews.saved_queries()],
    }
    try:
        query = parsed(q)
        limit = min(query.limit or ROWS, MOST_ROWS)
        found = spared_find(desk, reviewer)(q, limit=limit, after=after)
    except (QueryError, CatalogueError) as error:
        column = error.column if isinstance(error, QueryError) else None
        pointed = () if column is None else pointer(q, column).splitlines()
        shown |= {"error": str(error), "pointed": pointed}
        return page(request, "catalogue.html.jinja", 400, **shown)
    counted = desk.finder.facets(q, seconds=COUNT_SECONDS if part else FACET_SECONDS)
    shown |= _found(query, q, found) | results.shown_facets(query, counted)
    return page(
        request,
        "catalogue.html.jinja",
        **shown,
        error=None,
        rows=_rows(desk, found),
        total=None if counted is None else counted.total,
        seconds=perf_counter() - began,
    )


def _found(query: language.Query, q: str, found: SearchResult) -> dict[str, Any]:
    return {
        "found": found,
        "link": link,
        "heads": results.heads(query, found.ranked_by),
        "first": page_of(q),
        "next": None if found.next is None else page_of(q, after=found.next),
        "facets_at": page_of(q, part="facets"),
        "files": {e: f"/api/v1/search.{e}?{urlencode({'q': q})}" for e in ("csv", "jsonl")},
    }


def _rows(desk: Desk, found: SearchResult) -> list[results.Row]:
    neurons = sorted({NeuronId.parse(row.neuron) for row in found.rows})
    judgements = desk.reviews.judgements(neurons=neurons)
    return results.rows(found.rows, judgements)
