"""How queues are drawn: the same again by the same seed, fair to the population, and as the plan says."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from neuroexplain.catalogue import Catalogue, Frame, Reviews
from neuroexplain.errors import AbsentError, ConfigError
from neuroexplain.queueing import Plan, plan
from neuroexplain.queueing.plans import Skip
from neuroexplain.queueing.strata import allocate, draw, stratify
from neuroexplain.reviewed import (
    Adjudicated,
    Data,
    Event,
    Judged,
    Preferred,
    QueueItem,
    Target,
    Verdict,
)


@pytest.fixture(scope="module")
def catalogue(generated: Path) -> Iterator[Catalogue]:
    """96 neurons in 4 layers, 500 explanations by several methods."""
    with Catalogue(generated, read_only=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def frame(catalogue: Catalogue) -> Frame:
    return catalogue.frame()


@pytest.fixture
def reviews(tmp_path: Path) -> Iterator[Reviews]:
    with Reviews(tmp_path / "r.reviews.sqlite") as opened:
        yield opened


def say(
    reviews: Reviews, who: str, target: Target, data: Data, other: Target | None = None
) -> None:
    reviews.add(Event(uuid4().hex, who, target, data, "2026-01-01T00:00:00+00:00", other))


def items(catalogue: Catalogue, reviews: Reviews, **wanted: Any) -> list[QueueItem]:
    return plan(catalogue, reviews, Plan("q", **wanted), by="ann")[1]


def test_the_same_seed_draws_the_same(catalogue: Catalogue, reviews: Reviews) -> None:
    wanted = {"n": 60, "strata": ("layer", "score"), "shared": 0.25, "seed": 7}
    first = items(catalogue, reviews, **wanted)
    assert items(catalogue, reviews, **wanted) == first
    assert items(catalogue, reviews, **wanted | {"seed": 8}) != first
    assert [item.position for item in first] == list(range(len(first)))
    assert sum(item.shared for item in first) == round(0.25 * len(first))


def test_strata_and_weights_add_up_to_the_population(
    catalogue: Catalogue, reviews: Reviews, frame: Frame
) -> None:
    wanted = Plan("q", n=120, strata=("layer", "score", "polarity"))
    queue, found = plan(catalogue, reviews, wanted, by="ann")
    assert sum(s.population for s in queue.strata) == len(frame)
    assert sum(s.sampled for s in queue.strata) == 120
    assert all(1 <= s.sampled <= s.population for s in queue.strata)
    assert sum(item.weight or 0 for item in found) == pytest.approx(len(frame))
    assert queue.plan["population"] == len(frame)
    names = [s.name for s in queue.strata]
    assert names[0].startswith("layer 0, score below 0, ")
    assert any("no score" in name for name in names)
    written = reviews.make_queue(queue, found)
    assert reviews.items(written) == found
    assert written.strata == queue.strata


def test_equal_texts_on_a_neuron_are_one_item_whose_weights_add_up(
    catalogue: Catalogue, reviews: Reviews, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(catalogue.path, copy)
    (pair, *_) = items(catalogue, reviews, kind="pairs", n=1)
    assert pair.other is not None
    (first,) = catalogue.explanations_saying(pair.target)
    (second,) = catalogue.explanations_saying(pair.other)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(
            "UPDATE explanation SET text = (SELECT text FROM explanation WHERE id = ?) WHERE id = ?",
            (first, second),
        )
    with Catalogue(copy, read_only=True) as changed:
        everything = items(changed, reviews, n=10_000)
        n = len(changed.frame())
    weights = {item.target: item.weight for item in everything}
    assert weights.pop(pair.target) == 2
    assert set(weights.values()) == {1}
    assert len(weights) == n - 2


@pytest.mark.parametrize("allocation", ["proportional", "equal", "optimal"])
def test_weighted_means_are_right_on_average(frame: Frame, allocation: Any) -> None:
    """Over many seeds the estimate has the population's mean, and strata what their names say."""
    answer = (frame.score > 0.5).astype(float) + 0.1 * frame.layer
    wanted = {"n": 60, "strata": ("layer", "score"), "allocation": allocation}
    estimates = []
    for seed in range(400):
        sample = draw(frame, Plan("q", seed=seed, **wanted))
        estimates.append(float((sample.weight * answer[sample.rows]).sum() / len(frame)))
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - answer.mean()) < 4 * error + 1e-12


