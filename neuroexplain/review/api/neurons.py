"""One neuron: all about it, its relatives, and where its explanations come from."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["neurons"])
