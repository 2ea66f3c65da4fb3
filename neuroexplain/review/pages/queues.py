"""Queues, and one item of a queue after the other."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from neuroexplain.review.api.queues import form_choices
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.items import item_at, item_view
from neuroexplain.review.rendering import page
from neuroexplain.review.verdicts import CHOICES, CONFIDENCES

router = APIRouter()
Position = Annotated[int, Query(ge=-1, lt=2**31)]
Place = Annotated[int, Path(ge=0, lt=2**31)]
AHEAD = 3
"""Items that a page fetches before they are wanted."""


@router.get("/queues")
def queues(request: Request, desk: AtDesk, reviewer: By) -> HTMLResponse:
    """All queues, with how far this reviewer is."""
    reviews = desk.reviews
    rows = [
        (queue, reviews.progress(queue, reviewer), reviews.reviewers(queue))
        for queue in reviews.queues()
    ]
    return page(request, "queues.html.jinja", rows=rows, choices=form_choices(desk))


@router.get("/queues/{uuid}")
def queue(
    request: Request, uuid: str, desk: AtDesk, reviewer: By, at: Position | None = None
) -> HTMLResponse:
    """The item that a reviewer is to decide next, or the one at a place."""
    found = desk.reviews.queue(uuid)
    items = desk.reviews.coming(found, reviewer, limit=1)  # whoever looks at one has begun
    if at is not None:
        items = [item_at(desk, found, at)]
    return page(
        request,
        "queue.html.jinja",
        queue=found,
        progress=desk.reviews.progress(found, reviewer),
        view=item_view(desk, found, items[0], reviewer) if items else None,
        choices=CHOICES[found.mode],
        confidences=CONFIDENCES,
    )


@router.get("/queues/{uuid}/items/{position}")
def item(request: Request, uuid: str, position: Place, desk: AtDesk, reviewer: By) -> HTMLResponse:
    """One item by itself, for the page to take in."""
    found = desk.reviews.queue(uuid)
    desk.reviews.coming(found, reviewer, limit=1)
    views = [item_view(desk, found, item_at(desk, found, position), reviewer)]
    return page(request, "items.html.jinja", views=views)


@router.get("/queues/{uuid}/coming")
def coming(
    request: Request, uuid: str, desk: AtDesk, reviewer: By, after: Position = -1
) -> HTMLResponse:
    """The items behind a place that a reviewer has not decided, for the page to have ready."""
    found = desk.reviews.queue(uuid)
    items = desk.reviews.coming(found, reviewer, limit=AHEAD, after=after)
    views = [item_view(desk, found, each, reviewer) for each in items]
    return page(request, "items.html.jinja", views=views)
