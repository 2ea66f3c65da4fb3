"""Columns that many tables have."""

from __future__ import annotations

from typing import Any

from sqlmodel import Field


def number() -> Any:
    """The primary key of a table whose rows are numbered."""
    return Field(default=None, primary_key=True)


def to(target: str, **settings: Any) -> Any:
    """The number of a row of another table."""
    return Field(foreign_key=f"{target}.id", **settings)
