"""The JSON interface under `/api/v1`: one module per kind of thing; the pages use it too."""

from __future__ import annotations

from fastapi import APIRouter

from neuroexplain.review.api import (
    activations,
    appraisal,
    comparison,
    events,
    neurons,
    overview,
    queues,
    rescoring,
    saved,
    search,
    session,
    simulations,
)

router = APIRouter()
_PARTS = (
    session,
    overview,
    search,
    saved,
    neurons,
    activations,
    events,
    queues,
    rescoring,
    simulations,
    appraisal,
    comparison,
)
for part in _PARTS:
    router.include_router(part.router)
