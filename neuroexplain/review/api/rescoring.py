"""Edited explanations, scored beside those that they came from; and jobs, as which that is done."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, StringConstraints

from neuroexplain import reviewed
from neuroexplain.readers import Reader, offers, simulator_of
from neuroexplain.rescoring import Rescoring, check_edit, rescore
from neuroexplain.review.api.events import TargetIn, Text, Uuid, about, check_writable, now
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.jobs import Job, JobError, Report
from neuroexplain.review.viewing import BLIND
from neuroexplain.reviewed import Edited, Event

router = APIRouter(tags=["rescoring"])
KIND = "rescoring"


class JobOut(BaseModel):
    """A job as it stands."""

    uuid: str
    kind: str
    state: Literal["queued", "running", "done", "failed"]
    note: str
    """What it does now."""
    result: Any
    """What came out; null before it is done."""
    reason: str | None
    """Why it failed."""

    @classmethod
    def of(cls, job: Job) -> JobOut:
        """As it is shown."""
        return cls(**asdict(job))


class SimulatorOut(BaseModel):
    """A simulator, and whether it can read what people write."""

    name: str
    does: str
    why_not: str | None
    """Why it cannot; null where it can."""


class SimulatorsOut(BaseModel):
    """Who can score an edit."""

    default: str
    llm: str | None
    """The language model that simulators ask; null where there is none."""
    simulators: list[SimulatorOut]


class RescoringIn(BaseModel):
    """An edit that is to be scored."""

    uuid: Uuid
    """Of the edit and of its job: sent again, it is the same."""
    neuron: Annotated[str, StringConstraints(max_length=300)] | None = None
    """Needed with `parent` where it is no item of a queue."""
    parent: Text | None = None
    """The explanation that was edited."""
    text: Text
    simulator: Annotated[str, StringConstraints(max_length=100)] | None = None
    """Null takes the default."""
    reveal: bool = False
    """Score it although the neuron waits in a blind queue, and so show what the old text scores."""
    queue: Uuid | None = None
    position: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    seconds: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] | None = None


@router.get("/jobs/{uuid}")
def job(uuid: str, desk: AtDesk) -> JobOut:
    """A job as it stands: its state, what it does now, and its result or the reason why it failed."""
    try:
        return JobOut.of(desk.jobs.find(uuid))
    except JobError as error:
        raise HTTPException(404, str(error)) from error


@router.get("/simulators")
def simulators(desk: AtDesk) -> SimulatorsOut:
    """Who can score an edit, what each does, and why some cannot."""
    llm = None if desk.reader.llm == "none" else desk.reader.llm
    return SimulatorsOut(
        default=simulator_of(desk.reader),
        llm=llm,
        simulators=[SimulatorOut(**asdict(offer)) for offer in offers(desk.reader)],
    )


@router.post("/rescorings", status_code=202)
def add_rescoring(given: RescoringIn, desk: AtDesk, reviewer: By) -> JobOut:
    """Write an edit to the log, and begin to score it; the answer is a job to ask for.

    Its result has `changes`: for each score what it was `before` and is `after`, and the `difference` with an interval.
    """
    check_writable(desk)
    event = _event(desk, given, reviewer)
    assert isinstance(event.data, Edited)
    reader = _reader(desk, event.data.simulator)
    wanted = Rescoring(event.target, event.data.text, event.reviewer, reader)
    check_edit(wanted)
    if not given.reveal and desk.reviews.is_blind(event.target.neuron, reviewer):
        raise HTTPException(403, BLIND)
    desk.reviews.add(event)

    def work(report: Report) -> dict[str, Any]:
        with desk.writing() as catalogue:
            return asdict(rescore(catalogue, wanted, desk.execution, report))

    return JobOut.of(desk.jobs.submit(given.uuid, KIND, work))


def _event(desk: Desk, given: RescoringIn, reviewer: str) -> Event:
    named = None
    if given.neuron is not None and given.parent is not None:
        named = TargetIn(neuron=given.neuron, text=given.parent)
    target, _ = about(desk, named, given.queue, given.position)
    return Event(
        uuid=given.uuid,
        reviewer=reviewer,
        target=target,
        data=Edited(given.text.strip(), given.simulator or simulator_of(desk.reader)),
        at=now(),
        queue=given.queue,
        position=given.position,
        seconds=given.seconds,
        seen=reviewed.Seen(version=desk.version),
    )


def _reader(desk: Desk, simulator: str) -> Reader:
    """The desk's reader by a simulator of choice.

    Raises:
        HTTPException: there is none of that name, or it cannot read what people write.
    """
    known = {offer.name: offer for offer in offers(desk.reader)}
    if simulator not in known:
        raise HTTPException(422, f"simulator: one of {', '.join(known)}")
    why_not = known[simulator].why_not
    if why_not is not None:
        raise HTTPException(422, f"simulator: {simulator} cannot score this: {why_not}")
    if simulator == simulator_of(desk.reader):
        return desk.reader
    return replace(desk.reader, simulator=simulator, settings={})
