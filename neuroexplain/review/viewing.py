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
    shown = desk.catalogue.show(neuron)
    blind = desk.reviews.is_blind(neuron, reviewer)
    hidden = blind and not reveal
    return Viewed({**shown, "explanations": []} if hidden else shown, blind, hidden)


def provenance_for(desk: Desk, explanation: int, reviewer: str, *, reveal: bool) -> Provenance:
    """Where an explanation comes from.

    Raises:
        AbsentError: there is no such explanation.
        HTTPException: the reviewer is not to know yet.
    """
    found = desk.catalogue.provenance(explanation, seconds=QUERY_SECONDS)
    if not reveal and desk.reviews.is_blind(found.neuron, reviewer):
        raise HTTPException(403, BLIND)
    return found
