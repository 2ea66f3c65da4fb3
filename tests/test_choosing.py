"""Several explanations of a neuron: the best on `select` is scored on `test`; revised ones are kept if they are better."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import neuroexplain as nx
from neuroexplain.config import ScoreConfig
from neuroexplain.pipeline import score_explanation
from neuroexplain.registry import create
from neuroexplain.run import Execution
from neuroexplain.testing import serve
from neuroexplain.truth import truth_of
from tests.lives import answer, content
from tests.program import neuroexplain
from tests.sweeps import Sweeps, error_of

NEURONS = 25


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def sweep(catalogue: Path, url: str, neurons: int = NEURONS, **options: Any) -> nx.RunResult:
    with nx.Catalogue(catalogue) as opened:
        return nx.sweep(
            opened,
            neurons=f"0:0-{neurons - 1}",
            explainer="token-activation",
            simulator="sparse",
            llm="openai:test-model",
            base_url=f"{url},name=here",
            quantile=0,
            execution=Execution(probe=False, processes=0),
            **options,
        )


def rows(catalogue: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(catalogue)) as connection:
        return connection.execute(query).fetchall()


def selected(catalogue: Path) -> dict[int, dict[int, float]]:
    """By neuron: what its explanations are worth on `select`, computed anew from the stored simulations."""
    found: dict[int, dict[int, float]] = defaultdict(dict)
    config = ScoreConfig(quantile=0, bootstrap=0, null=0)
    with nx.Catalogue(catalogue, read_only=True) as opened:
        collection = opened.collection()
        for number, explanation_id, neuron_id in rows(
            catalogue,
            "SELECT s.id, e.id, e.neuron_id FROM simulation s JOIN explanation e ON e.id = s.explanation_id"
            " WHERE s.split = 'select'",
        ):
            explanation = opened.explanation(explanation_id)
            truth = truth_of(
                *(opened, collection, explanation.neuron, "select", config), explanation.scale
            )
            (score,) = score_explanation(
                *(opened.simulation(number), truth, None),
                scorers=[create("scorer", "correlation", {})],
                nulls=(),
                config=config,
            )
            found[neuron_id][explanation_id] = -2.0 if score.value is None else score.value
    return found


def scored_on_test(catalogue: Path) -> dict[int, set[int]]:
    """By neuron: the explanations that are scored on `test`."""
    found: dict[int, set[int]] = defaultdict(set)
    for neuron, explanation in rows(
        catalogue,
        "SELECT e.neuron_id, e.explanation_id FROM v_scores s JOIN v_explanations e USING (explanation_id)"
        " WHERE s.split = 'test' AND s.scorer = 'correlation'",
    ):
        found[neuron].add(explanation)
    return found


def test_the_best_on_select_is_scored_on_test(sweeps: Sweeps, tmp_path: Path) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    with serve(answer) as server:
        result = sweep(catalogue, server.base_url, candidates=3)
        bought = len(server.chats)
        assert result.finished and not result.failed
        again = sweep(catalogue, server.base_url, candidates=3)
    assert len(server.chats) == bought, "a second time costs nothing"
    assert again.counts["reused"] > 0 and "explained" not in again.counts
    worth, scored = selected(catalogue), scored_on_test(catalogue)
    assert len(worth) == len(scored) == NEURONS
    for neuron, values in worth.items():
        assert 1 < len(values) <= 3  # of a neuron with few exemplars two may read alike
        best = max(values, key=lambda e: (values[e], -e))
        assert scored[neuron] == {best}, "the others are not reported"
    # What was chosen by is in the catalogue, apart from what is reported.
    ((n,),) = rows(catalogue, "SELECT count(*) FROM v_scores WHERE split = 'select'")
    assert n == sum(map(len, worth.values())) > 2 * NEURONS
    # It is not always the first.
    firsts = sum(max(v, key=lambda e: (v[e], -e)) == min(v) for v in worth.values())
    assert 0 < firsts < NEURONS


def test_nothing_of_the_test_split_is_simulated_before_the_choice(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    with serve(answer) as server:
        sweep(catalogue, server.base_url, candidates=3)
    counts = dict(rows(catalogue, "SELECT split, count(*) FROM simulation GROUP BY split"))
    assert counts["test"] == NEURONS and 2 * NEURONS < counts["select"] <= 3 * NEURONS


def test_candidates_of_the_same_text_are_simulated_once(sweeps: Sweeps, tmp_path: Path) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")

    def same(body: dict[str, Any]) -> str:
        return answer(body) if "JSON list" in body["messages"][-1]["content"] else "always this"

    with serve(same) as server:
        result = sweep(catalogue, server.base_url, candidates=4)
    assert result.counts["explained"] == result.counts["simulated"] == NEURONS
    assert "tried" not in result.counts  # there was no choice
    counts = dict(rows(catalogue, "SELECT split, count(*) FROM simulation GROUP BY split"))
    assert counts == {"test": NEURONS}


def test_a_bad_candidate_is_no_failed_neuron(sweeps: Sweeps, tmp_path: Path) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    seen: dict[str, int] = defaultdict(int)

    def some_empty(body: dict[str, Any]) -> str:
        text = answer(body)
        return (
            ""
            if "JSON list" not in body["messages"][-1]["content"] and hash_of(body) % 3 == 0
            else text
        )

    def hash_of(body: dict[str, Any]) -> int:
        text = json.dumps(body["messages"])
        seen[text] += 1
        return sum(map(ord, text))

    with serve(some_empty) as server:
        result = sweep(catalogue, server.base_url, candidates=4)
    failed = rows(catalogue, "SELECT reason, raw_reply FROM explanation WHERE status = 'failed'")
    assert failed and set(failed) == {("empty_reply", "")}
    good = len(scored_on_test(catalogue))
    assert result.failed == NEURONS - good and good > NEURONS / 2


def test_a_revision_is_kept_where_it_is_better(sweeps: Sweeps, tmp_path: Path) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    with serve(answer) as server:
        result = sweep(catalogue, server.base_url, revise=2)
        bought = len(server.chats)
        sweep(catalogue, server.base_url, revise=2)
    assert len(server.chats) == bought and result.finished
    worth, scored = selected(catalogue), scored_on_test(catalogue)
    parents = dict(
        rows(catalogue, "SELECT explanation_id, parent_id FROM v_explanations WHERE parent_id > 0")
    )
    kept = 0
    for neuron, values in worth.items():
        (chosen,) = scored[neuron]
        assert values[chosen] == max(values.values())
        for explanation in values:
            if explanation in parents:
                kept += chosen == explanation
                assert parents[explanation] in values
        # A revision of a revision exists only where the first was better.
        for child, parent in parents.items():
            if child in values and parent in parents:
                assert values[parent] > values[parents[parent]]
    assert 0 < kept < len(parents)
    purposes = dict(rows(catalogue, "SELECT purpose, count(*) FROM v_llm_calls GROUP BY purpose"))
    assert purposes["revise"] == len(parents) and purposes["explain"] == NEURONS
    revising = [c for c in server.chats if "JSON list" not in c["messages"][-1]["content"]]
    first = rows(catalogue, "SELECT text FROM explanation WHERE parent_id IS NULL")
    assert any(t in c["messages"][-1]["content"] for (t,) in first for c in revising)


@pytest.mark.parametrize("calls", [10, 60, 110])
def test_a_choice_that_a_limit_cut_off_goes_on_to_the_same(
    sweeps: Sweeps, tmp_path: Path, calls: int
) -> None:
    whole, part = sweeps.copy(tmp_path / "whole.sqlite"), sweeps.copy(tmp_path / "part.sqlite")
    options = {"candidates": 2, "revise": 1}
    with serve(answer) as server:
        sweep(whole, server.base_url, **options)
        everything = len(server.chats)
    arguments = (
        *("sweep", *sweeps.collecting, "--neurons", f"0:0-{NEURONS - 1}"),
        *("--explainer", "token-activation", "--simulator", "sparse", "--score-quantile", "0"),
        *("--llm", "openai:test-model", "--no-probe", "--candidates", "2", "--revise", "1"),
    )
    with serve(answer) as server:
        here = ("--base-url", f"{server.base_url},name=here", "--catalogue", str(part))
        cut = neuroexplain(*arguments, *here, "--max-calls", str(calls))
        assert "--max-calls" in error_of(cut) and len(server.chats) == calls
        done = neuroexplain(*arguments, *here)
        assert done.code == 0, done.err
        assert len(server.chats) == everything
    assert content(part) == content(whole)


def test_without_a_language_model_there_is_no_choice(sweeps: Sweeps, tmp_path: Path) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    found = neuroexplain(
        *("sweep", *sweeps.collecting, "--explainer", "ngram", "--candidates", "2"),
        *("--catalogue", str(catalogue)),
    )
    assert error_of(found) == (
        'explainer "ngram" asks no language model, so that there is nothing to choose from; leave out --candidates and '
        "--revise"
    )
