"""What the catalogue holds, and how the server fares."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from neuroexplain.catalogue.searching.holdings import Holdings
from neuroexplain.review.desk import QUERY_SECONDS, AtDesk, By
from neuroexplain.review.pages.overview import COUNT_SECONDS, holdings_of
from neuroexplain.review.views import overview as view
from neuroexplain.review.views.health import Health, health_of
from neuroexplain.review.views.overview import Spent

router = APIRouter(tags=["overview"])


class QueueOut(BaseModel):
    """How far a queue is."""

    uuid: str
    name: str
    mode: str
    n_items: int
    done: int
    """By whoever asks, as are the next two."""
    skipped: int
    left: int
    reviewers: dict[str, int]
    """Decisions by reviewer."""


class Overview(BaseModel):
    """What there is."""

    holdings: Holdings | None
    """None where counting took longer than a query may; ask with `wait`."""
    runs: list[dict[str, Any]]
    """As `neuroexplain runs --json` has them, the newest first."""
    spent: list[Spent]
    """Over all runs."""
    queues: list[QueueOut]
    decisions: dict[str, int]
    """By reviewer."""


@router.get("/overview")
def overview(desk: AtDesk, reviewer: By, wait: bool = False) -> Overview:
    """Holdings of the catalogue, runs and their cost, and how far reviewing is."""
    runs = desk.catalogue.runs()
    return Overview(
        holdings=holdings_of(desk, COUNT_SECONDS if wait else QUERY_SECONDS),
        runs=runs[: view.RUNS],
        spent=view.spent(runs),
        queues=[_queue(each) for each in view.progress(desk, reviewer)],
        decisions=dict(desk.reviews.decisions()),
    )


def _queue(each: view.QueueProgress) -> QueueOut:
    return QueueOut(
        uuid=each.queue.uuid,
        name=each.queue.name,
        mode=each.queue.mode,
        n_items=each.queue.n_items,
        done=each.mine.done,
        skipped=each.mine.skipped,
        left=each.mine.left,
        reviewers=each.reviewers,
    )


@router.get("/health")
def health(desk: AtDesk) -> Health:
    """How the server and its files fare."""
    return health_of(desk)
