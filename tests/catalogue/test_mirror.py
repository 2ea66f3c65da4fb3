"""Verdicts beside the explanations of a catalogue: what it says of reviews is what the file of reviews says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.catalogue.reviewing.mirror import Mirrored
from neuroexplain.catalogue.tables import Review
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Event, Judged, Skipped, Target, Undone

Sweep = Any  # of conftest.py, which cannot be imported
AT = "2026-11-25T12:00:00.000+00:00"
A, B = (NeuronId("tiny", 0, i) for i in (0, 1))


@pytest.fixture
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviews]:
    with Reviews(tmp_path_factory.mktemp("reviews") / "r.sqlite") as opened:
        yield opened


def judge(reviews: Reviews, uuid: str, neuron: NeuronId, said: str, data: Any, by: str = "ann") -> Target:  # fmt: skip
    target = Target.of(neuron, said)
    reviews.add(Event(uuid, by, target, data, AT, seconds=2.5))
    return target


def rows(catalogue: Catalogue) -> list[tuple[object, ...]]:
    query = "SELECT explanation_id, reviewer, verdict, note, seconds FROM review ORDER BY 1, 2"
    with catalogue._database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def found(catalogue: Catalogue, query: str) -> list[str]:
    return [row.text for row in catalogue.search(query).rows]


def test_every_explanation_with_the_text_gets_the_verdict(
    catalogue: Catalogue, sweep: Sweep, reviews: Reviews
) -> None:
    one = sweep.explain("tiny/0/0+", "ice")
    two = sweep.explain("tiny/0/0+", "ice", explainer="fixed")
    sweep.explain("tiny/0/0+", "Ice", explainer="tokens")
    sweep.explain("tiny/0/1+", "ice")
    judge(reviews, "1", A, "ice", Judged("wrong", note="no\0ne", tags=("cold", "wet")))
    judge(reviews, "2", A, "ice", Skipped(), "bob")
    judge(reviews, "3", A, "elsewhere", Judged("correct"))
    assert catalogue.mirror(reviews) == Mirrored(2, 0, 1)
    assert rows(catalogue) == [(n, "ann", "wrong", "no␀ne", 2.5) for n in (one, two)]
    assert found(catalogue, "verdict:wrong tag:cold tag:wet state:reviewed") == ["ice", "ice"]
    assert catalogue.mirror(reviews) == Mirrored(0, 0, 1)


def test_a_new_verdict_replaces_and_what_is_taken_back_goes(
    catalogue: Catalogue, sweep: Sweep, reviews: Reviews
) -> None:
    number = sweep.explain("tiny/0/0+", "ice")
    judge(reviews, "1", A, "ice", Judged("wrong"))
    judge(reviews, "2", A, "ice", Judged("correct"), "bob")
    catalogue.mirror(reviews)
    assert found(catalogue, "verdict:wrong") == ["ice"]
    judge(reviews, "3", A, "ice", Judged("partly"))
    assert catalogue.mirror(reviews) == Mirrored(1, 1, 0)
    assert [row[1:3] for row in rows(catalogue)] == [("ann", "partly"), ("bob", "correct")]
    assert found(catalogue, "verdict:wrong") == []
    judge(reviews, "4", A, "ice", Undone("3"))
    catalogue.mirror(reviews)
    assert found(catalogue, "verdict:wrong") == ["ice"]
    judge(reviews, "5", A, "ice", Undone("1"))
    judge(reviews, "6", A, "ice", Undone("2"), "bob")
    assert catalogue.mirror(reviews) == Mirrored(0, 2, 0)
    assert rows(catalogue) == []
    assert found(catalogue, "state:unreviewed") == ["ice"]
    # The number of the row that went is taken anew, and a search that is kept must not be believed.
    judge(reviews, "7", A, "ice", Judged("uninterpretable"))
    assert catalogue.mirror(reviews) == Mirrored(1, 0, 0)
    assert found(catalogue, "verdict:uninterpretable") == ["ice"]
    assert number == rows(catalogue)[0][0]


def test_rows_by_others_are_let_be(catalogue: Catalogue, sweep: Sweep, reviews: Reviews) -> None:
    one, two = sweep.explain("tiny/0/0+", "ice"), sweep.explain("tiny/0/1+", "ice")
    with catalogue._database.writing() as connection:
        for number, reviewer in ((one, "eve"), (two, "ann")):
            values = {"verdict": "good", "note": "", "created_at": "now"}
            connection.execute(
                insert(Review).values(explanation_id=number, reviewer=reviewer, **values)
            )
    judge(reviews, "1", A, "ice", Judged("wrong"))
    judge(reviews, "2", A, "ice", Undone("1"))
    assert catalogue.mirror(reviews) == Mirrored(0, 0, 0)
    assert [row[:3] for row in rows(catalogue)] == [(one, "eve", "good"), (two, "ann", "good")]


def test_only_some_explanations(catalogue: Catalogue, sweep: Sweep, reviews: Reviews) -> None:
    one, two = sweep.explain("tiny/0/0+", "ice"), sweep.explain("tiny/0/1+", "snow")
    judge(reviews, "1", A, "ice", Judged("wrong"))
    judge(reviews, "2", A, "frost", Judged("wrong"))
    snow = judge(reviews, "3", B, "snow", Judged("wrong"))
    assert catalogue.mirror(reviews, targets=[snow]) == Mirrored(1, 0, 0)
    assert [row[0] for row in rows(catalogue)] == [two]
    assert catalogue.mirror(reviews, targets=[]) == Mirrored(0, 0, 0)
    assert catalogue.mirror(reviews) == Mirrored(1, 0, 1)
    assert [row[0] for row in rows(catalogue)] == [one, two]


def test_a_catalogue_that_is_made_anew_gets_all_back(
    catalogue: Catalogue, sweep: Sweep, reviews: Reviews
) -> None:
    sweep.explain("tiny/0/0+", "snow", explainer="fixed")
    for i in range(4):
        sweep.explain(f"tiny/0/{i}+", "ice")
        judge(reviews, f"{i}", NeuronId("tiny", 0, i), "ice", Judged("wrong"))
    judge(reviews, "9", A, "snow", Judged("correct"))
    catalogue.mirror(reviews)
    before = found(catalogue, "verdict:wrong"), found(catalogue, "verdict:correct")
    with catalogue._database.writing() as connection:
        connection.execute(text("DELETE FROM review"))
    assert found(catalogue, "verdict:wrong,correct") == []
    assert catalogue.mirror(reviews) == Mirrored(5, 0, 0)
    assert (found(catalogue, "verdict:wrong"), found(catalogue, "verdict:correct")) == before
    assert before == (["ice"] * 4, ["snow"])


def test_many_explanations_and_no_lock_where_nothing_changes(
    catalogue: Catalogue, sweep: Sweep, reviews: Reviews
) -> None:
    sweep.explain("tiny/0/0+", "ice 299")
    for i in range(300):
        judge(reviews, f"{i}", A, f"ice {i}", Judged("wrong"))
    assert catalogue.mirror(reviews) == Mirrored(1, 0, 299)
    with catalogue._database.writing():  # a second writer would wait for this one
        assert catalogue.mirror(reviews) == Mirrored(0, 0, 299)


def test_a_file_beside_it(tmp_path: Path) -> None:
    with Catalogue(tmp_path / "c.sqlite") as empty, Reviews(tmp_path / "r.sqlite") as reviews:
        judge(reviews, "1", A, "ice", Judged("wrong"))
        assert empty.mirror(reviews) == Mirrored(0, 0, 1)
