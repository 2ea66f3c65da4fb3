"""Two methods or runs on the same neurons."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
