"""The comparison of methods: by the interface, on its page, and the queue that is made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.searching.recall import Recall
from neuroexplain.records import Explanation, NeuronId
from neuroexplain.review.views.scatters import scatter
from neuroexplain.reviewed import Event, Preferred, Target, Winner
from tests.review.conftest import Site, Visit

FIRST, SECOND = "highlight, gpt-4o-mini", "keywords"


def ask(site: Site, **more: Any) -> Any:
    wanted = {"first": FIRST, "second": SECOND} | more
    answer = site.client().get("/api/v1/comparison", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_numbers_are_those_of_the_pairs(site: Site) -> None:
    found = ask(site, limit=500)
    apart = [pair["first_score"] - pair["second_score"] for pair in found["pairs"]]
    assert found["scored"] == len(apart) > 10
    assert found["common"] >= found["scored"]
    assert found["mean_difference"]["value"] == pytest.approx(np.mean(apart))
    assert found["mean_difference"]["low"] < np.mean(apart) < found["mean_difference"]["high"]
    assert found["median_difference"] == pytest.approx(np.median(apart))
    assert found["first_better"]["value"] == pytest.approx(np.mean([d > 0 for d in apart]))
    assert apart == sorted(apart, reverse=True)
    assert found["next"] is None
    turned = ask(site, first=SECOND, second=FIRST, limit=500)
    assert turned["mean_difference"]["value"] == pytest.approx(-np.mean(apart))
    assert turned["sign_test_p"] == pytest.approx(found["sign_test_p"])


def test_pages_follow_each_other(site: Site) -> None:
    whole = ask(site, limit=500)["pairs"]
    read, after = [], None
    while True:
        page = ask(site, limit=7, **({} if after is None else {"after": after}))
        read += page["pairs"]
        after = page["next"]
        if after is None:
            break
    assert read == whole


def test_what_reviewers_chose_stands_beside(site: Site) -> None:
    winners: tuple[Winner, ...] = ("left", "right", "tie")
    for pair, winner in zip(ask(site, limit=3)["pairs"], winners, strict=True):
        first, second = (_target(pair["neuron"], pair[side]) for side in ("first", "second"))
        _choose(site, first, winner, second)
    assert ask(site)["chosen"] == {"first": 1, "second": 1, "tie": 1}
    pair = ask(site, limit=4)["pairs"][3]
    first, second = (_target(pair["neuron"], pair[side]) for side in ("first", "second"))
    _choose(site, second, "left", first)
    assert ask(site)["chosen"] == {"first": 1, "second": 2, "tie": 1}
    assert ask(site, first=SECOND, second=FIRST)["chosen"] == {"first": 2, "second": 1, "tie": 1}


def test_of_a_reviewer_the_last_choice_on_a_pair_counts(site: Site) -> None:
    pair = ask(site, limit=1)["pairs"][0]
    first, second = (_target(pair["neuron"], pair[side]) for side in ("first", "second"))
    said: list[tuple[Target, Winner, Target]] = [
        *((first, "left", second), (first, "tie", second), (second, "left", first))
    ]
    for minute, (left, winner, right) in enumerate(said):
        _choose(site, left, winner, right, minute=minute)
    assert ask(site)["chosen"] == {"first": 0, "second": 1, "tie": 0}
    _choose(site, first, "left", second, by="bob")
    assert ask(site)["chosen"] == {"first": 1, "second": 1, "tie": 0}


def test_a_catalogue_that_changes_meanwhile_is_compared_as_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep writes, and another request sees it, between the reading of explanations and of their scores."""
    once = Recall.once
    before = ask(site, limit=500)
    neuron = NeuronId.parse(before["pairs"][0]["neuron"])
    written: list[str] = []

    def explain(text: str) -> None:
        with Catalogue(site.catalogue.path) as catalogue:
            run = catalogue.begin_run("another", "explain", {}, {})
            made = Explanation(neuron, "keywords", text, 1.0)
            catalogue.save_explanation(run, catalogue.collection(), text, made)
        written.append(text)

    def while_it_changes(recall: Recall, key: Any, find: Callable[[], object]) -> object:
        if "scores" in key and len(written) < 2:
            explain("in between")
            site.catalogue.sides()
        return once(recall, key, find)

    explain("before")
    monkeypatch.setattr(Recall, "once", while_it_changes)
    answers = [ask(site, limit=500) for _ in range(2)]
    assert written == ["before", "in between"]
    # The newest explanation of the neuron has no score, so its pair is left out.
    assert [a["scored"] for a in answers] == [before["scored"] - 1] * 2
    assert [a["common"] for a in answers] == [before["common"]] * 2


def _target(neuron: str, text: str) -> Target:
    return Target.of(NeuronId.parse(neuron), text)


def _choose(
    site: Site, target: Target, winner: Winner, other: Target, *, by: str = "ann", minute: int = 0
) -> None:
    at = f"2026-01-01T00:{minute:02}:00+00:00"
    site.reviews.add(Event(uuid4().hex, by, target, Preferred(winner), at, other))


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [
        ({"second": "keyword"}, 'unknown method or run "keyword"'),
        ({"second": FIRST}, "compared with itself"),
        ({"measure": "corelation"}, 'unknown measure "corelation"'),
        ({"after": 10**9}, "the page before has changed"),
    ],
)
def test_what_is_not_there_is_said(site: Site, wanted: dict[str, Any], detail: str) -> None:
    client = site.client()
    given = {"first": FIRST, "second": SECOND} | wanted
    answer = client.get("/api/v1/comparison", params=given)
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]
    page = client.get("/compare", params=given)
    assert page.status_code == 400
    assert 'role="alert"' in page.text


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_is_accessible_and_leads_to_neurons(
    site: Site, visit: Visit, colours: str
) -> None:
    narrow = {"width": 360, "height": 700} if colours == "dark" else {"width": 1200, "height": 800}
    visitor = visit(site, bypass_csp=True, color_scheme=colours, viewport=narrow)
    page = visitor.page
    page.goto("/compare")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("svg.plot circle").count() == ask(site)["scored"]
    first = ask(site)["pairs"][0]["neuron"]
    page.get_by_role("link", name=first, exact=True).first.click()
    page.get_by_role("heading", name=first).first.wait_for()


def test_a_blind_queue_is_made_of_the_pairs(site: Site, visit: Visit) -> None:
    page = visit(site, "bob").page
    page.goto("/compare")
    page.get_by_role("link", name="The other way round").click()
    page.get_by_text("The second is furthest ahead").wait_for()
    page.get_by_label("Pairs").fill("6")
    page.get_by_role("button", name="Make a blind pairwise queue").click()
    page.wait_for_url("**/queues/*")
    (made,) = site.reviews.queues()
    assert (made.mode, made.blind, made.n_items, made.made_by) == ("pairwise", "scores", 6, "bob")
    assert made.plan["methods"] == [FIRST, SECOND]


def test_many_points_are_counted_in_squares() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(-0.5, 1, 5_000), rng.uniform(-0.5, 1, 5_000)
    plot = scatter(first, second)
    assert plot is not None
    assert plot.points == ()
    assert sum(square.n for square in plot.squares) == plot.n == 5_000
    assert max(square.opacity for square in plot.squares) == 1
    assert plot.zero is not None
    few = scatter(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert few is not None
    assert [(p.x, p.y) for p in few.points] == [(0, 0), (300, 300)]
    assert scatter(np.zeros(0), np.zeros(0)) is None
