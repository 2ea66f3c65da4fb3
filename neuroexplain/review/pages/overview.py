"""The first page: what the catalogue holds, and what there is to review."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.catalogue.searching.holdings import Holdings
from neuroexplain.errors import CatalogueError
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.pages.neuron import link
from neuroexplain.review.rendering import page
from neuroexplain.review.views import overview as view

router = APIRouter()
SECONDS = 0.02
"""To count everything; what takes longer is counted by a second request."""
COUNT_SECONDS = 30.0
"""For that one, which keeps nobody from reading the rest."""


@router.get("/")
def overview(
    request: Request, desk: AtDesk, reviewer: By, part: Literal["holdings"] | None = None
) -> HTMLResponse:
    """Holdings by subject, layer and method, runs and their cost, queues and the last decisions."""
    holdings = holdings_of(desk, COUNT_SECONDS if part else SECONDS)
    runs = desk.catalogue.runs()
    return page(
        request,
        "overview.html.jinja",
        holdings=holdings,
        layers=[] if holdings is None else view.layer_rows(holdings),
        methods=[] if holdings is None else view.method_cards(holdings),
        runs=runs[: view.RUNS],
        n_runs=len(runs),
        spent=view.spent(runs),
        queues=view.progress(desk, reviewer),
        decisions=desk.reviews.decisions(),
        recent=view.decisions(desk),
        link=link,
    )


def holdings_of(desk: Desk, seconds: float) -> Holdings | None:
    """What the catalogue holds; None where the time was up."""
    try:
        return desk.catalogue.holdings(seconds=seconds)
    except CatalogueError:
        return None
