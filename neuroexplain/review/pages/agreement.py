"""What reviews say, and how far reviewers agree."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
