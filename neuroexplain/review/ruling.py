"""What may be said of an item of a queue, and what its reviewer had before them: by the queue, not by what a page says."""

from __future__ import annotations

from fastapi import HTTPException

from neuroexplain.errors import CatalogueError
from neuroexplain.review.desk import Desk
from neuroexplain.reviewed import DECIDING, Event, Queue, Seen, Target


def check_said(desk: Desk, queue: Queue, position: int, kind: str, reviewer: str) -> None:
    """Refuse what an item of a queue does not ask for.

    Raises:
        HTTPException: the kind of event belongs to another mode, or the reviewer has to write an explanation first.
    """
    deciding = DECIDING[queue.mode]
    valid = [deciding, "skip", *(["own"] if queue.blind == "explanation" else [])]
    if kind not in valid:
        raise HTTPException(409, f'queue "{queue.name}" takes {", ".join(valid)}; not {kind}')
    if kind == deciding and text_hidden(desk, queue, position, reviewer):
        raise HTTPException(409, "write an explanation of your own first; then this one is shown")


def text_hidden(desk: Desk, queue: Queue, position: int, reviewer: str) -> bool:
    """Whether the explanation of an item is kept from a reviewer, who has not written one yet."""
    if queue.blind != "explanation":
        return False
    return not any(e.kind == "own" for e in desk.reviews.of_item(queue.uuid, position, reviewer))


def answer_hidden(desk: Desk, event: Event) -> bool:
    """Whether an answer about an event must not have the explanation in it."""
    if event.queue is None or event.position is None:
        return False
    return text_hidden(desk, desk.reviews.queue(event.queue), event.position, event.reviewer)


def seen_by(desk: Desk, queue: Queue | None, target: Target, reviewer: str) -> Seen:
    """What a reviewer saw of an explanation: nothing of how it was made and scored where that was hidden.

    A neuron whose page was shown in spite of a blind queue was not judged blind.
    """
    blind = "none" if queue is None else queue.blind
    if (reviewer, target.neuron) in desk.revealed:
        blind = "none"
    elif blind == "none" and desk.reviews.is_blind(target.neuron, reviewer):
        blind = "scores"
    if blind != "none":
        return Seen(blind=blind, version=desk.version)
    try:
        known = desk.catalogue.rated([target]).get(target, ())
    except CatalogueError:  # a decision is kept whether or not the catalogue can be read
        known = ()
    if not known:
        return Seen(version=desk.version)
    first = known[0]
    method = first.method
    return Seen("none", method.explainer, method.llm or None, first.correlation, desk.version)
