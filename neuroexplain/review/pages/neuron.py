"""One neuron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from neuroexplain.records import NeuronId
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.rendering import page
from neuroexplain.review.verdicts import VERDICT_CHOICES
from neuroexplain.review.views.neuron import neuron_view
from neuroexplain.reviewed import Edited, Event, Judged, Preferred, Undone, Written

router = APIRouter()
SPANS = 5
"""Shown of each group."""


@router.get("/neurons/{address:path}")
def neuron(
    request: Request, address: str, desk: AtDesk, reviewer: By, reveal: bool = False
) -> HTMLResponse:
    """All about a neuron; without its explanations where it waits in a blind queue of this reviewer."""
    found = NeuronId.parse(address)
    shown = desk.catalogue.show(found)
    hidden = not reveal and desk.reviews.is_blind(found, reviewer)
    if hidden:
        shown = {**shown, "explanations": []}
    return page(
        request,
        "neuron.html.jinja",
        view=neuron_view(shown, spans=SPANS),
        hidden=hidden,
        links=_links(desk, found),
        judgements=desk.reviews.judgements(neurons=[found]),
        history=_history(desk.reviews.history(found)),
        choices=VERDICT_CHOICES,
    )


def link(neuron: NeuronId) -> str:
    """Where a neuron's page is."""
    return f"/neurons/{quote(str(neuron))}"


def _links(desk: Desk, neuron: NeuronId) -> dict[str, str | None]:
    widths = desk.catalogue.collection(neuron.subject).subject.widths
    before = replace(neuron, index=neuron.index - 1) if neuron.index else None
    after = replace(neuron, index=neuron.index + 1)
    return {
        "other": link(replace(neuron, polarity=-neuron.polarity)),
        "previous": None if before is None else link(before),
        "next": link(after) if after.index < widths[neuron.layer] else None,
    }


def _history(events: Sequence[Event]) -> list[tuple[Event, str, bool]]:
    """Events but for those that take others back, the newest first: what was said, and whether that was taken back."""
    undone = {e.data.event for e in events if isinstance(e.data, Undone)}
    kept = [e for e in events if not isinstance(e.data, Undone)]
    return [(e, _said(e), e.uuid in undone) for e in reversed(kept)]


def _said(event: Event) -> str:
    match event.data:
        case Judged(verdict=verdict, note=note):
            return verdict.replace("-", " ") + (f": {note}" if note else "")
        case Preferred(winner=winner):
            return f"compared two: {winner}"
        case Written(text=text):
            return f"wrote: {text}"
        case Edited(text=text):
            return f"edited it to: {text}"
        case _:
            return event.kind
