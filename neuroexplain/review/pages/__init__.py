"""The pages: one module each; they read without JavaScript."""

from __future__ import annotations

from fastapi import APIRouter

from neuroexplain.review.pages import (
    agreement,
    catalogue,
    compare,
    health,
    neuron,
    overview,
    queues,
)

router = APIRouter()
for part in (overview, catalogue, neuron, queues, compare, agreement, health):
    router.include_router(part.router)
