"""A text of the reader's own, run through the subject."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, StringConstraints

from neuroexplain.errors import BusyError
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import AtDesk
from neuroexplain.review.trying import LONGEST

router = APIRouter(tags=["activations"])


class TextIn(BaseModel):
    """A text."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class TokenOut(BaseModel):
    """One token of the text."""

    text: str
    """In characters that can be seen."""
    activation: float
    """As the subject computed it, signed."""
    level: float | None
    """0 to 10; null for a neuron that never fires on its side in what was recorded."""
    heat: int
    """0 to 20: half levels."""
    counts: bool
    """Whether the collection counts it."""


class ActivationsOut(BaseModel):
    """What the neuron does on the text."""

    neuron: str
    tokens: list[TokenOut]
    scale: float
    """Activation of level 10; 0 where it never fires."""
    peak: int | None
    """Place of the strongest token that counts."""
    weaker: float | None
    """Share of the corpus' tokens on which the neuron is weaker than at the peak; null where that was not sampled."""
    weaker_bound: bool
    """Whether it is that share or more."""


@router.post("/neurons/{address:path}/activations")
def activations(address: str, given: TextIn, desk: AtDesk) -> ActivationsOut:
    """Run a text through the subject; the first one waits until the subject is loaded. Nothing is stored."""
    neuron = NeuronId.parse(address)
    try:
        found = desk.trying.activations(neuron, given.text)
    except BusyError as error:
        raise HTTPException(429, str(error)) from error
    return ActivationsOut(neuron=str(neuron), **asdict(found))