def test_explanations_are_drawn_as_often_as_their_weights_say(frame: Frame) -> None:
    counts, chance = np.zeros(len(frame)), np.zeros(len(frame))
    seeds = 600
    for seed in range(seeds):
        sample = draw(frame, Plan("q", seed=seed, n=80, strata=("score",), allocation="equal"))
        assert len(set(sample.rows.tolist())) == 80
        counts[sample.rows] += 1
        chance[sample.rows] = 1 / sample.weight
    assert (chance > 0).all()
    error = np.sqrt(chance * (1 - chance) / seeds)
    assert (np.abs(counts / seeds - chance) <= 5 * error).all()


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(st.data())
def test_what_is_drawn_from_strata_adds_up(data: st.DataObject) -> None:
    sizes = np.array(data.draw(st.lists(st.integers(1, 10_000), min_size=1, max_size=30)))
    guesses = np.array(
        data.draw(st.lists(st.floats(0, 1), min_size=len(sizes), max_size=len(sizes)))
    )
    n = data.draw(st.integers(len(sizes), int(sizes.sum())))
    for allocation in ("proportional", "equal", "optimal"):
        counts = allocate(sizes, guesses, n, allocation)
        assert counts.sum() == n
        assert (counts >= 1).all()
        assert (counts <= sizes).all()


def test_allocations() -> None:
    sizes, guesses = np.array([800, 150, 50]), np.array([0.95, 0.5, 0.5])
    assert allocate(sizes, guesses, 100, "proportional").tolist() == [80, 15, 5]
    assert allocate(sizes, guesses, 90, "equal").tolist() == [30, 30, 30]
    assert allocate(sizes, guesses, 180, "equal").tolist() == [65, 65, 50]
    assert allocate(sizes, guesses, 100, "optimal").tolist() == [71, 22, 7]


def test_bins_with_equally_many(frame: Frame) -> None:
    of_row, names = stratify(frame, Plan("q", strata=("score",), bins="quantiles", n_bins=4))
    sizes = np.bincount(of_row)
    assert names[-1] == "no score"
    assert sizes[-1] == np.isnan(frame.score).sum()
    assert max(sizes[:-1]) - min(sizes[:-1]) <= 2


def test_a_population_smaller_than_wanted_is_taken_whole(
    catalogue: Catalogue, reviews: Reviews
) -> None:
    found = items(catalogue, reviews, query="layer:1 score>=0.6", strata=("method",), n=1_000)
    rows = catalogue.search("layer:1 score>=0.6", limit=500).rows
    assert sum(item.weight or 0 for item in found) == len(rows)
    assert {item.target.neuron.layer for item in found} == {1}


def test_a_search_is_followed_in_its_order(catalogue: Catalogue, reviews: Reviews) -> None:
    query = "layer:0..1 score>=0.3 sort:score"
    found = items(catalogue, reviews, kind="query", query=query, n=25)
    rows = catalogue.search(query, limit=100).rows
    targets = catalogue.targets([row.explanation_id for row in rows])
    order = list(dict.fromkeys(targets[row.explanation_id] for row in rows))
    assert [item.target for item in found] == order[:25]
    assert all(item.weight is None and item.stratum is None for item in found)
    limited = items(catalogue, reviews, kind="query", query=f"{query} limit:4", n=25)
    assert [item.target for item in limited] == order[:4]


