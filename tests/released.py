"""Catalogues as released versions left them; `tests/data/catalogues/README.md` tells how they were made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from neuroexplain.catalogue.care.upgrading import upgrade

FOLDER = Path(__file__).parent / "data" / "catalogues"
NUMBERS = (1, 2, 3, 4, 5)
"""Schemas of released versions before this one."""


def released(number: int, path: Path) -> Path:
    """A catalogue of an older schema."""
    text = (FOLDER / f"schema_{number}.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"BEGIN;{text}COMMIT;")
    return path


def upgraded(number: int, path: Path) -> Path:
    """The same, brought to the schema of this version."""
    upgrade(released(number, path), keep_copy=False)
    return path
