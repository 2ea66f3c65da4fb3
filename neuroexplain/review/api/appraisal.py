"""What reviews say: shares, calibration, agreement."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["appraisal"])