def test_what_was_decided_is_left_out(catalogue: Catalogue, reviews: Reviews) -> None:
    query = "layer:0 score>=0.3"
    first = items(catalogue, reviews, query=query, n=1_000)
    say(reviews, "ann", first[0].target, Judged("wrong"))
    say(reviews, "bob", first[1].target, Judged("correct"))
    gone_by: dict[Skip, set[int]] = {"none": set(), "own": {0}, "all": {0, 1}}
    for skip, gone in gone_by.items():
        queue, found = plan(
            catalogue, reviews, Plan("q", query=query, n=1_000, skip=skip), by="ann"
        )
        left = {item.target for item in found}
        assert left == {item.target for place, item in enumerate(first) if place not in gone}
        total = sum(item.weight or 0 for item in first if item.target in left)
        assert queue.plan["population"] == total
        followed = items(catalogue, reviews, kind="query", query=query, n=1_000, skip=skip)
        assert {item.target for item in followed} == left


def test_pairs_are_of_one_neuron_and_of_the_methods_asked_for(
    catalogue: Catalogue, reviews: Reviews, frame: Frame
) -> None:
    methods = ("keywords", "highlight")
    queue, found = plan(
        catalogue, reviews, Plan("q", kind="pairs", methods=methods, n=40), by="ann"
    )
    assert queue.mode == "pairwise"
    rated = catalogue.rated({t for item in found for t in (item.target, item.other) if t})
    left = 0
    for item in found:
        assert item.other is not None
        assert item.other.neuron == item.target.neuron
        own, other = ({r.method.explainer for r in rated[t]} for t in (item.target, item.other))
        assert {"keywords", "highlight"} <= own | other
        left += "keywords" in own
    assert 0 < left < len(found)
    say(reviews, "bob", found[0].target, Preferred("left"), found[0].other)
    again = items(catalogue, reviews, kind="pairs", methods=methods, n=40, skip="all")
    assert frozenset((found[0].target, found[0].other)) not in {
        frozenset((item.target, item.other)) for item in again
    }


def test_what_reviewers_differ_on_is_to_be_settled_once(
    catalogue: Catalogue, reviews: Reviews
) -> None:
    with pytest.raises(ConfigError, match="no explanation has different verdicts"):
        items(catalogue, reviews, kind="adjudication")
    targets = [item.target for item in items(catalogue, reviews, n=8)]
    given: dict[str, tuple[Verdict, ...]] = {
        "ann": ("correct", "correct", "wrong", "cannot-tell"),
        "bob": ("correct", "wrong", "partly", "wrong"),
        "cid": ("correct", "wrong", "correct", "wrong"),
    }
    for who, verdicts in given.items():
        for target, verdict in zip(targets, verdicts, strict=False):
            say(reviews, who, target, Judged(verdict))
    found = items(catalogue, reviews, kind="adjudication")
    assert [item.target for item in found] == [targets[2], targets[1]]
    say(reviews, "dee", targets[2], Adjudicated("partly"))
    assert [i.target for i in items(catalogue, reviews, kind="adjudication")] == [targets[1]]
    say(reviews, "dee", targets[1], Adjudicated("wrong"))
    with pytest.raises(ConfigError, match="differ on 2 explanations, and all of them are settled"):
        items(catalogue, reviews, kind="adjudication")
    with pytest.raises(AbsentError):
        items(catalogue, reviews, kind="adjudication", queue="0" * 32)


def test_methods_disagree_the_most_where_it_begins(catalogue: Catalogue, reviews: Reviews) -> None:
    found = items(catalogue, reviews, kind="disagreement", methods=("keywords", "highlight"), n=15)
    targets = {t for item in found for t in (item.target, item.other) if t}
    rated = catalogue.rated(targets)

    def newest(target: Target, explainer: str) -> float | None:
        own = [r.correlation for r in rated[target] if r.method.explainer == explainer]
        return own[-1] if own else None

    differences = []
    for item in found:
        assert item.other is not None
        both = (item.target, item.other)
        first = [s for t in both if (s := newest(t, "keywords")) is not None]
        second = [s for t in both if (s := newest(t, "highlight")) is not None]
        differences.append(first[0] - second[0])
    assert all(a >= b > 0 for a, b in pairwise(differences))


