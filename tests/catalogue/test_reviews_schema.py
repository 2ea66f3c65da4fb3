"""The schema of files of reviews: its document is fresh, and the tables for statements are the migrated ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, inspect

from neuroexplain.catalogue import Reviews
from neuroexplain.catalogue.reviewing import tables
from neuroexplain.catalogue.storage import schema


def test_the_document_is_fresh() -> None:
    assert schema.REVIEWS_PATH.read_text(encoding="utf-8") == schema.reviews_document(), (
        "run python -m neuroexplain.catalogue.storage.schema"
    )


def test_every_view_column_is_described() -> None:
    views = schema.reviews_document().split("## Tables")[0]
    rows = [line for line in views.splitlines() if line.startswith("| `")]
    assert len(rows) == 14
    assert [line for line in rows if line.endswith("|  |")] == []


def test_tables_are_the_migrated_ones(tmp_path: Path) -> None:
    Reviews(tmp_path / "r.sqlite").close()
    migrated, made = create_engine(f"sqlite:///{tmp_path}/r.sqlite"), create_engine("sqlite://")
    tables.Base.metadata.create_all(made)
    found = described(migrated)
    assert found.pop("schema_migration")
    assert found == described(made)
    assert len(found) == 7


def described(engine: Engine) -> dict[str, Any]:
    """Columns and references of every table."""
    seen: Any = inspect(engine)
    same = {"VARCHAR": "TEXT", "FLOAT": "REAL"}
    found = {}
    for name in seen.get_table_names():
        columns = [
            (c["name"], same.get(str(c["type"]), str(c["type"])), c["nullable"], c["primary_key"])
            for c in seen.get_columns(name)
        ]
        keys = seen.get_foreign_keys(name)
        found[name] = columns, sorted((k["constrained_columns"], k["referred_table"]) for k in keys)
    engine.dispose()
    return found


def test_the_view_has_what_counts(tmp_path: Path) -> None:
    Reviews(tmp_path / "r.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as other:
        other.executescript(
            """
            INSERT INTO target VALUES (1, 'tiny', 2, 3, 1, zeroblob(32), 'ice');
            INSERT INTO event (uuid, kind, reviewer, target_id, data, seen, undoes, at_ms) VALUES
                ('a', 'verdict', 'ann', 1, '{}', '{}', NULL, 1), ('b', 'undo', 'ann', 1, '{}', '{}', 'a', 2),
                ('c', 'verdict', 'ann', 1, '{}', '{}', NULL, 3), ('d', 'undo', 'bob', 1, '{}', '{}', 'c', 4);
            """
        )
        assert other.execute("SELECT uuid, text FROM v_events").fetchall() == [("c", "ice")]
