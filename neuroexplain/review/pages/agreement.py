"""What reviews say, and how far reviewers agree."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.appraising.agreeing import agreement_of
from neuroexplain.appraising.answers import ANSWERS, read
from neuroexplain.appraising.appraisal import appraisal_of
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.rendering import page
from neuroexplain.review.views.appraised import concealed, diagram, is_under_way, whisker, whole

router = APIRouter()
SHOWN = 8
"""Explanations to be settled that are seen at once."""
MOST = 200
"""That are on the page."""


@router.get("/agreement")
def agreement_page(
    request: Request, desk: AtDesk, reviewer: By, queue: str = "", reveal: bool = False
) -> HTMLResponse:
    """Shares correct, agreement, what scores are worth and which method wins: of a queue, or of everything."""
    chosen = queue or None
    answers = read(desk.reviews, chosen)
    found = appraisal_of(desk.catalogue, desk.reviews, answers)
    under_way = not reveal and is_under_way(desk, chosen, reviewer)
    return page(
        request,
        "agreement.html.jinja",
        queues=desk.reviews.queues(),
        chosen=chosen,
        found=whole(found) if under_way else found,
        under_way=under_way,
        agreed=concealed(desk, agreement_of(desk.reviews, answers), reviewer),
        diagrams=[diagram(c) for c in found.calibrations],
        whisker=whisker,
        answers=ANSWERS,
        shown=SHOWN,
        most=MOST,
    )
