"""The first page: what the catalogue holds, and what there is to review."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.review.desk import QUERY_SECONDS, AtDesk, By
from neuroexplain.review.rendering import page

router = APIRouter()
RUNS = 10
"""Shown, the newest ones."""


@router.get("/")
def overview(request: Request, desk: AtDesk, reviewer: By) -> HTMLResponse:
    """Runs, explanations by layer and score, and the queues of this reviewer."""
    found = desk.catalogue.search("", limit=1, count=True, facets=True, seconds=QUERY_SECONDS)
    reviews = desk.reviews
    return page(
        request,
        "overview.html.jinja",
        found=found,
        runs=desk.catalogue.runs()[:RUNS],
        queues=[(queue, reviews.progress(queue, reviewer)) for queue in reviews.queues()],
        decisions=reviews.decisions(),
    )
