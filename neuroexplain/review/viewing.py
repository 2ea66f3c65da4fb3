"""A neuron as a reviewer may see it: without its explanations while these wait in a blind queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import HTTPException

from neuroexplain.catalogue.results.provenance import Provenance
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import QUERY_SECONDS, Desk

BLIND = "this neuron is in a blind queue that you have not finished; with reveal=1 it is shown all the same"


class Viewed(NamedTuple):
    """What a reviewer gets."""

    shown: Mapping[str, Any]
    """As `Catalogue.show` gives it; `explanations` is empty where they are hidden."""
    blind: bool
    """Whether the neuron waits for this reviewer in a blind queue."""
    hidden: bool
    """Whether explanations are hidden for that."""
    marking: bool
    """Whether spans of the test split are hidden, for the reviewer is yet to mark where the neuron fires; `reveal` shows
    nothing of these."""


def viewed(desk: Desk, neuron: NeuronId, reviewer: str, *, reveal: bool) -> Viewed:
    """All about a neuron.

    Args:
        desk: the open files.
        neuron: which.
        reviewer: who looks at it.
        reveal: show it in spite of a blind queue.

    Raises:
        AbsentError: the neuron was not recorded.
    """
    shown: Mapping[str, Any] = desk.catalogue.show(neuron)
    blind = desk.reviews.is_blind(neuron, reviewer)
    hidden = blind and not reveal
    if blind and reveal:
        desk.revealed.add((reviewer, neuron))
    marking = desk.reviews.is_marking(neuron, reviewer)
    if marking:
        shown = without_test(shown)
    return Viewed({**shown, "explanations": []} if hidden else shown, blind, hidden, marking)


def without_test(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without spans of the test split, with what simulators make of them: a reviewer is to predict these."""
    return {
        **shown,
        "exemplars": [e for e in shown["exemplars"] if e["split"] != "test"],
        "explanations": [
            {**e, "simulations": [s for s in e["simulations"] if s["split"] != "test"]}
            for e in shown["explanations"]
        ],
    }


def provenance_for(desk: Desk, explanation: int, reviewer: str, *, reveal: bool) -> Provenance:
    """Where an explanation comes from.

    Raises:
        AbsentError: there is no such explanation.
        HTTPException: the reviewer is not to know yet.
    """
    found = desk.catalogue.provenance(explanation, seconds=QUERY_SECONDS)
    if desk.reviews.is_blind(found.neuron, reviewer):
        if not reveal:
            raise HTTPException(403, BLIND)
        desk.revealed.add((reviewer, found.neuron))
    return found
