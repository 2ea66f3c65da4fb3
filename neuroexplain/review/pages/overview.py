"""The first page: what the catalogue holds."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.review.rendering import page

router = APIRouter()


@router.get("/")
def overview(request: Request) -> HTMLResponse:
    """What the catalogue holds."""
    return page(request, "overview.html.jinja")
