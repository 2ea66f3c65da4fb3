"""What the catalogue holds, and how the server fares."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["overview"])
