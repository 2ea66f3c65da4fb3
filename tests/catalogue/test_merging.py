"""Two catalogues put together: all that either says is there, once, whichever way round and whatever ends the process."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.care.merge_kinds import Conflict
from neuroexplain.catalogue.care.merging import Merged, merge
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import SubjectInfo
from tests.catalogue.conftest import Sweep, make_corpus, make_layer, make_score
from tests.contents import DERIVED, contents
from tests.disks import fill, make_read_only, resize, small_disk
from tests.program import neuroexplain
from tests.released import NUMBERS, released, upgraded

LEFT = ("batch_request", "batch_result")
"""Tables that are not merged."""
WHO_PAID = ("llm_call.run_id", "llm_call.created_ms")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.catalogue.test_merging"])


def merged(target: Path, *sources: Path) -> list[Merged]:
    with Catalogue(target) as catalogue:
        done = []
        for path in sources:
            with Catalogue(path, read_only=True) as source:
                done.append(catalogue.merge(source))
        assert [str(fault) for fault in catalogue.check()] == []
    return done


def swept(path: Path, *, first: bool) -> Path:
    """A sweep of one half of a subject, collected by itself; one explanation is of both."""
    corpus = make_corpus()
    with Catalogue(path) as catalogue:
        if not first:  # so that rows have other numbers
            other = SubjectInfo("other", "dir/other", "b" * 64, "gpt2", "mlp", (4,))
            catalogue.save_collection(
                "other", {}, other, make_corpus(1), [make_layer(make_corpus(1), 0)]
            )
        subject = SubjectInfo("tiny", "dir/tiny", "a" * 64, "bert", "mlp", (4, 4, 4))
        layers = [make_layer(corpus, n) for n in (0, 2)]
        catalogue.save_collection("c" * 64, {"top_k": 4}, subject, corpus, layers)
        sweep = Sweep(catalogue, catalogue.collection("tiny"))
        layer = 0 if first else 2
        for index in range(4):
            number = sweep.explain(f"tiny/{layer}/{index}", f"rivers of layer {layer}, {index}")
            score = make_score(layer + index / 10)
            sweep.score(number, score, make_score(0.5, scorer="explained_variance"))
        sweep.fail(f"tiny/{layer}/1-", key=f"failed {layer}")
        shared = sweep.explain("tiny/0/0-", "both say this")
        sweep.score(shared, make_score(0.25))
        catalogue.finish_run(sweep.run_id, "done", {"explained": 5}, "")
    return path


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two catalogues, not to be written to."""
    folder = tmp_path_factory.mktemp("halves")
    return swept(folder / "a.sqlite", first=True), swept(folder / "b.sqlite", first=False)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with a few rows of everything, not to be written to."""
    path = upgraded(5, tmp_path_factory.mktemp("full") / "c.sqlite")
    change(
        path,
        f"INSERT INTO import_batch VALUES (2, 'part-0', '{'a' * 64}')",
        "INSERT INTO review_tag VALUES (1, 'place')",
    )
    return path


def copy(path: Path, folder: Path, name: str) -> Path:
    return Path(shutil.copy(path, folder / name))


def change(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement
    return path


def test_two_sweeps_of_one_subject_come_together(halves: tuple[Path, Path], tmp_path: Path) -> None:
    target = copy(halves[0], tmp_path, "a.sqlite")
    result = neuroexplain("db", "merge", str(target), str(halves[1]), "--json")
    assert result.code == 0, result.err
    (told,) = result.json
    assert told["conflicts"] == {} and told["left_out"] == {}
    assert told["added"]["explanation"] == 5 and told["there_already"]["explanation"] == 1
    assert told["added"]["score"] == 8 and told["there_already"]["score"] == 1
    assert told["added"]["collection"] == 1, "that of the other subject"
    with Catalogue(target, read_only=True) as catalogue:
        found = catalogue.search("rivers subject:tiny -sort:score limit:50")
        assert [row.text for row in found.rows] == [
            f"rivers of layer {layer}, {index}" for layer in (0, 2) for index in range(4)
        ]
        assert [row.score for row in found.rows] == pytest.approx(
            [layer + index / 10 for layer in (0, 2) for index in range(4)]
        )
        assert len(catalogue.runs()) == 2
        for path in halves:
            with Catalogue(path, read_only=True) as source:
                collection = source.collection("tiny")
                wanted = source.fingerprint(collection)
                here = catalogue.fingerprint(catalogue.collection("tiny"))
                assert here == wanted
    lines = neuroexplain("db", "merge", str(target), str(halves[1])).out.splitlines()
    assert lines == [f"{halves[1]}: nothing new"]


def test_both_ways_round_the_contents_are_equal(halves: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = copy(halves[0], tmp_path, "a.sqlite"), copy(halves[1], tmp_path, "b.sqlite")
    merged(one, halves[1])
    merged(two, halves[0])
    # What both had is from the run of whichever had it first.
    ignoring = {
        f"{table}.{column}"
        for table in ("explanation", "simulation", "score")
        for column in ("run_id", "created_ms")
    } | {"collection.created_at"}
    assert contents(one, ignoring=ignoring) == contents(two, ignoring=ignoring)


def test_merged_twice_adds_nothing(halves: tuple[Path, Path], full: Path, tmp_path: Path) -> None:
    target = copy(halves[0], tmp_path, "a.sqlite")
    merged(target, halves[1])
    before = contents(target, without=())
    (again,) = merged(target, halves[1])
    assert not any(again.tally.added.values()) and not again.tally.conflicts
    assert contents(target, without=()) == before


@pytest.mark.parametrize("number", NUMBERS)
def test_an_empty_catalogue_gets_every_row(tmp_path: Path, number: int) -> None:
    source = upgraded(number, tmp_path / "source.sqlite")
    (done,) = merged(tmp_path / "new.sqlite", source)
    assert done.tally.conflicts == {}
    ignoring = ("run.waiting",)  # for an answer that only the source can take in
    wanted = contents(source, without=(*DERIVED, *LEFT), ignoring=ignoring)
    assert contents(tmp_path / "new.sqlite", without=(*DERIVED, *LEFT), ignoring=ignoring) == wanted


def test_every_table_is_merged_or_said_not_to_be(full: Path, tmp_path: Path) -> None:
    (done,) = merged(tmp_path / "new.sqlite", full)
    wanted = contents(full, without=DERIVED)
    for table, rows in wanted.items():
        assert rows, f"nothing in {table} of the fixture"
    made = contents(tmp_path / "new.sqlite", without=DERIVED)
    assert {table for table in wanted if not made[table]} == set(LEFT)
    assert {table for table, n in done.tally.left_out.items() if n} == set(LEFT)


def test_what_searches_read_is_as_in_the_source(full: Path, tmp_path: Path) -> None:
    merged(tmp_path / "new.sqlite", full)
    texts = []
    for path in (full, tmp_path / "new.sqlite"):
        with Catalogue(path, read_only=True) as catalogue:
            found = catalogue.search("sort:score limit:50").rows
            texts.append([(row.neuron, row.text, row.score, row.p_value) for row in found])
        with closing(sqlite3.connect(path)) as connection:
            texts.append(
                sorted(connection.execute("SELECT value, p_value FROM standing"), key=repr)
            )
    assert texts[0] == texts[2] and texts[1] == texts[3]


def test_a_part_is_taken_where_the_target_has_the_other(full: Path, tmp_path: Path) -> None:
    """Whatever rows a table lacks, the merge brings them."""
    target = copy(full, tmp_path, "c.sqlite")
    with closing(sqlite3.connect(target)) as connection, connection:
        for table in (
            "review_tag",
            "review",
            "simulation_failure",
            "text_set",
            "standing",
            "score",
        ):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM simulation WHERE id > 2")
        for table in ("ngram", "look_alike", "output_token", "token_response", "peak_token"):
            connection.execute(f"DELETE FROM {table} WHERE neuron_id IN (1, 4)")
        connection.execute("DELETE FROM exemplar WHERE id % 3 = 0")
        connection.execute("DELETE FROM llm_call WHERE id != 3")
    with Catalogue(target) as catalogue:
        catalogue.repair()
    merged(target, full)
    assert contents(target) == contents(full)


CONFLICTS: dict[str, tuple[str, str, tuple[str, ...], str, str, Any]] = {
    "a later explanation": (
        "UPDATE explanation SET text = 'other', created_ms = created_ms + 1 WHERE id = 1",
        "explanation", ("text",), "newer",
        "SELECT text FROM explanation JOIN entry USING (id) WHERE key = (SELECT key FROM explanation WHERE id = 1)",
        "other",
    ),
    "an earlier explanation": (
        "UPDATE explanation SET text = 'other', created_ms = created_ms - 1 WHERE id = 1",
        "explanation", ("text",), "target",
        "SELECT text FROM explanation JOIN entry USING (id) WHERE key = (SELECT key FROM explanation WHERE id = 1)",
        "rivers and the ice",
    ),
    "another score": (
        "UPDATE score SET value = 0.75 WHERE id = 1",
        "score", ("value",), "target", "SELECT value FROM score WHERE id = 1", 0.5,
    ),
    "another simulation": (
        "UPDATE simulation SET expected = (SELECT expected FROM simulation WHERE n = 2), n = 2, spans = (SELECT spans FROM simulation WHERE n = 2) "
        "WHERE id = 1",
        "simulation", ("n", "spans", "expected"), "both",
        "SELECT count(*) FROM simulation WHERE key = (SELECT key FROM simulation WHERE id = 1)", 2,
    ),
    "another reply": (
        "UPDATE llm_call SET reply = 'other' WHERE id = 1",
        "llm_call", ("reply",), "both",
        "SELECT count(*) FROM llm_call WHERE request = (SELECT request FROM llm_call WHERE id = 1)", 2,
    ),
    "other statistics": (
        "UPDATE statistics SET mean = 0.125, max = 7 WHERE neuron_id = 2 AND collection_id = 2",
        "statistics", ("mean", "max"), "target", "SELECT count(*) FROM statistics WHERE max = 7", 0,
    ),
    "other activations": (
        "UPDATE exemplar SET peaks = zeroblob(2 * n) WHERE id = 61",
        "exemplar", ("peaks",), "target", "SELECT count(*) FROM exemplar WHERE peaks = zeroblob(2 * n)", 0,
    ),
    "other n-grams": (
        "DELETE FROM ngram WHERE rank = 1",
        "ngram", ("rank", "ngram", "mean_response", "max_response", "count"), "target",
        "SELECT count(*) FROM ngram", 2,
    ),
    "another document": (
        "UPDATE document SET source = 'other' WHERE id = 1",
        "document", ("source",), "target", "SELECT source FROM document WHERE id = 1", "made:0",
    ),
    "another end of a run": (
        "UPDATE run SET state = 'failed', message = 'x' WHERE id = 1",
        "run", ("state", "message"), "target", "SELECT state FROM run WHERE id = 1", "done",
    ),
    "another verdict at the same moment": (
        "UPDATE review SET verdict = 'wrong' WHERE id = 1",
        "review", ("verdict",), "target", "SELECT verdict FROM review WHERE id = 1", "good",
    ),
    "another file under the same name": (
        "UPDATE import_batch SET sha256 = replace(sha256, 'a', 'b')",
        "import_batch", ("sha256",), "target", "SELECT sha256 FROM import_batch", "a" * 64,
    ),
    "other texts": (
        "UPDATE text_set SET texts = '[\"x\", \"y\"]' WHERE id = 1",
        "text_set", ("texts",), "both", "SELECT count(*) FROM text_set", 3,
    ),
}  # fmt: skip
"""A change of the source; the conflict's table, columns and what is kept; a query of the target and what it gives."""


