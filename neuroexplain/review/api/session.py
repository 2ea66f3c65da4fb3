"""Who is reviewing, and where."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, StringConstraints

from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.security import Session

router = APIRouter(tags=["session"])
Name = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=80, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]


class SessionOut(BaseModel):
    """Who is reviewing, and where."""

    reviewer: str
    read_only: bool
    catalogue: str
    reviews: str
    version: str


class SessionIn(BaseModel):
    """Who wants to review."""

    reviewer: Name


@router.get("/session")
def read_session(desk: AtDesk, reviewer: By) -> SessionOut:
    """Who is reviewing, and where."""
    return SessionOut(
        reviewer=reviewer,
        read_only=desk.read_only,
        catalogue=desk.catalogue.path.name,
        reviews=desk.reviews.path.name,
        version=desk.version,
    )


@router.put("/session")
def change_session(
    wanted: SessionIn, request: Request, response: Response, desk: AtDesk
) -> SessionOut:
    """Review under another name in this browser."""
    sessions = request.app.state.sessions
    response.headers["Set-Cookie"] = sessions.header(Session(wanted.reviewer))
    return read_session(desk, wanted.reviewer)
