"""Searches, saved queries, and results as files."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["search"])
