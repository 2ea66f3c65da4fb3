"""What reviews say: shares, calibration, agreement."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from fastapi import APIRouter
from pydantic import ConfigDict

from neuroexplain.appraising import Agreement, Appraisal, agreement, appraise
from neuroexplain.review.api.events import Uuid
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.views.appraised import concealed, is_under_way, whole

router = APIRouter(tags=["appraisal"])


def _document(kind: Any) -> None:
    """Have the interface's document say of each field of a record, and of records in it, what the code says."""
    if isinstance(kind, type) and is_dataclass(kind):
        setattr(kind, "__pydantic_config__", ConfigDict(use_attribute_docstrings=True))  # noqa: B010
        for field in get_type_hints(kind).values():
            _document(field)
    for part in get_args(kind):
        _document(part)


for record in (Appraisal, Agreement):
    _document(record)


@router.get("/appraisal")
def read_appraisal(desk: AtDesk, reviewer: By, queue: Uuid | None = None) -> Appraisal:
    """Shares correct, calibration of every score, win rates, time per decision and people as simulators.

    Of one queue, or of everything that was judged. A number that is undefined is null, with the reason beside it. Of a
    blind queue that the asker has not finished there are no parts by method, layer and score.
    """
    found = appraise(desk.catalogue, desk.reviews, queue)
    return whole(found) if is_under_way(desk, queue, reviewer) else found


@router.get("/agreement")
def read_agreement(desk: AtDesk, reviewer: By, queue: Uuid | None = None) -> Agreement:
    """How far reviewers agree, in one queue or in all that they judged, and what is left to settle.

    What others said of an explanation that lies before the asker in a blind queue is left out.
    """
    return concealed(desk, agreement(desk.reviews, queue), reviewer)
