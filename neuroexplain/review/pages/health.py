"""How the server and its files fare."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
