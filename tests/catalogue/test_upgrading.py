"""Catalogues of every released version in the hands of this one: each row is there, and says what it said."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.care.upgrading import Upgrade, upgrade
from neuroexplain.catalogue.storage import migrations
from neuroexplain.catalogue.storage.sqlite import open_connection
from neuroexplain.errors import CatalogueError
from neuroexplain.records import NeuronId
from tests.contents import contents
from tests.disks import small_disk
from tests.program import neuroexplain
from tests.released import NUMBERS, released, upgraded

NEWEST = migrations.available()[-1].number
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.catalogue.test_upgrading"])

RENAMED = {
    "explanation": {"explainer", "llm", "settings", "template_sha256", "created_at"},
    "simulation": {"simulator", "llm", "settings", "created_at"},
    "score": {"scorer", "simulator", "llm", "split", "created_at"},
}
"""Columns that are in another table now, or written otherwise; the views show that they say the same."""
HASHES = {"explanation.key", "explanation.prompt_sha256", "simulation.key", "score.key"}
"""Columns that were texts."""
ANEW = {"llm_call", "schema_migration"}
"""Tables of schema 1 whose rows are written otherwise; `test_upgrade` has the ledger."""


def views(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What every view shows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
            for (name,) in names
        }


def tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table, without those of the full-text index."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'explanation_fts%'"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute(query).fetchall()
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
            for (name,) in names
        }


def picked(rows: list[dict[str, Any]], columns: set[str]) -> list[list[Any]]:
    """Some columns of rows, in an order that does not hang on theirs; times to the millisecond, as they are kept now."""
    some = [[_to_ms(row[name]) for name in sorted(columns)] for row in rows]
    return sorted(some, key=repr)


def _to_ms(value: Any) -> Any:
    return re.sub(r"(:\d\d\.\d{3})\d+", r"\1", value) if isinstance(value, str) else value


@pytest.mark.parametrize("number", NUMBERS)
def test_every_view_shows_what_it_showed(tmp_path: Path, number: int) -> None:
    path = released(number, tmp_path / "c.sqlite")
    before = views(path)
    upgrade(path, keep_copy=False)
    after = views(path)
    for name, rows in before.items():
        assert rows, f"{name} of the fixture is empty"
        columns = set(rows[0]) - ({"request_sha256"} if number == 1 else set())
        assert picked(after[name], columns) == picked(rows, columns), name


@pytest.mark.parametrize("number", NUMBERS)
def test_every_row_is_kept_with_every_column(tmp_path: Path, number: int) -> None:
    path = released(number, tmp_path / "c.sqlite")
    before = tables(path)
    upgrade(path, keep_copy=False)
    after = tables(path)
    for name, rows in before.items():
        assert rows, f"{name} of the fixture is empty"
        if name in ANEW:
            assert len(after[name]) >= len(rows)
            continue
        columns = set(rows[0]) - RENAMED.get(name, set())
        assert columns <= set(after[name][0]), name
        wanted = [row | {c: hashed(name, c, row[c]) for c in columns} for row in rows]
        assert picked(after[name], columns) == picked(wanted, columns), name


def hashed(table: str, column: str, value: Any) -> Any:
    """A value as the newest schema has it."""
    if f"{table}.{column}" not in HASHES or value is None:
        return value
    if re.fullmatch("[0-9a-f]{64}", value):
        return bytes.fromhex(value)
    return hashlib.sha256(value.encode()).digest()


@pytest.mark.parametrize("number", NUMBERS)
def test_an_upgraded_catalogue_is_sound_searched_and_shown(tmp_path: Path, number: int) -> None:
    path = upgraded(number, tmp_path / "c.sqlite")
    with Catalogue(path, read_only=True) as catalogue:
        assert [str(fault) for fault in catalogue.check()] == []
        found = catalogue.search("freezing")  # by its stem, as the text has "freeze"
        assert [row.text for row in found.rows] == ["rivers that freeze – naïve “ice”"]
        assert found.rows[0].score == 0.875
        # The newer text of a key stands, and a failure that was mended does not.
        texts = {row.text for row in catalogue.search("state:unreviewed limit:50").rows}
        assert {"Paris, the city of lights", "a river, mended"} <= texts
        assert "the city of Paris" not in texts
        reviewed = catalogue.search("state:reviewed").rows
        assert [row.text for row in reviewed] == ["rivers and the ice"]
        assert reviewed[0].score == 0.125, "the newest on the test split"
        shown = catalogue.show(NeuronId.parse("tiny/0/0"))
        assert len(shown["explanations"]) == 3


@pytest.mark.parametrize("number", NUMBERS)
def test_the_fixture_is_what_the_released_migrations_made(tmp_path: Path, number: int) -> None:
    path = released(number, tmp_path / "c.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        applied = connection.execute("SELECT number, name, sha256 FROM schema_migration").fetchall()
    known = [(m.number, m.name, m.sha256) for m in migrations.available()]
    assert applied == known[:number], "a released migration was changed"


@pytest.mark.parametrize("number", NUMBERS)
def test_the_command_says_what_it_did_and_keeps_a_copy(tmp_path: Path, number: int) -> None:
    path = released(number, tmp_path / "c.sqlite")
    before = tables(path)
    copy = tmp_path / f"c.sqlite.schema-{number}"
    result = neuroexplain("db", "upgrade", str(path), "--json")
    assert result.code == 0, result.err
    names = [m.name for m in migrations.available()[number:]]
    assert result.json == {
        "before": number, "after": NEWEST, "applied": names, "backup": str(copy),
    }  # fmt: skip
    assert tables(copy) == before
    again = neuroexplain("db", "upgrade", str(path))
    assert (again.code, again.out) == (0, f"{path} has schema {NEWEST} already\n")


def test_no_copy_where_none_is_wanted(tmp_path: Path) -> None:
    path = released(5, tmp_path / "c.sqlite")
    done = upgrade(path, keep_copy=False)
    assert done == Upgrade(5, NEWEST, ("0006_search.sql",), None)
    assert [p.name for p in tmp_path.iterdir()] == ["c.sqlite"]


def newer(path: Path) -> None:
    upgraded(5, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO schema_migration VALUES (99, 'x', 'x', 'x')")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no catalogue .* to upgrade"),
    "empty": (Path.touch, "is empty: there is nothing to upgrade"),
    "no SQLite": (lambda path: path.write_text("x" * 5000), "is no SQLite file"),
    "another program's": (foreign, "of another program"),
    "newer": (newer, "has schema 99, this version knows up to"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_upgraded_is_one_line(tmp_path: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    path = tmp_path / "c.sqlite"
    make(path)
    result = neuroexplain("db", "upgrade", str(path))
    assert result.code == 1
    assert re.search(message, result.err), result.err
    assert len(result.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.schema-*"))


def test_no_room_for_the_copy_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    made = released(5, tmp_path / "made.sqlite")
    with small_disk(tmp_path, 1.5 * made.stat().st_size / 2**20) as disk:
        path = Path(shutil.copy(made, disk / "c.sqlite"))
        before = tables(path)
        with pytest.raises(
            CatalogueError, match=r"the disk of .*schema-5 is full; nothing was copied"
        ):
            upgrade(path)
        assert tables(path) == before
        assert [p.name for p in disk.iterdir()] == ["c.sqlite"]


def live(path: Path, statement: int) -> None:
    """Upgrade a file, and die at a statement."""
    left = statement
    connection = open_connection(path, False, 30)
    connection.execute("PRAGMA journal_mode = WAL")  # as whoever opens it for writing has it

    def trace(_: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    connection.set_trace_callback(trace)
    migrations.upgrade(connection)


def schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return int(connection.execute("SELECT max(number) FROM schema_migration").fetchone()[0])


def test_a_kill_at_every_statement_of_an_upgrade_loses_nothing(tmp_path: Path) -> None:
    path = released(1, tmp_path / "c.sqlite")
    schema, statement, kills = 1, 1, 0
    while True:
        process = _FORKS.Process(target=live, args=(path, statement), daemon=True)
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        now = schema_of(path)
        assert now in (schema, schema + 1)
        statement = 1 if now > schema else statement + 1
        schema = now
    assert schema_of(path) == NEWEST
    assert kills > 100
    undisturbed = upgraded(1, tmp_path / "undisturbed.sqlite")
    assert contents(path, without=("schema_migration",)) == contents(
        undisturbed, without=("schema_migration",)
    )
    assert neuroexplain("db", "check", str(path)).code == 0


def test_the_command_completes_an_upgrade_that_was_killed(tmp_path: Path) -> None:
    for statement in (1, 20, 60, 90, 150):
        path = released(1, tmp_path / f"{statement}.sqlite")
        process = _FORKS.Process(target=live, args=(path, statement), daemon=True)
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        result = neuroexplain("db", "upgrade", str(path))
        assert result.code == 0, result.err
        assert neuroexplain("db", "check", str(path)).out == f"{path}: no fault\n"