@pytest.mark.parametrize("kind", CONFLICTS)
def test_what_differs_is_reported_and_the_rule_decides(
    full: Path, tmp_path: Path, kind: str
) -> None:
    statement, table, columns, kept, query, value = CONFLICTS[kind]
    target = copy(full, tmp_path, "target.sqlite")
    source = change(copy(full, tmp_path, "source.sqlite"), statement)
    (done,) = merged(target, source)
    assert dict(done.tally.conflicts) == {table: 1}
    (conflict,) = done.tally.listed
    assert isinstance(conflict, Conflict)
    assert (conflict.table, conflict.columns, conflict.kept) == (table, columns, kept)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute(query).fetchall() == [(value,)]
    (again,) = merged(target, source)
    assert not any(again.tally.added.values())
    assert set(again.tally.conflicts) == (set() if kept in ("both", "newer") else {table})
    json.dumps(done.to_json())
    text_ = neuroexplain("db", "merge", str(copy(full, tmp_path, "third.sqlite")), str(source)).out
    assert f"differs: {table} (" in text_ and f"differ in all: 1 {table}" in text_


def test_the_scores_of_an_explanation_that_is_not_taken_are_not_taken(
    full: Path, tmp_path: Path
) -> None:
    target = copy(full, tmp_path, "target.sqlite")
    source = change(
        copy(full, tmp_path, "source.sqlite"),
        CONFLICTS["an earlier explanation"][0],
        "UPDATE score SET key = zeroblob(32), value = 0.99 WHERE explanation_id = 1 AND reason IS NULL",
        # It revises the one that is not taken, and is known to the target.
        "UPDATE explanation SET parent_id = 1 WHERE id = 8",
    )
    before = contents(target)
    (done,) = merged(target, source)
    assert contents(target) == before
    assert done.tally.left_out["score"] == 4 and done.tally.left_out["review"] == 2


