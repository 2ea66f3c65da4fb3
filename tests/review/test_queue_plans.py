"""Queues made by the interface and by the form."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route

from neuroexplain.review.api.queues import PlanIn, form_choices
from neuroexplain.review.rendering import environment
from tests.review import queues
from tests.review.conftest import Site, Visit, serving

PAGE = """{% extends "base.html.jinja" %}{% from "_new_queue.html.jinja" import new_queue %}
{% block title %}Form{% endblock %}
{% block head %}<link rel="stylesheet" href="/static/plan.css"><script type="module" src="/static/plan.js"></script>{% endblock %}
{% block main %}<h1>Form</h1>{{ new_queue(choices) }}{% endblock %}"""


def test_a_queue_is_made_listed_and_told(site: Site) -> None:
    client = site.client("bob")
    wanted = {"name": " a sample ", "n": 30, "strata": ["layer", "score"], "shared": 0.5, "seed": 3}
    answer = client.post("/api/v1/queues", json=wanted)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["mode"], made["made_by"], made["n_items"]) == (
        "a sample",
        "verdict",
        "bob",
        30,
    )
    assert sum(s["population"] for s in made["strata"]) == made["plan"]["population"]
    assert made["progress"] == {"done": 0, "skipped": 0, "left": 30, "median_seconds": None}
    assert client.get(f"/api/v1/queues/{made['uuid']}").json() == made
    assert client.get("/api/v1/queues").json() == [made]
    assert client.get(f"/queues/{made['uuid']}").status_code == 200
    same = client.post("/api/v1/queues", json=wanted).json()
    assert same["uuid"] != made["uuid"]
    first, second = (site.reviews.items(site.reviews.queue(q["uuid"])) for q in (made, same))
    assert first == second


def test_a_queue_that_is_asked_for_twice_is_made_once(site: Site) -> None:
    client = site.client("bob")
    wanted = {"name": "once", "n": 7, "strata": ["layer"], "seed": 3, "uuid": "5" * 32}
    first, again = (client.post("/api/v1/queues", json=wanted) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["uuid"] == "5" * 32
    assert [queue.n_items for queue in site.reviews.queues()] == [7]
    for who, other in (("bob", {"n": 8}), ("ann", {})):
        answer = site.client(who).post("/api/v1/queues", json=wanted | other)
        assert answer.status_code == 400
        assert "of another plan or reviewer" in answer.json()["detail"]


def test_a_form_whose_answer_was_lost_makes_one_queue(site: Site, visit: Visit) -> None:
    visitor = visit(site, "bob")
    page = visitor.page
    page.goto("/compare")

    def lose(route: Route) -> None:
        # The browser adds this one behind Playwright's back.
        headers = route.request.headers | {"Origin": site.origin, "Sec-Fetch-Site": "same-origin"}
        assert route.fetch(headers=headers).status == 201
        route.abort()

    page.route("**/api/v1/queues", lose, times=1)
    page.get_by_role("button", name="Make a blind pairwise queue").click()
    page.locator("#pairs-error").get_by_text("fetch").wait_for()
    assert len(site.reviews.queues()) == 1
    page.get_by_role("button", name="Make a blind pairwise queue").click()
    page.wait_for_url("**/queues/*")
    (made,) = site.reviews.queues()
    assert f"/queues/{made.uuid}" in page.url
    visitor.expect("ERR_FAILED")


@pytest.mark.parametrize(
    ("wanted", "status", "detail"),
    [
        ({"name": ""}, 422, "name: String should have at least 1 character"),
        ({"name": "q", "n": 10_001}, 422, "n: Input should be less than or equal to 10000"),
        ({"name": "q", "kind": "all"}, 422, "kind: Input should be"),
        ({"name": "q", "query": "layer:x"}, 400, "layer"),
        (
            {"name": "q", "query": "meaning:river"},
            400,
            "meaning ranks, and finds no set, at column 1",
        ),
        ({"name": "q", "kind": "pairs", "strata": ["layer"]}, 400, "strata: of a queue of kind"),
        ({"name": "q", "kind": "adjudication", "queue": "0" * 32}, 404, "no queue"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    site: Site, wanted: dict[str, object], status: int, detail: str
) -> None:
    answer = site.client().post("/api/v1/queues", json=wanted)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)
    assert site.reviews.queues() == []


def test_a_server_that_only_reads_makes_no_queue(site: Site) -> None:
    with serving(site.catalogue.path, read_only=True) as reading:
        answer = reading.client().post("/api/v1/queues", json={"name": "q"})
    assert answer.status_code == 403


def test_the_form_makes_what_it_says(site: Site, visit: Visit) -> None:
    queues.make(site)
    visitor = visit(site, "bob")
    shown = environment().from_string(PAGE)
    html = shown.render(
        choices=form_choices(site.desk), desk=site.desk, reviewer="bob", path="/queues/form"
    )
    assert set(re.findall(r'name="(\w+)"', html.split("<form")[1])) <= set(PlanIn.model_fields)
    page = visitor.page
    page.route("**/form", lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto("/form")
    page.get_by_text("Make a queue").click()
    page.get_by_label("Name").fill("by hand")
    assert not page.get_by_label("First method").is_visible()
    page.get_by_label("Of", exact=True).select_option("pairs")
    assert page.get_by_label("First method").is_visible()
    assert not page.get_by_label("From each part").is_visible()
    page.get_by_label("First method").select_option("keywords")
    page.get_by_label("Second method").select_option("keywords")
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("pairs need two methods at least").wait_for()
    visitor.expect("400")
    page.get_by_label("Second method").select_option("highlight, gpt-4o-mini")
    page.get_by_label("How many").fill("5")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/queues/*")
    made = site.reviews.queues()[0]
    assert (made.name, made.mode, made.n_items, made.made_by) == ("by hand", "pairwise", 5, "bob")
    assert made.plan["methods"] == ["keywords", "highlight, gpt-4o-mini"]
    assert sum(item.shared for item in site.reviews.items(made)) == 1
