"""Where the shipped prompts and migrations are: beside the package in a wheel, above it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_SHIPPED = _PACKAGE / "_shipped"
ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent
PROMPTS = ROOT / "prompts"
MIGRATIONS = ROOT / "db"
