"""Predictions of people, scored as those of simulators are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from neuroexplain.review.api.events import (
    EventOut,
    TargetIn,
    Text,
    Uuid,
    about,
    check_writable,
    now,
    ruled,
)
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.marking import outcome
from neuroexplain.reviewed import Event, MarkedSpan, Simulated

router = APIRouter(tags=["simulations"])
Place = Annotated[int, Field(ge=0, lt=2**31)]
Level = Annotated[int, Field(ge=0, le=10)]


class MarkedIn(BaseModel):
    """Where a reviewer expects the neuron to fire on a held-out span."""

    document: Place
    start: Place
    levels: Annotated[list[Level], Field(min_length=1, max_length=4096)]
    """One for each token."""


class SimulationIn(BaseModel):
    """A reviewer's predictions from an explanation."""

    uuid: Uuid
    neuron: Annotated[str, StringConstraints(max_length=300)] | None = None
    """Needed with `text` where it is no item of a queue."""
    text: Text | None = None
    spans: Annotated[list[MarkedIn], Field(min_length=1, max_length=100)]
    queue: Uuid | None = None
    position: Place | None = None
    seconds: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] | None = None


class BesideOut(BaseModel):
    """What a simulator is worth on the same spans."""

    simulator: str
    llm: str | None
    value: float | None
    reason: str | None
    ci_low: float | None
    ci_high: float | None


class SimulationOut(BaseModel):
    """How the predictions did."""

    event: EventOut
    scorer: str
    value: float | None
    reason: str | None
    """Why `value` is null."""
    ci_low: float | None
    ci_high: float | None
    beside: list[BesideOut]
    """Empty while another item about the neuron waits for this reviewer in a blind queue."""
    real: list[list[int]]
    """What the neuron does, as levels: of each marked span, by token; empty where it never fires, and
    while another item about it is yet to be marked by this reviewer."""


@router.post("/simulations", status_code=201)
def add_simulation(given: SimulationIn, desk: AtDesk, reviewer: By) -> SimulationOut:
    """Score what a reviewer marked, write it to the log, and say how simulators do on the same spans."""
    check_writable(desk)
    named = None
    if given.neuron is not None and given.text is not None:
        named = TargetIn(neuron=given.neuron, text=given.text)
    known = desk.reviews.event(given.uuid)
    if known is not None and isinstance(known.data, Simulated):
        target, marked = known.target, known.data.spans
    else:
        target, _ = about(desk, named, given.queue, given.position)
        marked = tuple(MarkedSpan(s.document, s.start, tuple(s.levels)) for s in given.spans)
    seen = ruled(desk, given.uuid, given.queue, given.position, "simulation", target, reviewer)
    found = outcome(desk, target, marked)
    event = desk.reviews.add(
        Event(
            uuid=given.uuid,
            reviewer=reviewer,
            target=target,
            data=found.simulated,
            at=now(),
            queue=given.queue,
            position=given.position,
            seconds=given.seconds,
            seen=seen,
        )
    )
    own = found.simulated
    hidden = desk.reviews.is_blind(target.neuron, reviewer)
    marking = desk.reviews.is_marking(target.neuron, reviewer)
    return SimulationOut(
        event=EventOut.of(event, desk),
        scorer=own.scorer,
        value=own.value,
        reason=own.reason,
        ci_low=own.ci_low,
        ci_high=own.ci_high,
        beside=[] if hidden else [BesideOut(**asdict(each)) for each in found.beside],
        real=[] if marking else [list(levels) for levels in found.real],
    )