def test_people_disagree_with_scores(catalogue: Catalogue, reviews: Reviews) -> None:
    high = [i.target for i in items(catalogue, reviews, kind="query", query="score>=0.6", n=3)]
    low = [i.target for i in items(catalogue, reviews, kind="query", query="score<0.1", n=3)]
    verdicts: tuple[Verdict, ...] = ("correct", "wrong", "partly")
    for target, verdict in [*zip(high, verdicts, strict=True), *zip(low, verdicts, strict=True)]:
        say(reviews, "ann", target, Judged(verdict))
    found = items(catalogue, reviews, kind="disagreement", between="human")
    assert {item.target for item in found} == {high[1], low[0]}
    some = items(catalogue, reviews, kind="disagreement", between="human", query="score>=0.6")
    assert [item.target for item in some] == [high[1]]


def test_judges_disagree_by_their_ranks(
    catalogue: Catalogue, reviews: Reviews, frame: Frame
) -> None:
    from scipy.stats import rankdata

    measures = ("correlation", "detection")
    found = items(catalogue, reviews, kind="disagreement", between="judges", measures=measures, n=5)
    first, second = (catalogue.values_of(frame, name) for name in measures)
    both = ~np.isnan(first) & ~np.isnan(second)
    apart = np.abs(rankdata(first[both]) - rankdata(second[both]))
    rows = frame.explanation[both][np.argsort(-apart, kind="stable")][:5].tolist()
    targets = catalogue.targets(rows)
    assert [item.target for item in found] == list(dict.fromkeys(targets[row] for row in rows))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"kind": "smaple"}, 'did you mean "sample"'),
        ({"kind": "pairs", "blind": "explanation"}, "not in a queue of kind pairs"),
        ({"kind": "simulation", "blind": "explanation"}, "not in a queue of kind simulation"),
        ({"n": 0}, "n must be 1 to 10000, not 0"),
        ({"strata": ("layer", "layer")}, "each once"),
        (
            {"kind": "query", "strata": ("layer",)},
            "strata: of a queue of kind sample or simulation",
        ),
        ({"methods": ("keywords",)}, "methods: of a queue of kind pairs"),
        ({"kind": "disagreement", "methods": ("keywords",)}, "needs two of them"),
        ({"kind": "disagreement", "between": "judges"}, "needs two different measures"),
        ({"kind": "adjudication", "skip": "own"}, "skip: this queue is of what has been decided"),
        ({"kind": "adjudication", "query": "river"}, "query: what reviewers differ on"),
        ({"queue": "0" * 32}, "queue: of a queue of kind adjudication"),
        (
            {"strata": ("layer", "score"), "n": 5},
            r"strata have explanations, and 5 are to be drawn: raise n",
        ),
        ({"query": "layer:99"}, "no explanation is left to draw"),
        ({"kind": "pairs", "methods": ("keywords", "hilight")}, 'did you mean "highlight"'),
        ({"kind": "pairs", "methods": ("keywords", "token-activation")}, "several language models"),
        ({"kind": "pairs", "methods": ("keywords", "keywords")}, "two methods at least"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    catalogue: Catalogue, reviews: Reviews, wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        items(catalogue, reviews, **wanted)


def test_a_simulation_queue_has_spans_to_mark(catalogue: Catalogue, reviews: Reviews) -> None:
    queue, found = plan(catalogue, reviews, Plan("q", kind="simulation", n=6), by="ann")
    assert queue.mode == "simulation"
    collection = catalogue.collection("made")
    for item in found:
        assert catalogue.exemplars(collection, item.target.neuron, "test")
