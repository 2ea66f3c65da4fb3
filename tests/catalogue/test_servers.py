"""A catalogue on a server: what a file holds, seen through the views; errors, time limits and teams."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, Table, create_engine, func, inspect, make_url, select, text
from sqlmodel import SQLModel

from neuroexplain.calls import Call, Usage
from neuroexplain.catalogue import Catalogue, tables
from neuroexplain.catalogue.language.query import Words
from neuroexplain.catalogue.searching.fulltext import (
    POSTGRESQL,
    SQLITE,
    fts5,
    fts5_any,
    tsquery,
    tsquery_any,
)
from neuroexplain.catalogue.storage import server_schema
from neuroexplain.catalogue.storage.codec import packed_text
from neuroexplain.catalogue.storage.engine import CutError, Database
from neuroexplain.catalogue.storage.migrations import available
from neuroexplain.catalogue.storage.place import locate, place_of
from neuroexplain.catalogue.storage.rows import add_many, add_one, add_values
from neuroexplain.catalogue.storage.troubles import BusyError
from neuroexplain.errors import CatalogueError, HeldError
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus
from neuroexplain.run import Run
from neuroexplain.testing import serve
from tests.lives import answer
from tests.postgres import Server
from tests.postgres import server as server
from tests.program import neuroexplain
from tests.sweeps import Sweeps

OLD = Path(__file__).parent.parent / "data" / "catalogues" / "schema_5.sql"
CALL = Call("0f" * 32, "explain", "m", "f0" * 32, "[]", "ok", "yes", Usage(1, 2), 3.0)
TEXTS = [
    "Rivers of ice", "the river froze", "snow-white hills", "snow and white", "naïve Été", "it's 50% of them",
    "the word's \\ 'quoted' <-> & | ! ( ) : *", "河 河流", "“smart” quotes", "3.5 or 35", "", "RIVERS", "a\nb",
]  # fmt: skip


def filled(path: Path) -> Path:
    """A file with rows for every view."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
    Catalogue(path).close()
    return path


def copy(path: Path, url: str) -> None:
    """Every row of a file's tables, into a server's."""
    with (
        closing(sqlite3.connect(path)) as source,
        closing(Database(url, read_only=False)) as database,
        database.writing() as sink,
    ):
        for table in SQLModel.metadata.sorted_tables:
            if table.name == "schema_migration":
                continue
            made = next(t for t in models() if t.__tablename__ == table.name)
            names = [column.name for column in table.columns]
            wanted = ", ".join(f'"{name}"' for name in names)
            rows = source.execute(f"SELECT {wanted} FROM {table.name}")
            sink.execute(table.delete())  # the scorer that is there from the beginning
            add_values(sink, made, names, (packed(table, row) for row in rows))


def packed(table: Table, row: Sequence[Any]) -> list[Any]:
    """A row with texts of older versions as newer ones have them; only SQLite takes either."""
    old = zip(row, table.columns, strict=True)
    return [packed_text(v) if isinstance(v, str) and is_blob(c) else v for v, c in old]


def is_blob(column: Any) -> bool:
    return isinstance(column.type, LargeBinary)


def models() -> list[Any]:
    return [value for value in vars(tables).values() if hasattr(value, "__table__")]


