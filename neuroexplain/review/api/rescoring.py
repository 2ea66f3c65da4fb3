"""Edited explanations scored, texts run through the subject, and predictions of people scored."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException

from neuroexplain.review.desk import AtDesk
from neuroexplain.review.jobs import JobError

router = APIRouter(tags=["rescoring"])


@router.get("/jobs/{uuid}")
def job(uuid: str, desk: AtDesk) -> dict[str, Any]:
    """A job as it stands: its state, what it does now, and its result or the reason why it failed."""
    try:
        return asdict(desk.jobs.find(uuid))
    except JobError as error:
        raise HTTPException(404, str(error)) from error
