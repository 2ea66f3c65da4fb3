"""`db/schema.md` and `db/reviews/schema.md`, made from migrated files.

`python -m neuroexplain.catalogue.storage.schema` writes both anew.

SQLite keeps the SQL of every table and view with its comments, so the descriptions live beside the columns in the
migrations and nowhere else.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from neuroexplain.catalogue.storage import migrations
from neuroexplain.resources import MIGRATIONS

PATH = MIGRATIONS / "schema.md"
REVIEWS_PATH = migrations.REVIEWS.folder / "schema.md"
_HEAD = """\
# Schema of a catalogue

Made by `python -m neuroexplain.catalogue.storage.schema` from the migrations in this folder; a test fails when it is stale.
Read through the views: they stay, whatever becomes of the tables.
"""
_VIEW_COLUMN = re.compile(r"\bAS (\w+),?$")
_TABLE_COLUMN = re.compile(r'\s+"?(\w+)')


_REVIEWS_HEAD = """\
# Schema of a file of reviews

Made by `python -m neuroexplain.catalogue.storage.schema` from the migrations in this folder; a test fails when it is stale.
The log, `event`, is the truth: triggers refuse to change or remove what is in it. An event counts unless its reviewer took it
back; of the verdicts of a reviewer on a target that count, the last by `at_ms, uuid` is what they think.
"""


def document() -> str:
    """The text of `db/schema.md`."""
    return _document(migrations.CATALOGUE, _HEAD)


def reviews_document() -> str:
    """The text of `db/reviews/schema.md`."""
    return _document(migrations.REVIEWS, _REVIEWS_HEAD)


def _document(schema: migrations.Schema, head: str) -> str:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrations.upgrade(connection, schema)
        parts = [head, "\n## Views\n"]
        parts += _section(connection, "view")
        parts.append("\n## Tables\n")
        parts += _section(connection, "table")
    return "".join(parts)


def _section(connection: sqlite3.Connection, kind: str) -> Iterator[str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = ? ORDER BY name"
    for name, sql in connection.execute(query, (kind,)).fetchall():
        if name.startswith("explanation_fts"):
            if name == "explanation_fts":
                yield f"\n### {name}\n\nFull-text index of `explanation.text` (FTS5), kept by triggers.\n"
            continue
        yield f"\n### {name}\n\n{_about(sql)}\n\n"
        described = _descriptions(sql)
        heads = ("column", "type", "description") if kind == "table" else ("column", "description")
        yield _line(*heads) + _line(*("---" for _ in heads))
        for _, column, sql_type, *_ in connection.execute(f"PRAGMA table_info({name})"):
            cells = (f"`{column}`", sql_type, described.get(column, ""))
            yield _line(*(cells if kind == "table" else cells[::2]))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _about(sql: str) -> str:
    """What a table or view is: the first line of its SQL that is a comment."""
    return next((s.strip()[3:] for s in sql.splitlines() if s.strip().startswith("-- ")), "")


def _descriptions(sql: str) -> dict[str, str]:
    """The comment behind every column."""
    found = {}
    for line in sql.splitlines():
        code, _, comment = line.partition(" -- ")
        match = _VIEW_COLUMN.search(code) or _TABLE_COLUMN.match(code)
        if comment and match:
            found[match[1]] = comment
    return found


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
    REVIEWS_PATH.write_text(reviews_document(), encoding="utf-8")
