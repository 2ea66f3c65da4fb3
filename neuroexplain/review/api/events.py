"""Decisions: on disk before the answer says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, StringConstraints

from neuroexplain import reviewed
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.items import item_at
from neuroexplain.review.ruling import answer_hidden, check_said, seen_by
from neuroexplain.reviewed import (
    Confidence,
    Event,
    Seen,
    Target,
    Verdict,
    Winner,
)

router = APIRouter(tags=["events"])
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=20_000)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class TargetIn(BaseModel):
    """An explanation of a neuron, by its text."""

    neuron: Annotated[str, StringConstraints(max_length=300)]
    text: Text


class JudgedIn(BaseModel):
    """A verdict."""

    kind: Literal["verdict"]
    verdict: Verdict
    confidence: Confidence | None = None
    tags: Annotated[list[Tag], Field(max_length=20)] = []
    note: Text = ""
    rewrite: Text = ""


class SkippedIn(BaseModel):
    """Left for later."""

    kind: Literal["skip"]


class PreferredIn(BaseModel):
    """A choice of a pair: the target is on the left."""

    kind: Literal["preference"]
    winner: Winner
    note: Text = ""


class WrittenIn(BaseModel):
    """The reviewer's own explanation, before the one in question was shown."""

    kind: Literal["own"]
    text: Text


class AdjudicatedIn(BaseModel):
    """The last word."""

    kind: Literal["adjudication"]
    verdict: Verdict
    note: Text = ""


class EventIn(BaseModel):
    """Something that a reviewer did."""

    uuid: Uuid
    target: TargetIn | None = None
    """Needed where it is no item of a queue; of an item, it is what the queue says."""
    queue: Uuid | None = None
    position: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    seconds: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] | None = None
    said: Annotated[
        JudgedIn | SkippedIn | PreferredIn | WrittenIn | AdjudicatedIn, Field(discriminator="kind")
    ]


class EventOut(BaseModel):
    """An event of the log."""

    number: int
    uuid: str
    kind: str
    reviewer: str
    neuron: str
    text: str | None
    """Null while it is hidden from the reviewer."""
    other: str | None
    queue: str | None
    position: int | None
    seconds: float | None
    said: dict[str, Any]
    at: str

    @classmethod
    def of(cls, event: Event, desk: Desk) -> EventOut:
        """As it is shown to whoever did it."""
        hidden = answer_hidden(desk, event)
        return cls(
            number=event.number,
            uuid=event.uuid,
            kind=event.kind,
            reviewer=event.reviewer,
            neuron=str(event.target.neuron),
            text=None if hidden else event.target.text,
            other=None if hidden or event.other is None else event.other.text,
            queue=event.queue,
            position=event.position,
            seconds=event.seconds,
            said=vars(event.data),
            at=event.at,
        )


@router.post("/events", status_code=201)
def add_event(given: EventIn, desk: AtDesk, reviewer: By) -> EventOut:
    """Write a decision to the log; one that is sent again, by its uuid, is written once."""
    check_writable(desk)
    target, other = about(desk, given.target, given.queue, given.position)
    seen = ruled(desk, given.uuid, given.queue, given.position, given.said.kind, target, reviewer)
    said = given.said.model_dump(exclude={"kind"})
    if "tags" in said:
        said["tags"] = tuple(said["tags"])
    event = Event(
        uuid=given.uuid,
        reviewer=reviewer,
        target=target,
        data=reviewed.KINDS[given.said.kind](**said),
        at=now(),
        other=other,
        queue=given.queue,
        position=given.position,
        seconds=given.seconds,
        seen=seen,
    )
    added = desk.reviews.add(event)
    desk.mirror.wake([added.target])
    return EventOut.of(added, desk)


def check_writable(desk: Desk) -> None:
    """Refuse to write where the server was started for reading only."""
    if desk.read_only:
        raise HTTPException(403, "this server was started with --read-only")


class UndoIn(BaseModel):
    """What is to be taken back: the newest decision of the reviewer."""

    uuid: Uuid
    queue: Uuid | None = None
    """In this queue only, where skipping and an explanation of one's own can be taken back too."""
    event: Uuid | None = None
    """The one that is meant, whatever was decided since."""


@router.post("/undo", status_code=201)
def undo(given: UndoIn, desk: AtDesk, reviewer: By) -> EventOut:
    """Take back a decision, and say which that was; one that is sent again, by its uuid, takes back nothing more."""
    check_writable(desk)
    wanted = reviewed.Undoing(given.uuid, given.queue, given.event)
    seen = reviewed.Seen(version=desk.version)
    undone = desk.reviews.take_back(reviewer, wanted, at=now(), seen=seen)
    if undone is None:
        raise HTTPException(409, "there is nothing to take back")
    desk.mirror.wake([undone.target])
    return EventOut.of(undone, desk)


def about(
    desk: Desk, given: TargetIn | None, queue: str | None, position: int | None
) -> tuple[Target, Target | None]:
    """What a decision is about: the target, and the other of a pair.

    Raises:
        HTTPException: it does not say, or says something else than the queue.
    """
    if (queue is None) != (position is None):
        raise HTTPException(422, "queue, position: give both, or neither")
    if queue is not None and position is not None:
        item = item_at(desk, desk.reviews.queue(queue), position)
        if given is not None and _target(given) != item.target:
            raise HTTPException(409, "the queue has another explanation at this place")
        return item.target, item.other
    if given is None:
        raise HTTPException(422, "target: give it, or the queue and the position")
    return _target(given), None


def ruled(
    desk: Desk,
    uuid: str,
    queue: str | None,
    position: int | None,
    kind: str,
    target: Target,
    reviewer: str,
) -> Seen:
    """What the reviewer saw; see `ruling`.

    Raises:
        HTTPException: the queue does not ask for that. What is in the log already may be sent again.
    """
    found = None if queue is None else desk.reviews.queue(queue)
    if found is not None and position is not None and desk.reviews.event(uuid) is None:
        check_said(desk, found, position, kind, reviewer)
    return seen_by(desk, found, target, reviewer)


def _target(given: TargetIn) -> Target:
    return Target.of(NeuronId.parse(given.neuron), given.text)


def now() -> str:
    """This moment, as events have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
