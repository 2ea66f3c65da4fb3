"""The narrow tables follow what they are made of, whatever is added in whatever order."""

from __future__ import annotations

import itertools
import random
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.searching import entries
from neuroexplain.catalogue.searching.entries import BINS, Cell, cell, score_bin
from neuroexplain.records import Score

Sweep = Any  # of conftest.py, which cannot be imported


def scored(value: float | None, scorer: str = "correlation") -> Score:
    return Score(
        scorer=scorer, value=value, reason="dead_neuron" if value is None else None, ci_low=None, ci_high=None,
        null_mean=0.1, null_own=None, null_n=20, p_value=0.5, null_reason=None, floor=0.3, n_tokens=9, n_nonzero=3,
        coverage=1.0,
    )  # fmt: skip


def differences(catalogue: Catalogue) -> list[str]:
    with catalogue._database.reading() as connection:
        return list(entries.differences(connection))


def rows(catalogue: Catalogue, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(catalogue.path)) as connection:
        return connection.execute(query).fetchall()


def review(catalogue: Catalogue, explanation: int) -> None:
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute(
            "INSERT INTO review (explanation_id, reviewer, verdict, note, created_at) VALUES (?, 'r', 'ok', '', 'now')",
            (explanation,),
        )


def test_a_cell_is_what_went_in() -> None:
    for subject, layer, method, state, polarity, score in itertools.product(
        [1, 4095], [0, 4095], [1, 2**20 - 1], [0, 1, 2], [1, -1], [None, -1.0, 0.0, 0.05, 0.999, 1.0]
    ):  # fmt: skip
        number = cell(subject, layer, method, state, polarity, score)
        assert Cell.of(number) == Cell(subject, layer, method, state, polarity, score_bin(score))
        assert number < 2**63


@pytest.mark.parametrize(
    ("score", "place"),
    [(None, BINS), (-1.0, 0), (-0.9, 2), (0.0, 20), (0.05, 21), (0.3, 26), (0.95, 39), (1.0, 39), (7.5, 39), (-3.0, 0)],
)  # fmt: skip
def test_scores_are_counted_in_twentieths(score: float | None, place: int) -> None:
    assert score_bin(score) == place


def test_entries_follow_a_sweep(catalogue: Catalogue, sweep: Sweep) -> None:
    dice = random.Random(3)
    made = []
    for number in range(60):
        match dice.randrange(6):
            case 0 | 1:
                made.append(sweep.explain(f"tiny/2/{dice.randrange(4)}+", f"text {number}"))
            case 2 if made:
                sweep.score(dice.choice(made), scored(dice.random()), key=f"k{number}")
            case 3 if made:
                value = dice.choice([None, dice.random()])
                sweep.score(
                    dice.choice(made),
                    scored(value),
                    scored(value, "detection"),
                    key=f"k{dice.randrange(4)}",
                )
            case 4:
                sweep.fail("tiny/0/1+", key=f"f{dice.randrange(3)}", reason=f"r{dice.randrange(2)}")
            case 5 if made:
                review(catalogue, dice.choice(made))
        assert differences(catalogue) == []
    assert len(rows(catalogue, "SELECT * FROM entry")) > 10
    assert len(rows(catalogue, "SELECT * FROM standing")) > 3


def test_a_good_explanation_takes_the_place_of_a_failed_one(
    catalogue: Catalogue, sweep: Sweep
) -> None:
    sweep.fail("tiny/0/1+", key="k")
    assert rows(catalogue, "SELECT state FROM entry") == [(entries.FAILED,)]
    first = sweep.explain("tiny/0/1+", "x")  # of another key
    key = rows(catalogue, "SELECT \"key\" FROM explanation WHERE status = 'failed'")[0][0]
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute('UPDATE explanation SET "key" = ? WHERE id = ?', (key, first))
    with catalogue._database.writing() as writing:
        entries.refresh(writing, [first])
    assert rows(catalogue, "SELECT id, state FROM entry") == [(first, entries.UNREVIEWED)]


BREAKAGES = {
    "a wrong score": ("UPDATE entry SET score = 0.123 WHERE id = 1", "entry (1,): wrong score"),
    "a wrong cell": ("UPDATE entry SET cell = cell + 1 WHERE id = 1", "entry (1,): wrong cell"),
    "a missing entry": ("DELETE FROM entry WHERE id = 1", "entry (1,): missing"),
    "an entry of nothing": (
        "INSERT INTO entry SELECT 99, neuron_id, subject_id, layer, idx, polarity, method_id, state, run_id, density, "
        "score, p_value, cell FROM entry WHERE id = 1",
        "entry (99,): stands for nothing",
    ),
    "a missing standing": ("DELETE FROM standing", "standing (2, 1): missing"),
    "a wrong standing": ("UPDATE standing SET value = 0.5", "standing (2, 1): wrong value"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_what_is_wrong_is_found_and_made_anew(
    catalogue: Catalogue, sweep: Sweep, name: str
) -> None:
    one = sweep.explain("tiny/0/1+", "one river")
    sweep.explain("tiny/0/2+", "two lakes")
    sweep.score(one, scored(0.4), scored(0.2, "detection"))
    assert differences(catalogue) == []
    statement, fault = BREAKAGES[name]
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute(statement)
    assert differences(catalogue) == [fault]
    with catalogue._database.writing() as writing:
        entries.rebuild(writing)
    assert differences(catalogue) == []
    assert {w for (w,) in rows(catalogue, "SELECT word FROM explanation_word")} == {
        "one", "river", "two", "lakes"
    }  # fmt: skip
