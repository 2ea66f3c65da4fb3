"""`neuroexplain reviews`: list, export, import and merge, with the catalogue brought up to date."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neuroexplain.catalogue import Catalogue, Reviews, reviews_path
from neuroexplain.cli import cli
from neuroexplain.reviewed import Event, Judged, Queue, QueueItem, Target, Undone
from neuroexplain.testing import catalogues

AT = "2026-11-25T12:00:00.000+00:00"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "c.sqlite"
    catalogues.make(path, neurons=8, explanations=12, layers=2, spans=80, reviews=0)
    return path


def target(place: Path) -> Target:
    with Catalogue(place, read_only=True) as catalogue:
        return catalogue.target(catalogue.search("state:unreviewed").rows[0].explanation_id)


def judged(path: Path, about: Target, by: str, uuid: str) -> None:
    with Reviews(path) as reviews:
        queue = Queue("q", "first", "verdict", "none", 0, {}, (), 1, "ann", AT)
        reviews.make_queue(queue, [QueueItem(0, about, shared=True)])
        reviews.add(Event(uuid, by, about, Judged("wrong"), AT, queue="q", position=0))


def run(*arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["reviews", *map(str, arguments)], input=given)


def found(place: Path) -> list[str]:
    with Catalogue(place, read_only=True) as catalogue:
        return sorted({row.text for row in catalogue.search("verdict:wrong").rows})


def test_reviews_of_two_come_together_and_searches_find_them(place: Path, tmp_path: Path) -> None:
    about, theirs = target(place), tmp_path / "bob.reviews.sqlite"
    judged(reviews_path(place), about, "ann", "1")
    judged(theirs, about, "bob", "2")
    merged = run("merge", theirs, "--catalogue", place)
    assert merged.exit_code == 0, merged.output
    assert "events: 1 new, 0 known\nqueues: 0 new, 1 known\n" in merged.output
    assert found(place) == [about.text]
    listed = json.loads(run("list", "--catalogue", place, "--json").output)
    assert listed["reviewers"] == {"ann": 1, "bob": 1}
    (queue,) = listed["queues"]
    assert (queue["items"], queue["decided"], queue["by"]) == (1, 1, {"ann": 1, "bob": 1})
    plain = run("list", "--catalogue", place).output
    assert "ann" in plain
    assert "1 of 1" in plain
    again = run("merge", theirs, "--catalogue", place, "--json")
    assert json.loads(again.output)["new"] == {"events": 0, "queues": 0, "queries": 0}


def test_export_and_import_carry_reviews_to_a_catalogue_made_anew(
    place: Path, tmp_path: Path
) -> None:
    about, out = target(place), tmp_path / "r.jsonl"
    judged(reviews_path(place), about, "ann", "1")
    assert run("export", "--catalogue", place, "--out", out).exit_code == 0
    assert run("export", "--catalogue", place).output == out.read_text(encoding="utf-8")
    refused = run("export", "--catalogue", place, "--out", out)
    assert (refused.exit_code, "--force replaces it" in refused.output) == (1, True)
    assert run("export", "--catalogue", place, "--out", out, "--force").exit_code == 0
    other = tmp_path / "new.reviews.sqlite"
    for arguments in ((out,), ("-",)):
        given = out.read_text(encoding="utf-8") if arguments == ("-",) else None
        done = run("import", *arguments, "--catalogue", place, "--reviews", other, given=given)
        assert done.exit_code == 0, done.output
    assert "events: 0 new, 1 known" in done.output
    assert found(place) == [about.text]


def test_an_export_that_fails_leaves_what_was_there(place: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "r.jsonl", reviews_path(place)
    judged(path, target(place), "ann", "1")
    assert run("export", "--catalogue", place, "--out", out).exit_code == 0
    kept, files = out.read_bytes(), sorted(tmp_path.iterdir())
    assert kept
    itself = run("export", "--catalogue", place, "--out", path, "--force")
    assert (itself.exit_code, "the file of reviews itself" in itself.output) == (1, True)
    with Reviews(path, read_only=True) as reviews:
        assert [event.uuid for event in reviews.log()] == ["1"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE saved_query")
        connection.commit()
    assert run("export", "--catalogue", place, "--out", out, "--force").exit_code == 1
    assert out.read_bytes() == kept
    assert run("export", "--catalogue", place, "--out", tmp_path / "new.jsonl").exit_code == 1
    assert sorted(tmp_path.iterdir()) == files


def test_an_undo_of_another_file_reaches_the_catalogue(place: Path, tmp_path: Path) -> None:
    about, theirs = target(place), tmp_path / "laptop.sqlite"
    for path in (reviews_path(place), theirs):
        judged(path, about, "ann", "1")
    with Catalogue(place) as catalogue, Reviews(reviews_path(place)) as reviews:
        catalogue.mirror(reviews)
    assert found(place) == [about.text]
    with Reviews(theirs) as laptop:
        laptop.add(Event("2", "ann", about, Undone("1"), AT))
    done = run("merge", theirs, "--catalogue", place)
    assert "catalogue: 0 verdicts added, " in done.output
    assert found(place) == []


def test_what_is_not_there_is_one_line(place: Path, tmp_path: Path) -> None:
    for arguments, wanted in (
        (("list",), "no file of reviews"),
        (("export",), "no file of reviews"),
        (("import", tmp_path / "gone.jsonl"), "cannot read"),
        (("merge", tmp_path / "gone.sqlite"), "no file of reviews"),
    ):
        done = run(*arguments, "--catalogue", place)
        assert done.exit_code == 1
        assert wanted in done.output
        assert len(done.output.strip().splitlines()) == 1
        assert not reviews_path(place).exists()


def test_an_import_without_a_catalogue_is_kept(place: Path, tmp_path: Path) -> None:
    judged(reviews_path(place), target(place), "ann", "1")
    exported = run("export", "--catalogue", place).output
    gone = tmp_path / "gone.sqlite"
    done = run("import", "-", "--catalogue", gone, given=exported)
    assert done.exit_code == 0
    assert "does not have the verdicts yet" in done.output
    assert not gone.exists()
    with Reviews(reviews_path(gone), read_only=True) as reviews:
        assert [e.uuid for e in reviews.log()] == ["1"]
