"""Two methods or runs on the same neurons."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.errors import NeuroexplainError
from neuroexplain.review.api.comparison import After, Measure, Side
from neuroexplain.review.comparing import SECONDS, Comparison, compare
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.pages.neuron import link
from neuroexplain.review.rendering import page
from neuroexplain.review.sparing import spared_pairs
from neuroexplain.review.views.scatters import SIDE, scatter

router = APIRouter()


@router.get("/compare")
def compare_page(
    request: Request,
    desk: AtDesk,
    reviewer: By,
    first: Side = "",
    second: Side = "",
    measure: Measure = "correlation",
    sort: str = "first",
    after: After = None,
) -> HTMLResponse:
    """Numbers, a plot, and the neurons by their difference; the first two methods where none are chosen."""
    sides = desk.catalogue.sides(seconds=SECONDS)
    shown: dict[str, Any] = {
        "sides": sides,
        "measures": desk.catalogue.measures(),
        "first": first or next(iter(sides), ""),
        "second": second or next(iter(sides[1:]), ""),
        "measure": measure,
        "sort": sort,
        "after": after,
    }
    if len(sides) < 2:
        return page(request, "compare.html.jinja", **shown, error=None, found=None)
    try:
        found = compare(
            desk.catalogue,
            desk.reviews,
            shown["first"],
            shown["second"],
            measure,
            sort=sort,
            after=after,
        )
    except NeuroexplainError as error:
        return page(request, "compare.html.jinja", 400, **shown, error=str(error), found=None)
    found, left_out = spared_pairs(desk, found, reviewer)
    shown |= _found(desk, found, shown)
    return page(request, "compare.html.jinja", **shown, error=None, left_out=left_out)


def _found(desk: Desk, found: Comparison, shown: dict[str, Any]) -> dict[str, Any]:
    methods = {str(method) for method in desk.catalogue.methods()}
    kept = {name: shown[name] for name in ("first", "second", "measure", "sort")}
    return {
        "found": found,
        "plot": scatter(found.beside.first_score, found.beside.second_score),
        "side": SIDE,
        "links": [link(pair.first.neuron) for pair in found.pairs],
        "makes_queue": not desk.read_only and {found.first, found.second} <= methods,
        "next": None
        if found.next is None
        else f"/compare?{urlencode(kept | {'after': found.next})}",
        "turned": f"/compare?{urlencode(kept | {'sort': 'second' if shown['sort'] == 'first' else 'first'})}",
    }
