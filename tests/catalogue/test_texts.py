"""Texts about explanations, and scores that come from no simulation."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue, Collection, NewScores, TextSet
from neuroexplain.records import Failure, NeuronId, Score
from neuroexplain.run import Run

Sweep = Any  # of conftest.py, which cannot be imported

TEXTS = ("4.5 kg", "the U.S. in the 1990s", '"Theater"', "naïve 🧊", "a\tb", "[1, 2]")
UNITS = Score(
    "synthetic", 2.5, None, 1.5, 3.5, -0.125, 2.5, 60, 0.0625, None, 1.75, 120, 40, 1.0
)  # fmt: skip
AREA = replace(UNITS, scorer="synthetic_auroc", value=0.875, ci_low=0.75, ci_high=1.0, floor=None)
KEY = "c5" * 32


def save(catalogue: Catalogue, entries: Iterable[TextSet | NewScores], config: str = "a") -> int:
    """Save as a run does; returns its row."""
    with Run(catalogue, "score", config) as run:

        async def all_of_them() -> None:
            await asyncio.gather(
                *(
                    run.saver.texts(entry)
                    if isinstance(entry, TextSet)
                    else run.saver.scores(entry)
                    for entry in entries
                )
            )

        run.drive(all_of_them())
    return run.id


def scores(row: int, *found: Score, key: str = KEY, llm: str | None = "openai:m") -> NewScores:
    return NewScores(row, None, key, "test", found, "llm", llm)


@pytest.fixture
def row(sweep: Sweep) -> int:
    number: int = sweep.explain("tiny/0/1+", "words about ice", llm="openai:m")
    return number


def test_texts_come_back_byte_for_byte(catalogue: Catalogue, row: int) -> None:
    made = TextSet(
        *(row, "key", "llm", TEXTS, 20, 2, 1, "openai:m", {"texts": 20}, "t" * 64, "p" * 64)
    )
    save(catalogue, [made])
    assert catalogue.known_texts(["key", "another"]) == {"key": made}
    with closing(sqlite3.connect(catalogue.path)) as connection:
        found = connection.execute("SELECT place, text, source, llm FROM v_texts ORDER BY place")
        assert found.fetchall() == [(n, t, "llm", "openai:m") for n, t in enumerate(TEXTS)]


def test_a_failure_keeps_the_raw_reply(catalogue: Catalogue, row: int) -> None:
    raw = "Sorry, I can't.\n1. 4.5 kg"
    failure = Failure("score", "parse_failed", "the reply is not JSON alone", raw)
    made = TextSet(row, "key", "llm", (), 20, failure=failure)
    number = save(catalogue, [made])
    assert catalogue.known_texts(["key"]) == {"key": made}
    (listed,) = catalogue.runs(number)
    assert listed["failures"] == {"parse_failed": 1}
    with closing(sqlite3.connect(catalogue.path)) as connection:
        assert connection.execute("SELECT count(*) FROM v_texts").fetchone() == (0,)


def test_good_texts_stand_before_failed_ones_and_new_before_old(
    catalogue: Catalogue, row: int
) -> None:
    failed = TextSet(row, "a", "llm", (), 20, failure=Failure("score", "truncated", "cut off"))
    old, new = (TextSet(row, "a", "llm", (text,), 20) for text in ("old", "new"))
    save(catalogue, [failed])
    assert catalogue.known_texts(["a"]) == {"a": failed}
    save(catalogue, [old, new, failed])
    assert catalogue.known_texts(["a"]) == {"a": new}
    many = [TextSet(row, str(n), "corpus", ("ice",), 20) for n in range(1200)]
    save(catalogue, many)
    assert len(catalogue.known_texts([str(n) for n in range(2000)])) == 1200


def test_scores_without_a_simulation_are_found_everywhere(
    catalogue: Catalogue, collection: Collection, sweep: Sweep, row: int
) -> None:
    sweep.score(row, sweep_score := replace(UNITS, scorer="correlation", value=0.5))
    bare = replace(UNITS, value=None, reason="generation_failed", p_value=None)
    other = sweep.explain("tiny/0/2+", "words about snow", llm="openai:m")
    number = save(catalogue, [scores(row, UNITS, AREA), scores(other, bare)])
    found = catalogue.search("scorer:synthetic sort:score").rows
    assert [(r.score, r.floor, r.reason) for r in found] == [
        (2.5, 1.75, None),
        (None, 1.75, "generation_failed"),
    ]
    assert [r.score for r in catalogue.search("ice").rows] == [sweep_score.value]
    shown = catalogue.show(NeuronId.parse("tiny/0/1+"))["explanations"][0]
    assert [(s["scorer"], s["simulator"], s["value"]) for s in shown["scores"]] == [
        ("correlation", "sparse", 0.5), ("synthetic", "llm", 2.5), ("synthetic_auroc", "llm", 0.875),
    ]  # fmt: skip
    summary = catalogue.summary(collection, scorer="synthetic", run_id=number)
    assert (summary["n_scored"], summary["n_undefined"]) == (1, {"generation_failed": 1})
    with closing(sqlite3.connect(catalogue.path)) as connection:
        query = (
            "SELECT scorer, simulator, llm, value, null_n FROM v_scores WHERE explanation_id = ?"
        )
        assert connection.execute(f"{query} AND simulator = 'llm'", (row,)).fetchall() == [
            ("synthetic", "llm", "openai:m", 2.5, 60), ("synthetic_auroc", "llm", "openai:m", 0.875, 60),
        ]  # fmt: skip


def test_equal_scores_are_not_saved_twice(catalogue: Catalogue, row: int) -> None:
    save(catalogue, [scores(row, UNITS, AREA)])
    save(catalogue, [scores(row, UNITS, AREA)])
    assert catalogue.newest_score_keys(row, "test") == {"synthetic": KEY, "synthetic_auroc": KEY}
    with closing(sqlite3.connect(catalogue.path)) as connection:
        assert connection.execute("SELECT count(*) FROM score").fetchone() == (2,)


def test_newest_scores_of_an_explainer(
    catalogue: Catalogue, collection: Collection, sweep: Sweep
) -> None:
    rows = [sweep.explain(f"tiny/0/{n}{s}", "ice", explainer="keywords") for n, s in [(1, "+"), (1, "-"), (2, "+")]]  # fmt: skip
    bare = replace(UNITS, value=None, reason="too_few_texts")
    corpus = [
        NewScores(row, None, key, "test", (score,), "corpus", None)
        for row, key, score in [
            (rows[0], "a", UNITS), (rows[0], "b", replace(UNITS, value=3.5)), (rows[1], "a", UNITS), (rows[2], "a", bare),
        ]
    ]  # fmt: skip
    save(catalogue, [*corpus, scores(rows[1], replace(UNITS, value=9.0), key="llm")])
    what = {"explainer": "keywords", "scorer": "synthetic", "simulator": "corpus"}
    assert catalogue.newest_scores(collection, **what) == {
        NeuronId("tiny", 0, 1, 1): 3.5,
        NeuronId("tiny", 0, 1, -1): 2.5,
    }
    assert catalogue.newest_scores(collection, **{**what, "explainer": "ngram"}) == {}


def test_explanations_by_their_rows(catalogue: Catalogue, sweep: Sweep, row: int) -> None:
    other = sweep.explain("tiny/0/2+", "words about snow")
    failed = sweep.fail("tiny/0/3+")
    found = catalogue.explanations_of([row, other, failed, 999])
    assert {n: e.text for n, e in found.items()} == {
        row: "words about ice",
        other: "words about snow",
    }


def test_a_run_that_only_scored_texts_is_known_by_its_collection(
    catalogue: Catalogue, collection: Collection, row: int
) -> None:
    number = save(catalogue, [scores(row, UNITS)])
    assert catalogue.collection_of_run(number).key == collection.key
