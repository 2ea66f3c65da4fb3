"""Explanations and scores as columns: every number in its place, NULL as NaN, names counted."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.storage.columns import Names
from neuroexplain.errors import CatalogueError
from neuroexplain.records import Score

Sweep = Any  # of conftest.py


def made(value: float | None, **changes: Any) -> Score:
    fields: dict[str, Any] = {
        "scorer": "correlation", "value": value, "reason": None if value is not None else "dead_neuron",
        "ci_low": None, "ci_high": None, "null_mean": 0.25, "null_own": value, "null_n": 20, "p_value": 0.5,
        "null_reason": None, "floor": None, "n_tokens": 24, "n_nonzero": 7, "coverage": 1.0,
    }  # fmt: skip
    return Score(**{**fields, **changes})


def test_every_number_is_in_its_place(
    catalogue: Catalogue, collection: Collection, sweep: Sweep
) -> None:
    numbers = [
        sweep.explain("tiny/2/3+", "c", explainer="ngram"),
        sweep.explain("tiny/0/1-", "b", explainer="fixed", llm="openai:m"),
        sweep.explain("tiny/0/0+", "a", explainer="fixed"),
    ]
    failed = sweep.fail("tiny/2/1+")
    rows = [
        sweep.score(number, made(value), simulator=simulator)
        for number, value, simulator in (
            (numbers[2], 0.75, "sparse"),
            (numbers[0], None, "sparse"),
            (numbers[2], 0.5, "ngram"),
        )
    ]
    scored = catalogue.scored(collection)
    explanations, scores = scored.explanations, scored.scores
    assert explanations.number.tolist() == [*numbers, failed]
    places = zip(explanations.layer, explanations.index, explanations.polarity, strict=True)
    assert [tuple(map(int, p)) for p in places] == [(2, 3, 1), (0, 1, -1), (0, 0, 1), (2, 1, 1)]
    assert explanations.text == ["c", "b", "a", ""]
    assert list(explanations.explainer) == ["ngram", "fixed", "fixed", "ngram"]
    assert list(explanations.llm) == [None, "openai:m", None, None]
    assert list(explanations.failure) == [None, None, None, "parse_failed"]
    assert scores.explanation.tolist() == [2, 0, 2]
    assert scores.simulation.tolist() == rows
    np.testing.assert_array_equal(scores.value, [0.75, np.nan, 0.5])
    assert list(scores.reason) == [None, "dead_neuron", None]
    assert list(scores.simulator) == ["sparse", "sparse", "ngram"]
    assert np.isnan(scores.floor).all() and scores.null_n.tolist() == [20] * 3


def test_a_part_keeps_its_places(
    catalogue: Catalogue, collection: Collection, sweep: Sweep
) -> None:
    for index, value in enumerate((0.1, 0.2, 0.3)):
        sweep.score(sweep.explain(f"tiny/0/{index}+", str(index)), made(value))
    scored = catalogue.scored(collection)
    few = scored.kept(np.array([True, False, True]))
    assert few.explanations.text == ["0", "2"]
    assert few.scores.explanation.tolist() == [0, 1] and few.scores.value.tolist() == [0.1, 0.3]
    one = scored.of_scores(scored.scores.value > 0.15)
    assert len(one.explanations) == 3 and one.scores.explanation.tolist() == [1, 2]
    assert len(scored.kept(np.zeros(3, np.bool_)).scores) == 0


def test_failed_spans_of_some_simulations(
    catalogue: Catalogue, collection: Collection, sweep: Sweep
) -> None:
    number = sweep.explain("tiny/0/0+", "a")
    rows = [
        catalogue.save_simulation(sweep.run_id, number, f"k{n}", "test", sweep.simulation(failed=n))
        for n in (2, 0, 1)
    ]
    assert catalogue.failed_spans(np.array(rows)) == {"bad_levels": 3}
    assert catalogue.failed_spans(np.array(rows[1:])) == {"bad_levels": 1}
    assert catalogue.failed_spans(np.array([], np.int64)) == {}


def test_an_empty_collection(catalogue: Catalogue, collection: Collection) -> None:
    scored = catalogue.scored(collection)
    assert (len(scored.explanations), len(scored.scores)) == (0, 0)
    assert catalogue.newest_scored_run() is None


def test_names() -> None:
    names = Names(np.array([1, 0, 1, 2]), ("a", "b", None))
    assert list(names) == ["b", "a", "b", None] and names[2] == "b"
    assert names.count() == {"b": 2, "a": 1}
    assert names.equal("b").tolist() == [True, False, True, False]
    assert names.equal(None).tolist() == [False, False, False, True]
    assert not names.equal("c").any()
    assert list(names.at(np.array([3, 0]))) == [None, "b"]


def test_a_frame_needs_a_package(
    catalogue: Catalogue, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.explain("tiny/0/0+", "a")
    for package in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CatalogueError, match=r"pip install 'neuroexplain\[frame\]'"):
        catalogue.search().to_frame()