def test_an_import_that_numbers_its_spans_otherwise_is_left_out_whole(
    full: Path, tmp_path: Path
) -> None:
    target = copy(full, tmp_path, "target.sqlite")
    source = change(
        copy(full, tmp_path, "source.sqlite"),
        "UPDATE span SET number = number + 100",
        "UPDATE explanation SET key = zeroblob(32) WHERE id = 1",
    )
    before = contents(target)
    (done,) = merged(target, source)
    assert dict(done.tally.conflicts) == {"corpus": 1}
    assert done.tally.listed[0].columns == ("spans",)
    assert done.tally.left_out["collection"] == 2 and done.tally.left_out["explanation"] == 8
    assert contents(target) == before


def other_weights(path: Path) -> None:
    change(path, "UPDATE subject SET weights_sha256 = 'x'")


def older(path: Path) -> None:
    path.unlink()
    released(4, path)


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "other weights": (other_weights, "has other weights in"),
    "an older schema": (older, "`neuroexplain db upgrade"),
    "no file": (Path.unlink, "no catalogue"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_merged_is_one_line_and_nothing_is_written(
    full: Path, tmp_path: Path, kind: str
) -> None:
    spoil, message = REFUSED[kind]
    target, source = copy(full, tmp_path, "t.sqlite"), copy(full, tmp_path, "s.sqlite")
    before = contents(target, without=())
    spoil(source)
    result = neuroexplain("db", "merge", str(target), str(source))
    assert result.code == 1
    error = [line for line in result.err.splitlines() if line.startswith("Error")]
    assert len(error) == 1 and message in error[0]
    assert contents(target, without=()) == before


def test_a_catalogue_is_not_merged_into_itself(full: Path, tmp_path: Path) -> None:
    target = copy(full, tmp_path, "t.sqlite")
    (tmp_path / "link.sqlite").symlink_to(target)
    with (
        Catalogue(target) as catalogue,
        Catalogue(tmp_path / "link.sqlite", read_only=True) as source,
        pytest.raises(CatalogueError, match="cannot be merged into itself"),
    ):
        catalogue.merge(source)


def test_others_may_write_to_the_target_meanwhile(full: Path, tmp_path: Path) -> None:
    target = Database(tmp_path / "t.sqlite", read_only=False)
    source = Database(full, read_only=True)
    other = Database(tmp_path / "t.sqlite", read_only=False, timeout=0.1)
    names: list[str] = []

    def write(table: str, _: int) -> None:
        with other.writing() as connection:
            row = {"model": f"{table} {len(names)}"}
            connection.execute(text("INSERT INTO llm_source VALUES (NULL, :model, '')"), row)
        names.append(row["model"])

    merge(target, source, write)
    with target.reading() as connection:
        found = set(connection.scalars(text("SELECT model FROM llm_source")))
    assert set(names) <= found and len(names) > 20
    for database in (target, source, other):
        database.close()


def test_a_source_that_is_written_to_meanwhile_is_read_as_it_was(
    full: Path, tmp_path: Path
) -> None:
    source_path = copy(full, tmp_path, "s.sqlite")
    target = Database(tmp_path / "t.sqlite", read_only=False)
    source = Database(source_path, read_only=True)

    def write(table: str, _: int) -> None:
        if table == "subject":
            change(source_path, "UPDATE explanation SET text = 'changed'")

    merge(target, source, write)
    target.close()
    source.close()
    wanted = contents(full, without=(*DERIVED, *LEFT), ignoring=("run.waiting",))
    made = contents(tmp_path / "t.sqlite", without=(*DERIVED, *LEFT), ignoring=("run.waiting",))
    assert made == wanted


def live(target: Path, source: Path, statement: int) -> None:
    """Merge two catalogues, and die at a statement."""
    into, of = Database(target, read_only=False), Database(source, read_only=True)
    left = statement

    def trace(_: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(trace)

    event.listen(into._backend.reading, "connect", connected)
    merge(into, of)
    into.close()


def test_a_merge_that_is_killed_at_any_statement_is_completed_by_another(
    full: Path, halves: tuple[Path, Path], tmp_path: Path
) -> None:
    start = copy(halves[1], tmp_path, "start.sqlite")  # its subject has other weights
    change(start, "UPDATE subject SET name = 'second' WHERE name = 'tiny'")
    target, undisturbed = copy(start, tmp_path, "t.sqlite"), copy(start, tmp_path, "u.sqlite")
    merged(undisturbed, full)
    kills = 0
    for statement in range(3, 2000, 7):
        process = _FORKS.Process(target=live, args=(target, full, statement), daemon=True)
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        with Catalogue(target, read_only=True) as catalogue:
            assert [str(fault) for fault in catalogue.check()] == []
    assert kills > 20
    assert contents(target) == contents(undisturbed)


def test_what_has_arrived_in_part_is_not_taken_for_the_whole(full: Path, tmp_path: Path) -> None:
    target = Database(tmp_path / "t.sqlite", read_only=False)
    source = Database(full, read_only=True)
    key = contents(full)["collection"][-1][0]
    seen = []

    def look(table: str, _: int) -> None:
        with Catalogue(tmp_path / "t.sqlite", read_only=True) as catalogue:
            seen.append((table, catalogue.find_collection(key) is not None))

    merge(target, source, look)
    assert ("exemplar", False) in seen and ("ngram_list", False) in seen
    assert ("run", True) in seen
    target.close()
    source.close()


def test_a_full_disk_is_one_line_and_the_same_command_completes_it(
    full: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path, 4) as disk:
        target = disk / "t.sqlite"
        Catalogue(target).close()
        fill(disk)
        result = neuroexplain("db", "merge", str(target), str(full))
        assert result.code == 1
        error = [line for line in result.err.splitlines() if line.startswith("Error")]
        assert len(error) == 1 and "make room and run the same command again" in error[0]
        resize(disk, 30)
        merged(target, full)
        wanted = contents(full, without=(*DERIVED, *LEFT), ignoring=("run.waiting",))
        made = contents(target, without=(*DERIVED, *LEFT), ignoring=("run.waiting",))
        assert made == wanted


def test_a_target_that_cannot_be_written_is_one_line(full: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, 8) as disk:
        target = copy(full, disk, "t.sqlite")
        make_read_only(disk)
        result = neuroexplain("db", "merge", str(target), str(full))
        assert result.code == 1
        assert len(result.err.splitlines()) == 1
        assert "read-only" in result.err or "cannot be opened" in result.err
