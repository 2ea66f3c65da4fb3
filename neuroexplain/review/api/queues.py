"""Queues: made as a plan says, and how far they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from neuroexplain.catalogue import Reviews
from neuroexplain.errors import AbsentError, ConfigError
from neuroexplain.queueing import Plan, plan
from neuroexplain.queueing.plans import (
    MOST,
    MOST_BINS,
    STRATA,
    Allocation,
    Between,
    Bins,
    By,
    Kind,
    Skip,
)
from neuroexplain.review.api.events import Uuid, check_writable
from neuroexplain.review.desk import AtDesk, Desk
from neuroexplain.review.desk import By as Reviewer
from neuroexplain.reviewed import Blind, Queue

router = APIRouter(tags=["queues"])
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Choice = Annotated[str, StringConstraints(max_length=300)]


class PlanIn(BaseModel):
    """How a queue is to be drawn."""

    name: Name = Field(description="What reviewers know it by.")
    kind: Kind = Field(
        "sample",
        description="`sample`: random, so that shares of the whole can be estimated; `query`: in the order of a search; "
        "`disagreement`: where numbers, methods or people differ most; `pairs`: two explanations of one neuron; "
        "`simulation`: a sample by which a person marks held-out spans; `adjudication`: what reviewers differ on.",
    )
    blind: Blind = Field("scores", description="What is hidden until an item is decided.")
    query: Annotated[str, StringConstraints(max_length=2_000)] = Field(
        "",
        description="Explanations that it is drawn from, in the language of search; all where empty.",
    )
    n: int = Field(100, ge=1, le=MOST, description="Explanations to draw; items at most.")
    seed: int = Field(
        0, ge=0, lt=2**63, description="The same seed and catalogue give the same queue."
    )
    strata: list[By] = Field(
        [], max_length=4, description="Parts of the population, each drawn from."
    )
    allocation: Allocation = Field(
        "proportional",
        description="How many from each stratum: by size, equally many, or Neyman's optimum for the share that is correct.",
    )
    bins: Bins = Field("fixed", description="Bins of scores: of equal width, or with equally many.")
    n_bins: int = Field(5, ge=2, le=MOST_BINS, description="Bins of scores.")
    shared: float = Field(
        0.0, ge=0, le=1, description="Share of the items that every reviewer is to decide."
    )
    skip: Skip = Field(
        "none", description="Leave out what the maker (own), or anybody (all), has decided already."
    )
    methods: list[Choice] = Field(
        [], max_length=20, description="Of pairs: `explainer` or `explainer, llm`; all where empty."
    )
    between: Between = Field("methods", description="Of disagreement: who differs.")
    measures: list[Choice] = Field([], max_length=2, description="Of judges that differ: two.")
    above: float = Field(0.4, ge=-1, le=1, description="Of disagreement: what a high score is.")
    uuid: Uuid | None = Field(
        None, description="Of the queue, made by the client: what is asked twice is made once."
    )
    queue: Uuid | None = Field(None, description="Of adjudication: the queue; all where missing.")

    def plan(self) -> Plan:
        """As queues are drawn by."""
        given = self.model_dump(exclude={"uuid"})
        lists = {n: tuple(given[n]) for n in ("strata", "methods", "measures")}
        return Plan(**(given | lists))


class StratumOut(BaseModel):
    """A part of the population."""

    name: str
    population: int
    sampled: int


class ProgressOut(BaseModel):
    """How far the asker is."""

    done: int
    skipped: int
    left: int
    median_seconds: float | None


class QueueOut(BaseModel):
    """A queue."""

    uuid: str
    name: str
    mode: Literal["verdict", "pairwise", "simulation", "adjudication"]
    blind: Blind
    seed: int
    n_items: int
    made_by: str
    made_at: str
    plan: dict[str, Any]
    strata: list[StratumOut]
    progress: ProgressOut

    @classmethod
    def of(cls, reviews: Reviews, queue: Queue, reviewer: str) -> QueueOut:
        """As it is shown to a reviewer."""
        given = vars(queue) | {"strata": [StratumOut(**vars(s)) for s in queue.strata]}
        progress = vars(reviews.progress(queue, reviewer))
        shown = {name: progress[name] for name in ProgressOut.model_fields}
        return cls(**given, progress=ProgressOut(**shown))


@router.post("/queues", status_code=201)
def make_queue(given: PlanIn, desk: AtDesk, reviewer: Reviewer) -> QueueOut:
    """Draw a queue and write it, with all of its items; it does not change afterwards."""
    check_writable(desk)
    wanted = given.plan()
    made = None if given.uuid is None else _made(desk, given.uuid)
    if made is None:
        queue, items = plan(
            desk.catalogue, desk.reviews, wanted, by=reviewer, find=desk.finder.find
        )
        named = replace(queue, uuid=given.uuid or queue.uuid)
        made = desk.reviews.make_queue(named, items)
    asked = {"made_by": reviewer} | wanted.to_json()
    is_so = {"made_by": made.made_by} | dict(made.plan)
    if any(is_so.get(key) != value for key, value in asked.items()):
        raise ConfigError(f"queue {made.uuid} is there already, and of another plan or reviewer")
    return QueueOut.of(desk.reviews, made, reviewer)


def _made(desk: Desk, uuid: str) -> Queue | None:
    try:
        return desk.reviews.queue(uuid)
    except AbsentError:
        return None


@router.get("/queues")
def queues(desk: AtDesk, reviewer: Reviewer) -> list[QueueOut]:
    """All queues, the newest first, with how far the asker is."""
    return [QueueOut.of(desk.reviews, queue, reviewer) for queue in desk.reviews.queues()]


@router.get("/queues/{uuid}")
def queue(uuid: Uuid, desk: AtDesk, reviewer: Reviewer) -> QueueOut:
    """One queue, with its plan and its strata."""
    return QueueOut.of(desk.reviews, desk.reviews.queue(uuid), reviewer)


def form_choices(desk: Desk) -> dict[str, Any]:
    """What the form of a new queue offers, beside what never changes."""
    return {
        "methods": [str(method) for method in desk.catalogue.methods()],
        "measures": desk.catalogue.measures(),
        "queues": [q for q in desk.reviews.queues() if q.mode == "verdict"],
        "strata": STRATA,
        "most": MOST,
    }
