"""Edited explanations scored, texts run through the subject, and predictions of people scored."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["rescoring"])
