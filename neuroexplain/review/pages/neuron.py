"""One neuron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from neuroexplain.records import NeuronId
from neuroexplain.review.desk import AtDesk, By, Desk
from neuroexplain.review.narrowing import page_of
from neuroexplain.review.relatives import LIKENESSES, relatives
from neuroexplain.review.rendering import page
from neuroexplain.review.verdicts import VERDICT_CHOICES
from neuroexplain.review.viewing import provenance_for, viewed
from neuroexplain.review.views.neuron import neuron_view
from neuroexplain.reviewed import Edited, Event, Judged, Preferred, Undone, Written

router = APIRouter()
SPANS = 5
"""Shown of each group."""


@router.get("/neurons/{address:path}/related")
def related(
    request: Request, address: str, desk: AtDesk, reviewer: By, reveal: bool = False
) -> HTMLResponse:
    """Neurons like one; by what is said of it only where that is not hidden."""
    found = NeuronId.parse(address)
    hidden = viewed(desk, found, reviewer, reveal=reveal).hidden
    kinds = [by for by in LIKENESSES if by != "text" or not hidden]
    return page(
        request,
        "related.html.jinja",
        neuron=found,
        back=link(found),
        related=[relatives(desk, found, by, reviewer) for by in kinds],
        link=lambda address: f"/neurons/{quote(address)}",
        found_by=page_of,
    )


@router.get("/neurons/{address:path}")
def neuron(
    request: Request, address: str, desk: AtDesk, reviewer: By, reveal: bool = False
) -> HTMLResponse:
    """All about a neuron; without its explanations where it waits in a blind queue of this reviewer."""
    found = NeuronId.parse(address)
    view = viewed(desk, found, reviewer, reveal=reveal)
    return page(
        request,
        "neuron.html.jinja",
        view=neuron_view(view.shown, spans=SPANS),
        hidden=view.hidden,
        marking=view.marking,
        reveal="?reveal=1" if view.blind and not view.hidden else "",
        links=_links(desk, found),
        judgements=() if view.hidden else desk.reviews.judgements(neurons=[found]),
        history=() if view.hidden else _history(desk.reviews.history(found)),
        choices=VERDICT_CHOICES,
    )


@router.get("/explanations/{number}")
def explanation(
    request: Request,
    number: Annotated[int, Path(ge=1, lt=2**63)],
    desk: AtDesk,
    reviewer: By,
    reveal: bool = False,
) -> HTMLResponse:
    """Where an explanation comes from."""
    found = provenance_for(desk, number, reviewer, reveal=reveal)
    return page(request, "provenance.html.jinja", found=found, back=link(found.neuron))


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
        "related": f"{link(neuron)}/related",
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
