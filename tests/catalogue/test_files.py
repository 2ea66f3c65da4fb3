"""Opening files of every sort, several processes at once, migrations and the generated schema."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect
from sqlmodel import SQLModel

from neuroexplain.calls import Call, Usage
from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.storage import migrations, schema
from neuroexplain.catalogue.storage.sqlite import translated
from neuroexplain.errors import CatalogueError

VIEWS = {
    "v_neurons": "neuron_id subject layer idx site n_tokens mean std min max frac_positive",
    "v_exemplars": "neuron_id polarity split kind rank document start peak peak_position inclusion_probability text",
    "v_explanations": "explanation_id neuron_id subject layer idx polarity explainer llm prompt_sha256 text status reason parent_id created_at",
    "v_scores": "score_id explanation_id scorer simulator llm split value ci_low ci_high null_mean p_value floor n_tokens n_nonzero coverage reason",
    "v_llm_calls": "call_id request_sha256 run_id purpose model prompt_tokens completion_tokens cost_usd latency_ms status error created_at",
    "v_ngrams": "neuron_id rank ngram mean_response max_response count polarity source aggregator corpus_sha256 set_sha256",
    "v_ngram_moments": "neuron_id n_ngrams mean_mean mean_std max_mean max_std min_mean min_std",
    "v_look_alikes": "neuron_id polarity rank document start likeness peak peak_position text",
    "v_output_tokens": "neuron_id polarity effect rank token_id token logit",
    "v_quantiles": "neuron_id level value",
    "v_token_responses": "neuron_id polarity rank token_id token mean extreme count",
    "v_runs": "run_id run_key command state started_at finished_at versions",
    "v_reviews": "review_id explanation_id reviewer verdict note seconds created_at",
}
"""As the contract has them; more columns may follow."""
CALL = Call("0f" * 32, "explain", "m", "f0" * 32, "[]", "ok", "yes", Usage(1, 2), 3.0)


def path_of(tmp_path: Path) -> Path:
    return tmp_path / "c.sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A new catalogue, closed."""
    Catalogue(path_of(tmp_path)).close()
    return path_of(tmp_path)


@pytest.mark.parametrize("view", VIEWS)
def test_views_have_the_columns_of_the_contract(path: Path, view: str) -> None:
    wanted = VIEWS[view].split()
    with closing(sqlite3.connect(path)) as connection:
        columns = [c[0] for c in connection.execute(f"SELECT * FROM {view}").description]
    assert columns[: len(wanted)] == wanted


def test_opening_again_changes_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    Catalogue(path).close()
    Catalogue(path, read_only=True).close()
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
        applied = connection.execute("SELECT number, name, sha256 FROM schema_migration").fetchall()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert applied == [(m.number, m.name, m.sha256) for m in migrations.available()]


def test_a_migration_that_stops_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    with closing(sqlite3.connect(path_of(tmp_path), isolation_level=None)) as connection:
        connection.execute("CREATE TABLE review (id)")  # stands in the way of the first migration
        with pytest.raises(sqlite3.OperationalError, match="review already exists"):
            migrations.upgrade(connection)
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert names == [("review",)]
        assert connection.execute("PRAGMA application_id").fetchone() == (0,)


def test_an_older_file_is_not_upgraded_by_reading(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DELETE FROM schema_migration")
    with pytest.raises(CatalogueError, match="older schema"):
        Catalogue(path, read_only=True)


def test_schema_document_is_fresh() -> None:
    assert schema.PATH.read_text(encoding="utf-8") == schema.document(), (
        "run python -m neuroexplain.catalogue.storage.schema"
    )


def test_every_view_column_is_described() -> None:
    bare = [s for s in schema.document().splitlines() if s.startswith("| `") and s.count("|") == 3]
    assert len(bare) >= 70
    assert [line for line in bare if line.endswith("|  |")] == []


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_tables_are_the_migrated_ones(path: Path) -> None:
    migrated = create_engine(f"sqlite:///{path}")
    made = create_engine("sqlite://")
    SQLModel.metadata.create_all(made)
    described = []
    for engine in (migrated, made):
        seen = inspect(engine)
        names = [n for n in seen.get_table_names() if not n.startswith("explanation_fts")]
        described.append({name: describe(seen, name) for name in names})
        engine.dispose()
    assert described[0] == described[1]
    assert len(described[0]) == 44


def describe(seen: object, name: str) -> dict[str, object]:
    same = {"VARCHAR": "TEXT", "FLOAT": "REAL", "BIGINT": "INTEGER"}
    columns = [
        (c["name"], same.get(str(c["type"]), str(c["type"])), c["nullable"], c["primary_key"])
        for c in seen.get_columns(name)  # type: ignore[attr-defined]
    ]
    keys = seen.get_foreign_keys(name)  # type: ignore[attr-defined]
    indexes = seen.get_indexes(name)  # type: ignore[attr-defined]
    unique = seen.get_unique_constraints(name)  # type: ignore[attr-defined]
    return {
        "columns": columns,
        "foreign": sorted((k["constrained_columns"], k["referred_table"]) for k in keys),
        "indexes": sorted((i["name"], i["column_names"], i["unique"]) for i in indexes),
        "unique": sorted(u["column_names"] for u in unique),
    }


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"no catalogue .*neuroexplain collect"):
        Catalogue(path_of(tmp_path), read_only=True)
    assert not path_of(tmp_path).exists()
    with pytest.raises(CatalogueError, match="check that the folder exists"):
        Catalogue(tmp_path / "none" / "c.sqlite")
    with pytest.raises(CatalogueError, match="is a folder"):
        Catalogue(tmp_path)


