"""One neuron: all about it, its relatives, and where its explanations come from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path

from neuroexplain.records import NeuronId
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.relatives import Likeness, Relatives, relatives
from neuroexplain.review.viewing import provenance_for, viewed

router = APIRouter(tags=["neurons"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("/neurons/{address:path}/related")
def related(
    address: str, desk: AtDesk, reviewer: By, by: Likeness = "activations", reveal: bool = False
) -> Relatives:
    """Explained neurons like one; nothing by text while its explanations are hidden."""
    neuron = NeuronId.parse(address)
    hidden = viewed(desk, neuron, reviewer, reveal=reveal).hidden
    if hidden and by == "text":
        return Relatives(by, "", None, (), "its explanations wait in a blind queue")
    return relatives(desk, neuron, by, reviewer)


@router.get("/neurons/{address:path}")
def neuron(address: str, desk: AtDesk, reviewer: By, reveal: bool = False) -> dict[str, Any]:
    """The object of `show --json`, with `judgements`; `hidden` says that explanations wait in a blind queue.

    `marking` says that spans of the test split are left out, for the reviewer is yet to mark where the neuron fires.
    """
    found = NeuronId.parse(address)
    view = viewed(desk, found, reviewer, reveal=reveal)
    judgements = [] if view.hidden else desk.reviews.judgements(neurons=[found])
    return {
        **view.shown,
        "hidden": view.hidden,
        "marking": view.marking,
        "judgements": [
            {**asdict(j), "target": {"neuron": str(found), "text": j.target.text}}
            for j in judgements
        ],
    }


@router.get("/explanations/{number}/provenance")
def provenance(number: Number, desk: AtDesk, reviewer: By, reveal: bool = False) -> dict[str, Any]:
    """Where an explanation comes from: method, run, prompt, parameters, cost, raw reply, and what it revises."""
    found = provenance_for(desk, number, reviewer, reveal=reveal)
    return {**asdict(found), "neuron": str(found.neuron)}
