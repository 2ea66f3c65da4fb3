"""How explanations were simulated and scored before, and what an edit goes back to."""

from __future__ import annotations

from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.stores.store_rescoring import ScoredBy
from neuroexplain.records import Explanation, NeuronId, Score

Sweep = Any  # of conftest.py


def made(value: float, scorer: str = "correlation") -> Score:
    return Score(scorer, value, None, 0.25, 0.5, 0.125, value, 20, 0.5, None, 0.75, 24, 7, 1.0)


@pytest.fixture
def explained(sweep: Sweep) -> int:
    number: int = sweep.explain("tiny/0/0+", "a")
    return number


def test_runs_that_scored_an_explanation_come_newest_first_each_once(
    catalogue: Catalogue, collection: Collection, sweep: Sweep, explained: int
) -> None:
    sweep.score(explained, made(0.5), made(0.25, "other"), simulator="sparse")
    sweep.score(explained, made(0.5), simulator="chosen-by", split="select")
    first, sweep.run_id = sweep.run_id, catalogue.begin_run("again", "score", {}, {})
    sweep.score(explained, made(0.5), simulator="logprob")
    sweep.score(sweep.explain("tiny/0/1+", "b"), made(0.5), simulator="per-token")
    assert catalogue.scored_by(explained) == [
        ScoredBy(sweep.run_id, "logprob", "openai:m"),
        ScoredBy(first, "sparse", "openai:m"),
    ]


def test_the_newest_simulation_of_each_simulator_is_found(
    catalogue: Catalogue, collection: Collection, sweep: Sweep, explained: int
) -> None:
    other = sweep.explain("tiny/0/1+", "b")
    sweep.score(explained, made(0.5), key="old")
    kept = [
        sweep.score(explained, made(0.5), key="new"),
        sweep.score(explained, made(0.5), simulator="logprob"),
        sweep.score(other, made(0.5)),
    ]
    sweep.score(explained, made(0.5), simulator="sparse", split="select")
    assert sorted(catalogue.simulations_of([explained, other])) == sorted(kept)
    assert catalogue.simulations_of([]) == []


def test_scores_of_a_simulation_are_as_they_were_saved(
    catalogue: Catalogue, collection: Collection, sweep: Sweep, explained: int
) -> None:
    scores = made(0.5), made(0.75, "other")
    row = sweep.score(explained, *scores)
    sweep.score(explained, made(0.1), key="of another simulation")
    assert catalogue.scores_of(row) == {score.scorer: score for score in scores}


def test_an_edit_goes_back_to_the_first_text_by_another_explainer(
    catalogue: Catalogue, collection: Collection, sweep: Sweep, explained: int
) -> None:
    numbers = [explained]
    for text in ("b", "c"):
        edit = Explanation(NeuronId.parse("tiny/0/0+"), "human", text, 1.5)
        numbers.append(
            catalogue.save_explanation(sweep.run_id, collection, text, edit, numbers[-1])
        )
    alone = sweep.explain("tiny/0/1+", "d", explainer="human")
    assert [catalogue.origin(number, "human") for number in numbers] == [explained] * 3
    assert catalogue.origin(alone, "human") == alone