@pytest.mark.parametrize("read_only", [True, False])
def test_files_of_others_are_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = path_of(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    before = path.read_bytes()
    with pytest.raises(CatalogueError, match="another program"):
        Catalogue(path, read_only=read_only)
    assert path.read_bytes() == before
    path.write_text("no database\n" * 100)
    with pytest.raises(CatalogueError, match="no SQLite file"):
        Catalogue(path, read_only=read_only)
    assert path.read_text() == "no database\n" * 100


def test_newer_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO schema_migration VALUES (9999, 'x', 'x', 'x')")
        connection.commit()
    with pytest.raises(CatalogueError, match=r"has schema 9999, .* upgrade neuroexplain"):
        Catalogue(path)


def test_damaged_file(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(CatalogueError, match="is damaged"):
        Catalogue(path)


def test_locked_file(path: Path) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        Catalogue(path, timeout=0.05) as catalogue,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogueError, match="locked by another process"):
            catalogue.save_call(None, CALL)
        assert catalogue.search().rows == ()  # reading goes on
        other.execute("ROLLBACK")
        assert catalogue.save_call(None, CALL) == 1


def test_read_only_refuses_to_write(path: Path) -> None:
    with Catalogue(path, read_only=True) as catalogue:
        assert catalogue.runs() == []
        with pytest.raises(CatalogueError, match="open for reading only"):
            catalogue.save_call(None, CALL)


def test_full_disk(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(CatalogueError, match=r"disk of .* is full"), translated(path):
            connection.execute("CREATE TABLE big AS SELECT zeroblob(9999999) AS b")


def test_bugs_are_not_dressed_up(path: Path) -> None:
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.OperationalError),
        translated(path),
    ):
        connection.execute("SELECT nonsense")


def test_rows_must_refer_to_others(path: Path) -> None:
    with Catalogue(path) as catalogue, pytest.raises(CatalogueError, match="FOREIGN KEY"):
        catalogue.save_call(99, CALL)


@pytest.mark.parametrize(
    "location", ["mysql://me:secret@host/db", ":memory:", "sqlite://", "sqlite:///:memory:"]
)
def test_databases_that_nothing_can_be_kept_in(location: str) -> None:
    with pytest.raises(CatalogueError, match="give the path of an SQLite file") as caught:
        Catalogue(location)
    assert "secret" not in str(caught.value)


def test_where_a_catalogue_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEUROEXPLAIN_CATALOGUE", raising=False)
    Catalogue().close()
    assert Path("neuroexplain.sqlite").exists()
    odd = tmp_path / "a b?c#d%41é.sqlite"
    monkeypatch.setenv("NEUROEXPLAIN_CATALOGUE", str(odd))
    Catalogue().close()
    assert odd.exists()
    Catalogue(f"sqlite:///{tmp_path}/url.sqlite").close()
    assert (tmp_path / "url.sqlite").exists()


WORKER = """
import sys
from neuroexplain.catalogue import Catalogue
from neuroexplain.calls import Call, Usage
from sqlalchemy import text
with Catalogue(sys.argv[1]) as catalogue:
    for n in range(500):
        with catalogue._database.writing() as connection:
            counts = connection.scalar(text("SELECT max(prompt_tokens) FROM llm_call")) or 0
            connection.execute(text("UPDATE llm_call SET prompt_tokens = :n"), {"n": counts + 1})
        if n % 5 == 0:
            catalogue.save_call(None, Call("0f" * 32, "explain", "m", "f0" * 32, "[]", "ok", sys.argv[2], Usage(0, 0)))
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    with Catalogue(path) as catalogue:
        catalogue.save_call(None, CALL)
    command = [sys.executable, "-c", WORKER, str(path)]
    workers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [w.wait() for w in workers] == [0, 0]
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT reply, count(*) FROM llm_call GROUP BY reply ORDER BY reply"
        assert connection.execute(query).fetchall() == [("a", 100), ("b", 100), ("yes", 1)]
        (most,) = connection.execute("SELECT max(prompt_tokens) FROM llm_call").fetchone()
    assert most == 1001


def test_two_processes_may_make_the_same_file(tmp_path: Path) -> None:
    code = (
        "import sys; from neuroexplain.catalogue import Catalogue; Catalogue(sys.argv[1]).close()"
    )
    command = [sys.executable, "-c", code, str(path_of(tmp_path))]
    workers = [subprocess.Popen(command) for _ in range(4)]
    assert [w.wait() for w in workers] == [0] * 4
    with closing(sqlite3.connect(path_of(tmp_path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_shipped_migrations_are_never_edited() -> None:
    # Fill in the hash when a version with the file is released.
    released: dict[str, str] = {}
    known = {m.name: hashlib.sha256(m.sql.encode()).hexdigest() for m in migrations.available()}
    assert {name: known.get(name) for name in released} == released


def test_collection_survives_reopening(catalogue: Catalogue, collection: Collection) -> None:
    catalogue.close()
    with Catalogue(catalogue.path, read_only=True) as again:
        assert again.collection() == collection
