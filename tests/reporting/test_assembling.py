"""Which explanations and scores a report is about, and how they are grouped."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

import neuroexplain as nx
from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import CatalogueError, ConfigError, NeuroexplainError
from neuroexplain.reporting import Report, Scope, assemble
from neuroexplain.reporting.results import Method
from tests.reporting.made import Made, score


def values(report: Report) -> dict[tuple[str, str], float | None]:
    """Scores by neuron and text."""
    return {(row.neuron, row.text): row.value for row in report.rows()}


def test_the_newest_run_with_scores(made: Made) -> None:
    first, second, third = made.run("a"), made.run("b"), made.run("c")
    made.score(first, made.explain(first, "0/0", "old"), score(0.1))
    made.score(second, made.explain(second, "0/0", "new"), score(0.2))
    made.explain(third, "0/1", "nobody has scored it")
    assert values(assemble(made.catalogue)) == {("tiny/0/0+", "new"): 0.2}
    assert values(assemble(made.catalogue, Scope((first,)))) == {("tiny/0/0+", "old"): 0.1}
    both = assemble(made.catalogue, Scope((second, first)))
    assert len(values(both)) == 2 and [run["run_id"] for run in both.runs] == [first, second]


def test_runs_of_the_same_work_belong_together(made: Made) -> None:
    first, other, second = made.run("same", state="interrupted"), made.run("b"), made.run("same")
    made.score(first, made.explain(first, "0/0"), score(0.1))
    made.score(other, made.explain(other, "0/3"), score(0.9))
    made.score(second, made.explain(second, "0/1"), score(0.2))
    for run in (first, second):
        found = assemble(made.catalogue, Scope((run,)))
        assert values(found) == {("tiny/0/0+", "words"): 0.1, ("tiny/0/1+", "words"): 0.2}
        assert [run["run_id"] for run in found.runs] == [first, second]


def test_candidates_scored_on_select_are_not_mixed_in(made: Made) -> None:
    run = made.run()
    chosen, left = made.explain(run, "0/0", "chosen"), made.explain(run, "0/0", "left")
    for number, value in ((chosen, 0.9), (left, 0.8)):
        made.score(run, number, score(value), split="select")
    made.score(run, chosen, score(0.4))
    found = assemble(made.catalogue)
    assert values(found) == {("tiny/0/0+", "chosen"): 0.4}
    assert (found.n_neurons, found.n_explanations, found.unscored) == (1, 2, 1)
    assert not any("share a split" in caveat for caveat in found.caveats)


def test_only_the_newest_of_scores_and_of_explanations_counts(made: Made) -> None:
    first, second = made.run("a"), made.run("b")
    number = made.explain(first, "0/0")
    made.score(first, number, score(0.1))
    made.score(second, number, score(0.2))
    again = made.explain(second, "0/1", "anew")
    made.score(second, again, score(0.3))
    made.score(second, made.explain(second, "0/1", "anew"), score(0.4))
    found = assemble(made.catalogue, Scope(neurons="0:0-1"))
    assert values(found) == {("tiny/0/0+", "words"): 0.2, ("tiny/0/1+", "anew"): 0.4}


def test_a_run_that_only_explains_has_the_scores_of_others(made: Made) -> None:
    explaining, scoring = made.run("a"), made.run("b")
    number = made.explain(explaining, "0/0")
    made.fail(explaining, "0/1")
    made.score(scoring, number, score(0.5))
    by_explaining, by_scoring = (
        assemble(made.catalogue, Scope((run,))) for run in (explaining, scoring)
    )
    assert values(by_explaining) == values(by_scoring) == {("tiny/0/0+", "words"): 0.5}
    assert by_explaining.failures == {"parse_failed": 1} and by_scoring.failures == {}


def test_methods_and_scorers_are_apart_and_families_of_their_own(made: Made) -> None:
    run = made.run()
    for index, p in enumerate((0.01, 0.04)):
        number = made.explain(run, f"0/{index}")
        made.score(run, number, score(0.5, p=p), score(0.6, p=p, scorer="other"))
        made.score(run, number, score(0.7, p=p), simulator="sparse", llm="openai:m")
    written = made.explain(run, "0/0", explainer="token-activation", llm="openai:m")
    made.score(run, written, score(0.8, p=0.05))
    found = assemble(made.catalogue)
    sections = {(s.scorer, str(s.method)): s.total.n for s in found.sections}
    assert sections == {
        ("correlation", "fixed → made"): 2,
        ("correlation", "fixed → sparse (openai:m)"): 2,
        ("correlation", "token-activation (openai:m) → made"): 1,
        ("other", "fixed → made"): 2,
    }
    assert found.scorers == ("correlation", "other")
    assert found.sections[1].method == Method("fixed", None, "sparse", "openai:m")
    q = {
        (row.scorer, row.simulator, row.explainer, row.p_value): row.q_value for row in found.rows()
    }
    # Of two p-values the smaller is doubled; one alone is its own q-value.
    assert q["correlation", "made", "fixed", 0.01] == pytest.approx(0.02)
    assert q["correlation", "made", "fixed", 0.04] == pytest.approx(0.04)
    assert q["other", "made", "fixed", 0.01] == pytest.approx(0.02)
    assert q["correlation", "made", "token-activation", 0.05] == pytest.approx(0.05)


def test_best_and_worst_never_overlap(made: Made) -> None:
    run = made.run()
    numbers = [0.3, 0.1, None, 0.9, 0.5]
    for index, value in enumerate(numbers):
        made.score(
            run, made.explain(run, f"{index // 4}/{index % 4}".replace("1/", "2/")), score(value)
        )
    shown = {
        n: [[row.value for row in rows] for rows in (s.best, s.worst)]
        for n in (0, 1, 3, 5)
        for s in assemble(made.catalogue, examples=n).sections
    }
    assert shown == {
        0: [[], []],
        1: [[0.9], [0.1]],
        3: [[0.9, 0.5, 0.3], [0.1]],
        5: [[0.9, 0.5, 0.3, 0.1], []],
    }


def test_failures_are_counted_by_reason_and_dead_neurons_are_none(made: Made) -> None:
    run = made.run()
    made.fail(run, "0/0", "dead_neuron")
    made.fail(run, "0/1", "parse_failed")
    made.fail(run, "0/2", "refused")
    made.explain(run, "0/2", "a later try worked")
    made.fail(run, "0/3", "parse_failed")
    number = made.explain(run, "2/0")
    made.score(run, number, score(0.5), failed=["bad_levels", "refused"])
    made.score(run, made.explain(run, "2/1"), score(0.5), failed=["bad_levels"])
    found = assemble(made.catalogue)
    # The failed try is of another key, so it stands.
    assert (found.dead, found.failures) == (1, {"parse_failed": 2, "refused": 1})
    assert found.failed_spans == {"bad_levels": 2, "refused": 1}
    assert (found.n_neurons, found.n_explanations, found.unscored) == (6, 3, 1)


def test_a_run_in_which_all_failed(made: Made) -> None:
    run = made.run()
    made.fail(run, "0/0", "refused")
    made.fail(run, "0/1", "refused")
    found = assemble(made.catalogue)
    assert (found.sections, found.failures, found.n_explanations) == ((), {"refused": 2}, 0)
    assert list(found.rows()) == [] and found.to_json()["scores"] == []


def test_one_neuron(made: Made) -> None:
    run = made.run()
    made.score(run, made.explain(run, "0/0"), score(0.5, p=1 / 21))
    (section,) = assemble(made.catalogue).sections
    total = section.total
    assert (total.q25, total.median, total.q90) == (0.5, 0.5, 0.5)
    assert (total.p_below, total.q_below) == (1, 1)
    assert [row.q_value for row in section.best] == [pytest.approx(1 / 21)]
    assert section.worst == ()


@pytest.mark.parametrize(
    ("scope", "neurons"),
    [
        (Scope(neurons="0:0"), "0/0+"),
        (Scope(neurons="0:*,2:1-"), "0/0+ 0/1+ 2/1-"),
        (Scope(neurons="*"), "0/0+ 0/1+ 2/0+"),
        (Scope(subject="tiny"), "0/0+ 0/1+ 2/0+ 2/1-"),
        (Scope(explainers=("ngram",)), "2/0+ 2/1-"),
        (Scope(explainers=("ngram", "fixed")), "0/0+ 0/1+ 2/0+ 2/1-"),
        (Scope(runs=(2,), neurons="0:*,2:*"), "2/0+"),
        (Scope(runs=(1,), explainers=("fixed",)), "0/0+ 0/1+"),
    ],
)
def test_filters(made: Made, scope: Scope, neurons: str) -> None:
    first, second = made.run("a"), made.run("b")
    assert (first, second) == (1, 2)
    for run, place, explainer in (
        (first, "0/0", "fixed"),
        (first, "0/1", "fixed"),
        (second, "2/0", "ngram"),
        (second, "2/1-", "ngram"),
    ):
        made.score(run, made.explain(run, place, explainer=explainer), score(0.5))
    found = assemble(made.catalogue, scope)
    assert " ".join(sorted(row.neuron.removeprefix("tiny/") for row in found.rows())) == neurons
    assert {run["run_id"] for run in found.runs} <= {first, second}


def test_only_some_scorers(made: Made) -> None:
    run = made.run()
    made.score(run, made.explain(run, "0/0"), score(0.5), score(0.7, scorer="other"))
    found = assemble(made.catalogue, Scope(scorers=("other",)))
    assert [(row.scorer, row.value) for row in found.rows()] == [("other", 0.7)]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (Scope((9,)), "no run 9 in this catalogue"),
        (Scope((2,)), "run 2 has explained and scored nothing"),
        (Scope(explainers=("nagram",)), 'unknown explainer "nagram"; known: ngram; did you mean'),
        (Scope(scorers=("corelation",)), 'unknown scorer "corelation"; known: correlation'),
        (Scope(neurons="5:*"), "layer 5 is not recorded; there are 0,2"),
        (Scope(neurons="2:*"), "there is no explanation to report on"),
        (Scope(subject="other"), 'unknown subject "other"; known: tiny'),
        (Scope((1,), subject="other"), "run 1 is of subject tiny, not other"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(made: Made, scope: Scope, message: str) -> None:
    run, _ = made.run("a"), made.run("b")
    made.score(run, made.explain(run, "0/0", explainer="ngram"), score(0.5))
    with pytest.raises(NeuroexplainError) as refused:
        assemble(made.catalogue, scope)
    assert isinstance(refused.value, CatalogueError | ConfigError)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_nothing_at_all(made: Made, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="nothing has been explained or scored"):
        assemble(made.catalogue)
    with (
        Catalogue(tmp_path / "new.sqlite") as empty,
        pytest.raises(CatalogueError, match="nothing"),
    ):
        assemble(empty)


def test_runs_of_different_collections_are_refused(made: Made) -> None:
    first = made.run("a")
    made.score(first, made.explain(first, "0/0"), score(0.5))
    made.collect_again()
    second = made.run("b")
    made.score(second, made.explain(second, "0/0"), score(0.6))
    assert values(assemble(made.catalogue, Scope((first,)))) == {("tiny/0/0+", "words"): 0.5}
    with pytest.raises(CatalogueError, match="different collections"):
        assemble(made.catalogue, Scope((first, second)))


def test_texts_that_several_neurons_have(made: Made) -> None:
    run = made.run()
    for place, text in (
        ("0/0", "Words about  rivers"),
        ("0/1", "words about rivers"),
        ("0/2", "words about lakes"),
        ("0/3", "various words"),
        ("2/0", "various words"),
        ("2/1", "various words"),
    ):
        made.explain(run, place, text)
    made.explain(run, "0/2", "Words about lakes")  # the same neuron's: no repeat
    made.explain(run, "0/0", "Words about  rivers", explainer="ngram")
    fixed, ngram = assemble(made.catalogue).repeats
    assert (fixed.explainer, fixed.n, fixed.shared) == ("fixed", 6, 5)
    assert fixed.most == (("various words", 3), ("Words about  rivers", 2))
    assert (ngram.explainer, ngram.n, ngram.shared, ngram.most) == ("ngram", 1, 0, ())


def test_json_and_frame_hold_every_score_and_no_nan(made: Made) -> None:
    run = made.run()
    made.score(run, made.explain(run, "0/0", "a"), score(0.5, p=0.04), score(None, scorer="other"))
    made.score(run, made.explain(run, "0/1", "b"), score(0.1, floor=None, null_mean=None))
    found = nx.report(made.catalogue, run=run)
    rows = [asdict(row) for row in found.rows()]
    assert [(r["scorer"], r["text"], r["value"], r["q_value"], r["floor"]) for r in rows] == [
        ("correlation", "a", 0.5, 0.04, 0.3),
        ("correlation", "b", 0.1, None, None),
        ("other", "a", None, None, 0.3),
    ]
    frame = found.to_frame()
    assert list(frame.columns) == list(rows[0]) and len(frame) == 3
    assert frame["value"][0] == 0.5 and math.isnan(frame["value"][2])
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [(s["scorer"], s["all"]["n"]) for s in plain["scores"]] == [
        ("correlation", 2),
        ("other", 1),
    ]
    assert plain["runs"][0]["run_id"] == run and not {"host", "pid"} & plain["runs"][0].keys()