@pytest.fixture(scope="module")
def both(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file and a server's database that hold the same, and explanations of `TEXTS`, numbered from 100."""
    path, url = filled(tmp_path_factory.mktemp("both") / "c.sqlite"), server.new()
    with closing(Database(path, read_only=False)) as file, file.writing() as writing:
        (row,) = writing.execute(select(tables.Explanation).limit(1)).mappings()
        rows = ({**row, "id": 100 + n, "text": t} for n, t in enumerate(TEXTS))
        add_values(
            writing, tables.Explanation, tuple(row.keys()), (tuple(r.values()) for r in rows)
        )
    copy(path, url)
    return path, url


VIEWS = sorted(
    set(re.findall(r"CREATE VIEW (\w+)", (server_schema.FOLDER / "0006_search.sql").read_text()))
)


@pytest.mark.parametrize("view", VIEWS)
def test_views_have_the_columns_and_rows_of_a_file(
    both: tuple[Path, str], server: Server, view: str
) -> None:
    path, url = both
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute(f"SELECT * FROM {view}")
        names, wanted = [c[0] for c in cursor.description], cursor.fetchall()
    with closing(Database(url, read_only=True)) as database, database.reading() as reading:
        result = reading.execute(text(f"SELECT * FROM {view}"))
        assert list(result.keys()) == names
        assert sorted(map(repr, map(tuple, result))) == sorted(map(repr, wanted))
    assert wanted or view == "v_tags"


def test_tables_and_views_are_those_of_a_file(both: tuple[Path, str], server: Server) -> None:
    path, url = both
    with closing(sqlite3.connect(path)) as connection:
        wanted = {
            (name, column, bool(required or key))
            for name, kind in connection.execute("SELECT name, type FROM sqlite_master")
            if kind in ("table", "view") and not name.startswith("explanation_fts")
            for _, column, _, required, _, key in connection.execute(f"PRAGMA table_info({name})")
        }
    query = (
        "SELECT table_name, column_name, is_nullable = 'NO' FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    found = set(server.run(query, str(make_url(url).database)))
    assert found - wanted == {("explanation", "words", True)}
    assert wanted <= found


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_keys_and_indexes_are_those_of_a_file(both: tuple[Path, str], server: Server) -> None:
    path, url = both
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        indexes = {name for (name,) in connection.execute(query)}
    described = [keys(f"sqlite:///{path}"), keys(place_of(url).location)]
    assert described[0] == described[1]
    query = (
        "SELECT indexname FROM pg_indexes LEFT JOIN pg_constraint ON conname = indexname "
        "WHERE schemaname = 'public' AND conname IS NULL"
    )
    found = {str(name) for (name,) in server.run(query, str(make_url(url).database))}
    assert found == indexes | {"explanation_words"}


def keys(url: str) -> dict[str, Any]:
    """Primary, unique and foreign keys of every table."""
    engine = create_engine(url)
    seen = inspect(engine)
    found = {
        name: (
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted(sorted(u["column_names"]) for u in seen.get_unique_constraints(name)),
            sorted(
                (k["constrained_columns"], k["referred_table"]) for k in seen.get_foreign_keys(name)
            ),
        )
        for name in seen.get_table_names()
        if not name.startswith("explanation_fts")
    }
    engine.dispose()
    return found


def test_migrations_have_the_numbers_of_those_of_files() -> None:
    numbers = [m.number for m in available(server_schema.FOLDER)]
    assert numbers == [m.number for m in available() if m.number >= numbers[0]]


def test_searches_find_what_they_find_in_a_file(both: tuple[Path, str]) -> None:
    path, url = both
    with Catalogue(path, read_only=True) as file, Catalogue(url, read_only=True) as server:
        for query in (
            "", "fires", '"fires on"', "fi*", "*ires*", "-fires", "fires OR the", "layer:0", "score>=0", "sort:p",
            "state:failed", "state:reviewed", 'token:"ice"', "polarity:- sort:-score", "explainer:ngram", "limit:2",
        ):  # fmt: skip
            ours, theirs = (c.search(query, count=True, facets=True) for c in (server, file))
            assert ours.rows == theirs.rows, query
            assert (ours.total, ours.facets, ours.cut) == (theirs.total, theirs.facets, None), query


def test_fingerprints_are_equal(
    server: Server, tmp_path: Path, subject: SubjectInfo, corpus: TokenCorpus, layers: list[LayerCollection]
) -> None:  # fmt: skip
    found = set()
    for location in (tmp_path / "c.sqlite", server.emptied()):
        with Catalogue(location) as catalogue:
            catalogue.save_collection("k", {}, subject, corpus, layers)
            found.add(catalogue.fingerprint(catalogue.collection()))
    assert len(found) == 1


def swept(sweeps: Sweeps, location: str, url: str) -> list[tuple[Any, ...]]:
    """What a sweep by the command line leaves: texts and scores of every neuron."""
    done = neuroexplain("collect", *sweeps.collecting, "--catalogue", location)
    assert done.code == 0, done.err
    done = sweeps.run(location, url, "--neurons", "0:0-19", "--json")
    assert (done.code, done.json["counts"]["explained"]) == (0, 20), done.err
    with Catalogue(location, read_only=True) as catalogue:
        assert [run["state"] for run in catalogue.runs()] == ["done", "done"]
        rows = catalogue.search("limit:1000").rows
        return [
            (r.neuron, r.text, r.status, r.score, r.p_value)
            for r in sorted(rows, key=lambda r: r.neuron)
        ]


def test_a_sweep_by_the_command_line_is_that_of_a_file(
    sweeps: Sweeps, server: Server, tmp_path: Path
) -> None:
    with serve(answer) as llm:
        url = server.emptied()
        theirs = swept(sweeps, str(tmp_path / "c.sqlite"), llm.base_url)
        assert swept(sweeps, url, llm.base_url) == theirs
        asked = len(llm.requests)
        again = sweeps.run(url, llm.base_url, "--neurons", "0:0-19", "--json")
        assert (again.code, len(llm.requests)) == (0, asked)  # all is there
    shown = neuroexplain("search", "words", "--json", NEUROEXPLAIN_CATALOGUE=url)
    assert len(shown.json) == len(theirs)


WORKER = """
import sys
from neuroexplain.catalogue import Catalogue
from neuroexplain.calls import Call, Usage
from sqlalchemy import text
with Catalogue(sys.argv[1]) as catalogue:
    for n in range(100):
        with catalogue._database.writing() as connection:
            counts = connection.scalar(text("SELECT max(prompt_tokens) FROM llm_call"))
            connection.execute(text("UPDATE llm_call SET prompt_tokens = :n"), {"n": counts + 1})
        if n % 5 == 0:
            catalogue.save_call(None, Call("0f" * 32, "explain", "m", "f0" * 32, "[]", "ok", sys.argv[2], Usage(0, 0)))
"""


def test_two_processes_lose_nothing(server: Server) -> None:
    url = server.bare()  # both begin by making the tables
    command = [sys.executable, "-c", WORKER, url]
    with Catalogue(url) as catalogue:
        catalogue.save_call(None, CALL)
    workers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [w.wait() for w in workers] == [0, 0]
    database = str(make_url(url).database)
    query = "SELECT reply, count(*) FROM llm_call GROUP BY reply ORDER BY reply"
    assert server.run(query, database) == [("a", 20), ("b", 20), ("yes", 1)]
    ((most,),) = server.run("SELECT max(prompt_tokens) FROM llm_call", database)
    assert most == 1 + 200


def test_processes_that_make_the_tables_at_once_make_them_once(server: Server) -> None:
    url = server.bare()
    code = (
        "import sys; from neuroexplain.catalogue import Catalogue; Catalogue(sys.argv[1]).close()"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
    assert [w.wait() for w in workers] == [0, 0, 0]
    rows = server.run(
        "SELECT number, name, sha256 FROM schema_migration", str(make_url(url).database)
    )
    assert rows == [(m.number, m.name, m.sha256) for m in available(server_schema.FOLDER)]


def test_later_migrations_are_applied_whole_or_not_at_all(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    url = server.new()
    shutil.copy(server_schema.FOLDER / "0006_search.sql", tmp_path)
    (tmp_path / "0007_more.sql").write_text("CREATE TABLE more (id BIGINT); SELECT nothing;")
    monkeypatch.setattr(server_schema, "FOLDER", tmp_path)
    assert "is empty or has an older schema" in refused(url, read_only=True)
    with pytest.raises(psycopg.errors.UndefinedColumn, match="nothing"):
        Catalogue(url)
    database = str(make_url(url).database)
    tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'more'"
    assert server.run(tables, database) == [(0,)]
    available.cache_clear()
    (tmp_path / "0007_more.sql").write_text("CREATE TABLE more (id BIGINT); -- 100 % more\n")
    Catalogue(url).close()
    assert server.run(tables, database) == [(1,)]
    numbers = "SELECT number FROM schema_migration ORDER BY number"
    assert server.run(numbers, database) == [(6,), (7,)]


def test_a_run_is_worked_on_once_on_whatever_machine(server: Server) -> None:
    url = server.emptied()
    with Catalogue(url) as ours, Catalogue(url, read_only=True) as theirs:
        with Run(ours, "sweep", {}) as run:
            assert theirs.claimed(run.key) and not theirs.claimed("another")
            with (
                Catalogue(url) as third,
                pytest.raises(HeldError, match=r"process .* works on this very run"),
            ):
                Run(third, "sweep", {})
        assert not theirs.claimed(run.key)
        with Run(ours, "sweep", {}):
            pass


def test_a_run_whose_process_died_is_free(server: Server) -> None:
    url = server.emptied()
    code = (
        "import os, sys; from neuroexplain.catalogue import Catalogue; "
        "c = Catalogue(sys.argv[1]).claim('k'); assert c; os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, url]).returncode == -9
    with Catalogue(url) as catalogue:
        end = time.monotonic() + 10
        while catalogue.claimed("k") and time.monotonic() < end:
            time.sleep(0.01)  # until the server notices
        claim = catalogue.claim("k")
        assert claim is not None and catalogue.claimed("k")
        claim.release()
        assert not catalogue.claimed("k")


def test_a_read_sees_one_state_and_a_lookup_the_newest(server: Server) -> None:
    count = select(func.count()).select_from(tables.Subject)
    with (
        closing(Database(server.emptied(), read_only=False)) as database,
        database.reading() as reading,
    ):
        assert reading.scalar(count) == 0
        with database.writing() as writing:
            add_one(writing, tables.Subject, SUBJECT)
        assert reading.scalar(count) == 0
        with database.lookup() as lookup:
            assert lookup.scalar(count) == 1


def test_what_fails_is_undone(server: Server) -> None:
    with closing(Database(server.emptied(), read_only=False)) as database:
        with pytest.raises(ZeroDivisionError), database.writing() as connection:
            add_one(connection, tables.Subject, SUBJECT)
            raise ZeroDivisionError
        with database.reading() as connection:
            assert connection.scalar(select(func.count()).select_from(tables.Subject)) == 0


def test_writers_wait_for_each_other_as_long_as_they_are_told(server: Server) -> None:
    url = server.emptied()
    with (
        closing(Database(url, read_only=False)) as first,
        closing(Database(url, read_only=False, timeout=0.05)) as second,
    ):
        with (
            first.writing(),
            pytest.raises(BusyError, match="locked by another process"),
            second.writing(),
        ):
            pass
        with second.writing() as connection:
            assert add_one(connection, tables.Subject, SUBJECT) == 1


SUBJECT = {"name": "tiny", "spec": "s", "weights_sha256": "w", "architecture": "a"}


def test_rows_are_numbered_after_the_largest(server: Server) -> None:
    with (
        closing(Database(server.emptied(), read_only=False)) as database,
        database.writing() as writing,
    ):
        assert add_one(writing, tables.Subject, {**SUBJECT, "name": "1"}) == 1
        assert add_one(writing, tables.Subject, {**SUBJECT, "id": 7, "name": "7"}) == 7
        assert add_many(writing, tables.Subject, [{**SUBJECT, "name": n} for n in "89"]) == [8, 9]
        rows = ((name, "s", "w", "a") for name in ("10", "11"))
        add_values(writing, tables.Subject, tuple(SUBJECT), rows)
        found = writing.execute(text("SELECT id, name FROM subject ORDER BY id")).fetchall()
        assert found == [(1, "1"), (7, "7"), (8, "8"), (9, "9"), (10, "10"), (11, "11")]


def test_the_character_0_is_kept_as_its_symbol(server: Server) -> None:
    with Catalogue(server.emptied()) as catalogue:
        row = catalogue.save_call(None, replace(CALL, reply="a\0b\ud800"))
        found = catalogue.find_reply(CALL.request_sha256)
    assert row == 1 and found is not None and found.text == "a\u2400b\ufffd"


def databases(server: Server, tmp_path: Path) -> Iterator[tuple[Database, str]]:
    slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n"
    for location in (tmp_path / "c.sqlite", server.emptied()):
        with closing(Database(location, read_only=False)) as database:
            yield database, slow


@pytest.mark.parametrize("how", ["reading", "lookup"])
def test_a_time_limit_cuts_off_and_leaves_the_connection_fit(
    server: Server, tmp_path: Path, how: str
) -> None:
    for database, slow in databases(server, tmp_path):
        with getattr(database, how)() as connection:
            with (
                pytest.raises(CutError, match=r"cut off after 0\.05 s"),
                database.limited(connection, 0.05),
            ):
                connection.execute(text(slow))
            assert connection.scalar(text("SELECT 1")) == 1
            with database.limited(connection, 60):
                assert connection.scalar(text("SELECT 2")) == 2


MATCHES = [
    ("river", "word"), ("Rivers", "word"), ("froze", "word"), ("freez", "prefix"), ("snow-white", "word"),
    ("of ice", "phrase"), ("ice of", "phrase"), ("rivers of i", "star"), ("ete", "word"), ("naive", "word"),
    ("ÉTÉ", "word"), ("it's", "word"), ("50%", "word"), ("'quoted'", "word"), ("word's", "word"), ("河", "word"),
    ("smart", "word"), ("3.5", "word"), ("the", "word"), ("riv", "prefix"), ("sn", "prefix"), ("b", "word"),
    ("\\", "word"), ("'", "word"), ("<->", "word"), ("& | !", "phrase"), (":*", "prefix"), ("\0", "word"),
    ("a\0b", "word"), ("\ud800", "word"), ('"', "word"), ('ice" OR "river', "word"), ("AND", "word"), ("🧊", "word"),
    ("x" * 2000, "word"), ("a " * 1000, "phrase"),
]  # fmt: skip


@pytest.fixture(scope="module")
def texts(both: tuple[Path, str]) -> Iterator[tuple[Database, Database]]:
    path, url = both
    with (
        closing(Database(path, read_only=True)) as file,
        closing(Database(url, read_only=True)) as other,
    ):
        yield file, other


def ids(database: Database, statement: str, match: str) -> set[int]:
    with database.reading() as connection:
        return {i for (i,) in connection.execute(text(statement), {"match": match}) if i >= 100}


@pytest.mark.parametrize(("written", "kind"), MATCHES)
def test_words_match_the_same_texts(
    texts: tuple[Database, Database], written: str, kind: Any
) -> None:
    words = Words(written, "phrase" if kind == "star" else kind, 1, star=kind == "star")
    file, other = texts
    found = ids(file, SQLITE, fts5([words]))
    assert ids(other, POSTGRESQL, tsquery([words])) == found


def test_words_are_joined_by_and_and_or(texts: tuple[Database, Database]) -> None:
    both = [Words("river", "word", 1), Words("ice", "word", 1)]
    file, other = texts
    assert ids(file, SQLITE, fts5(both)) == ids(other, POSTGRESQL, tsquery(both)) == {100}
    assert ids(file, SQLITE, fts5_any(both)) == {100, 101, 111}
    assert ids(other, POSTGRESQL, tsquery_any(both)) == {100, 101, 111}
    many = [Words(f"w{n}", "word", 1) for n in range(1000)] + both[:1]
    assert (
        ids(file, SQLITE, fts5_any(many))
        == ids(other, POSTGRESQL, tsquery_any(many))
        == {100, 101, 111}
    )


def refused(*arguments: Any, **settings: Any) -> str:
    with pytest.raises(CatalogueError) as caught:
        Catalogue(*arguments, **settings)
    message = str(caught.value)
    assert "\n" not in message and "secret" not in message
    return message


def test_what_is_wrong_with_a_connection_is_one_line(server: Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        refusal = refused(f"postgresql://me:secret@127.0.0.1:{port}/db")
    assert refusal == (
        f"catalogue postgresql://me@127.0.0.1:{port}/db cannot be reached: Connection refused; "
        "check host and port, and that the server runs"
    )
    nowhere = "postgresql://me:secret@/db?host=/nowhere"
    assert "No such file or directory; check the folder of its socket" in refused(nowhere)
    assert 'database "nothing" does not exist; make it by: createdb nothing' in refused(
        server.url("nothing")
    )
    assert 'role "nobody" does not exist; check the user\'s name' in refused(
        server.url("empty", "nobody:secret")
    )


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("mysql://me:secret@host/db", 'catalogue "mysql": give the path of an SQLite file'),
        ("postgresql://me:secret@host", "has the form postgresql://USER@HOST:PORT/DATABASE"),
        (
            "postgresql://me:secret@host:port/db",
            "has the form postgresql://USER@HOST:PORT/DATABASE",
        ),
    ],
)
def test_urls_of_nothing(location: str, message: str) -> None:
    assert message in refused(location)


def test_a_password_that_is_wrong(server: Server) -> None:
    url = server.bare()
    server.run("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    ((rules,),) = server.run("SHOW hba_file")
    file = Path(str(rules))
    before = file.read_text()
    try:
        file.write_text("local all guarded scram-sha-256\n" + before)
        server.run("SELECT pg_reload_conf()")
        database = str(make_url(url).database)
        message = refused(server.url(database, "guarded:secret"))
        assert (
            'password authentication failed for user "guarded"; give it in the URL, by PGPASSWORD'
            in message
        )
        assert "give it in the URL" in refused(server.url(database, "guarded"))
        assert "permission denied" in refused(server.url(database, "guarded:right"))
    finally:
        file.write_text(before)
        server.run("SELECT pg_reload_conf()")


def test_one_who_may_only_read(server: Server) -> None:
    url = server.new()
    database = str(make_url(url).database)
    server.run("CREATE ROLE reader LOGIN")
    server.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database)
    theirs = server.url(database, "reader")
    with Catalogue(theirs, read_only=True) as catalogue:
        assert catalogue.search().rows == ()
        with pytest.raises(CatalogueError, match="open for reading only"):
            catalogue.save_call(None, CALL)
    with (
        Catalogue(theirs) as catalogue,
        pytest.raises(CatalogueError, match="does not allow that to this user"),
    ):
        catalogue.save_call(None, CALL)


def test_databases_that_are_no_catalogues(server: Server) -> None:
    empty = server.bare()
    assert "is empty or has an older schema" in refused(empty, read_only=True)
    server.run("CREATE TABLE review (id INTEGER)", str(make_url(empty).database))
    assert "holds tables of another program" in refused(empty)
    assert server.run(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", str(make_url(empty).database)
    ) == [(1,)]
    other = server.bare()
    server.run("CREATE TABLE schema_migration (version TEXT)", str(make_url(other).database))
    assert "holds tables of another program" in refused(other)
    latin = server.bare("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert "is a database in LATIN1; make one by" in refused(latin)
    newer = server.new()
    server.run(
        "INSERT INTO schema_migration VALUES (9999, 'x', 'x', 'x')", str(make_url(newer).database)
    )
    assert "has schema 9999, this version knows up to" in refused(newer)


def test_a_server_that_is_too_old(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_schema, "OLDEST", 99)
    assert "is on PostgreSQL 18; it takes version 99 or newer" in refused(server.emptied())


def test_a_connection_that_is_lost(server: Server) -> None:
    url = server.emptied()
    with Catalogue(url) as catalogue:
        catalogue.save_call(None, CALL)
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{make_url(url).database}'"
        server.run(query)
        with pytest.raises(CatalogueError, match="run the same command again") as caught:
            catalogue.save_call(None, CALL)
        assert "\n" not in str(caught.value)
        assert catalogue.save_call(None, CALL) == 2


def test_without_the_driver(server: Server) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from neuroexplain.catalogue import Catalogue; from neuroexplain.errors import CatalogueError\n"
        "try: Catalogue('postgresql://me:secret@host/db')\n"
        "except CatalogueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout
        == 'catalogues on a server need a driver: pip install "neuroexplain[postgres]"\n'
    )


def test_a_schema_of_its_own_is_a_catalogue_of_its_own(server: Server) -> None:
    url = server.bare()
    server.run("CREATE SCHEMA ours", str(make_url(url).database))
    ours = f"{url}&options=-csearch_path%3Dours"
    with Catalogue(url) as first, Catalogue(ours) as second:
        assert (first.save_call(None, CALL), second.save_call(None, CALL)) == (1, 1)
        assert first.path != second.path


def test_what_lies_beside_a_server_s_catalogue_is_in_a_folder_of_the_user() -> None:
    place = place_of("postgresql://me:secret@host/db")
    assert place == place_of(place)
    assert place.name == "postgresql://me@host/db"
    assert place.location == "postgresql+psycopg://me:secret@host/db"
    assert (
        place_of(place.location).path == place_of("postgres://me:other@host/db").path == place.path
    )
    assert place.path != place_of("postgresql://me@host/other").path
    assert place.path.parent.name == "servers"


def test_what_works_on_files_says_so() -> None:
    with pytest.raises(
        CatalogueError, match=r"postgresql://me@host/db is a server's database.* pg_dump"
    ) as caught:
        locate("postgresql://me:secret@host/db")
    assert "secret" not in str(caught.value)
