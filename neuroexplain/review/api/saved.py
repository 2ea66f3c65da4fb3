"""Queries kept under a name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, StringConstraints

from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.language.query import MAX_LENGTH
from neuroexplain.review.api.events import check_writable, now
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.reviewed import SavedQuery

router = APIRouter(tags=["queries"])
MOST = 1_000
"""Queries that are kept."""
Name = Annotated[
    str, Path(min_length=1, max_length=80, pattern=r"^[^\x00-\x20\x7f](.*[^\x00-\x20\x7f])?$")
]


class QueryIn(BaseModel):
    """What is to be kept."""

    query: Annotated[str, StringConstraints(max_length=MAX_LENGTH)]


class QueryOut(BaseModel):
    """A query under its name."""

    name: str
    query: str
    made_by: str
    made_at: str

    @classmethod
    def of(cls, saved: SavedQuery) -> QueryOut:
        """As it is shown."""
        return cls(**vars(saved))


@router.get("/queries")
def saved_queries(desk: AtDesk) -> list[QueryOut]:
    """All of them, by name."""
    return [QueryOut.of(saved) for saved in desk.reviews.saved_queries()]


@router.put("/queries/{name:path}")
def save_query(name: Name, given: QueryIn, desk: AtDesk, reviewer: By) -> QueryOut:
    """Keep a query, in place of what had its name. A query that cannot be understood is refused."""
    check_writable(desk)
    grammar.parse(given.query)
    known = {saved.name for saved in desk.reviews.saved_queries()}
    if name not in known and len(known) >= MOST:
        raise HTTPException(409, f"{MOST:,} queries are kept already; remove one")
    saved = SavedQuery(name, given.query, reviewer, now())
    desk.reviews.save_query(saved)
    return QueryOut.of(saved)


@router.delete("/queries/{name:path}", status_code=204)
def forget_query(name: Name, desk: AtDesk) -> None:
    """Remove a query."""
    check_writable(desk)
    if not desk.reviews.forget_query(name):
        raise HTTPException(404, "no query of this name is kept")
