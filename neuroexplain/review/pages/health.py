"""How the server and its files fare."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.review.desk import AtDesk
from neuroexplain.review.rendering import page
from neuroexplain.review.views.health import health_of

router = APIRouter()


@router.get("/health")
def health(request: Request, desk: AtDesk) -> HTMLResponse:
    """Files, runs, models, jobs and the times of requests."""
    return page(request, "health.html.jinja", health=health_of(desk))
