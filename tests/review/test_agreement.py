"""The agreement page and its interface, over the real server."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from neuroexplain.appraising import agreement, appraise
from neuroexplain.reviewed import (
    Adjudicated,
    Event,
    Judged,
    Preferred,
    Queue,
    QueueItem,
    Stratum,
    Target,
)
from tests.review.conftest import Site, Visit, serving

QUEUE = "a" * 32
HOSTILE = "<script>alert(1)</script>\u202e{{ 7*7 }}"


def judged(site: Site, n: int = 24) -> list[Target]:
    """A drawn queue that two reviewers decided; they differ on every third explanation."""
    rows = site.catalogue.search("score>=0", limit=3 * n).rows
    found = site.catalogue.targets([row.explanation_id for row in rows]).values()
    about = list(dict.fromkeys(found))[:n]
    items = [
        QueueItem(i, target, stratum=i % 2, weight=4.0, shared=True)
        for i, target in enumerate(about)
    ]
    strata = (Stratum("even", 2 * n, n // 2), Stratum("odd", 2 * n, n // 2))
    site.reviews.make_queue(
        Queue(QUEUE, f"Drawn {HOSTILE}", "verdict", "none", 0, {}, strata, 0, "ann", ""), items
    )
    for i, target in enumerate(about):
        first = Event(
            f"{i:032x}",
            "ann",
            target,
            Judged("correct" if i % 2 else "wrong"),
            f"2026-11-25T12:00:{i:02}+00:00",
            queue=QUEUE,
            position=i,
            seconds=4.0,
        )
        other = Judged("partly") if i % 3 == 0 else first.data
        site.reviews.add(first)
        site.reviews.add(replace(first, uuid=f"{i + 1000:032x}", reviewer="bob", data=other))
    return about


def test_the_page_has_the_numbers_of_the_interface(site: Site) -> None:
    about = judged(site)
    client = site.client()
    said = client.get("/api/v1/appraisal", params={"queue": QUEUE}).json()
    overall = said["overall"]["strict"]
    # of the odd ones, 8 are agreed to be correct, and 4 half so
    assert overall["estimate"]["value"] == pytest.approx((8 + 4 * 0.5) / 24)
    assert overall["population"] == 96
    assert said["overall"]["lenient"]["estimate"]["value"] == pytest.approx((12 + 4 * 0.5) / 24)
    agreed = client.get("/api/v1/agreement", params={"queue": QUEUE}).json()
    assert agreed["pairs"][0]["compared"]["percent"]["value"] == pytest.approx(16 / 24)
    assert len(agreed["differing"]) == 8
    page = client.get("/agreement", params={"queue": QUEUE}).text
    assert f"<b>{100 * overall['estimate']['value']:.1f} %</b>" in page
    kappa = agreed["pairs"][0]["compared"]["kappa"]["value"]
    assert f"<b>{kappa:.2f}</b>" in page
    for number, target in enumerate(about):
        link = f'href="/neurons/{str(target.neuron).replace("+", "%2B")}"'
        if number % 3 == 0:
            assert link in page
    followed = re.search(r'href="(/neurons/[^"]+)"', page)
    assert followed is not None
    assert client.get(followed[1]).status_code == 200


def test_the_interface_says_what_the_functions_say(site: Site) -> None:
    about = judged(site, 6)
    site.reviews.add(
        Event("f" * 32, "ann", about[0], Preferred("left"), "2026-11-25T12:00:00+00:00", about[1])
    )
    client = site.client()
    said = client.get("/api/v1/appraisal").json()
    found = appraise(site.catalogue, site.reviews)
    assert said["not_drawn"] == found.not_drawn
    assert said["overall"]["strict"]["estimate"]["low"] is None
    assert [c["auc"]["value"] for c in said["calibrations"]] == [
        c.auc.value for c in found.calibrations
    ]
    assert said["preferences"]["decisions"] == 1
    agreed = client.get("/api/v1/agreement").json()
    assert agreed["alpha"]["low"] == agreement(site.reviews).alpha.low


def test_the_interface_is_documented_field_by_field(site: Site) -> None:
    schemas = site.client().get("/api/v1/openapi.json").json()["components"]["schemas"]
    described = schemas["Agreement"]["properties"]["differing"]["description"]
    assert described == "To be settled."
    inner = schemas["Estimate"]["properties"]["reason"]["description"]
    assert inner == "Why there is no value; where there is one, why it has no interval."
    assert schemas["Calibration"]["description"].startswith("What a score is worth")


def test_every_undefined_number_has_its_reason(site: Site) -> None:
    page = site.client().get("/agreement")
    assert page.status_code == 200
    for reason in (
        "not drawn at random as a whole; choose a queue that was",
        "no answers",
        "undefined: too few items that two or more judged: 0",
        "No judged explanation has a score in this catalogue.",
        "No choices between two explanations yet.",
    ):
        assert reason in page.text
    assert re.search(r"\b(nan|None)\b", page.text) is None


def test_hostile_names_are_inert_and_visible(site: Site) -> None:
    about = judged(site, 3)
    site.reviews.add(
        Event(
            "e" * 32,
            HOSTILE,
            Target.of(about[0].neuron, HOSTILE),
            Judged("correct"),
            "2026-11-25T13:00:00+00:00",
        )
    )
    site.reviews.add(
        Event(
            "d" * 32,
            "ann",
            Target.of(about[0].neuron, HOSTILE),
            Judged("wrong"),
            "2026-11-25T13:00:00+00:00",
        )
    )
    page = site.client().get("/agreement").text
    assert "<script>alert" not in page and "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    assert "{{ 7*7 }}" in page


def test_parts_of_a_blind_queue_wait_until_it_is_decided(site: Site) -> None:
    """A part by method or score may be the one item that is before the reviewer."""
    (first, *_) = judged(site, 6)
    blind = Queue("d" * 32, "one", "verdict", "scores", 0, {}, (), 0, "ann", "")
    site.reviews.make_queue(blind, [QueueItem(0, first)])
    client, asked = site.client(), {"queue": blind.uuid}
    assert client.get("/api/v1/appraisal", params=asked).json()["methods"] == []
    page = client.get("/agreement", params=asked).text
    assert "once you have decided all of this blind queue" in page
    assert "By method" not in page
    assert "By method" in client.get("/agreement", params=asked | {"reveal": "1"}).text
    body = {"uuid": "e" * 32, "queue": blind.uuid, "position": 0}
    said = {"kind": "verdict", "verdict": "correct"}
    assert client.post("/api/v1/events", json=body | {"said": said}).status_code == 201
    assert len(client.get("/api/v1/appraisal", params=asked).json()["methods"]) == 1
    assert "By method" in client.get("/agreement", params=asked).text


def test_a_blind_reviewer_does_not_see_what_others_said(site: Site) -> None:
    (first, *_) = judged(site, 6)
    blind = Queue("d" * 32, "Blind", "verdict", "scores", 0, {}, (), 0, "ann", "")
    site.reviews.make_queue(blind, [QueueItem(0, first, shared=True)])
    (dealt,) = site.reviews.coming(blind, "cy")
    client = site.client("cy")
    said = client.get("/api/v1/agreement").json()["differing"]
    assert [bool(d["verdicts"]) for d in said] == [d["text"] != first.text for d in said]
    page = client.get("/agreement", params={"queue": QUEUE}).text
    row = page.split(f">{first.neuron}</a>")[1].split("</tr>")[0]
    assert "hidden until you have decided it" in row and "ann: " not in row
    assert "hidden until" not in site.client("ann").get("/agreement").text
    assert dealt.target == first


@pytest.mark.parametrize("path", ["/agreement", "/api/v1/agreement", "/api/v1/appraisal"])
def test_a_queue_that_is_not_there_is_said(site: Site, path: str) -> None:
    answer = site.client().get(path, params={"queue": "c" * 32})
    assert answer.status_code == 404
    assert "no queue" in answer.text


def test_the_interface_refuses_what_is_no_uuid(site: Site) -> None:
    answer = site.client().get("/api/v1/agreement", params={"queue": "../x"})
    assert answer.status_code == 422


def test_reading_only_shows_it_too(place: Path) -> None:
    with serving(place, read_only=True) as site:
        judged(site, 6)
        page = site.client().get("/agreement")
        assert page.status_code == 200
        assert "Make a queue" not in page.text


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_on_any_screen(site: Site, visit: Visit, scheme: str) -> None:
    judged(site)
    for width in (1200, 360):
        visitor = visit(
            site,
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            bypass_csp=True,
        )
        visitor.page.goto(f"/agreement?queue={QUEUE}")
        found = Axe().run(visitor.page)
        assert found.violations_count == 0, found.generate_report()
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.xdist_group("browser")
def test_the_page_keeps_to_the_policy_and_leads_on(site: Site, visit: Visit) -> None:
    judged(site)
    visitor = visit(site)
    visitor.page.goto("/")
    visitor.page.get_by_role("link", name="Agreement").click()
    visitor.page.get_by_label("Decisions of").select_option(QUEUE)
    visitor.page.get_by_role("button", name="Show").click()
    visitor.page.wait_for_url(f"**/agreement?queue={QUEUE}")
    assert "Drawn" in visitor.page.get_by_role("heading", level=1).inner_text()
    visitor.page.locator("details summary").first.click()
    assert visitor.page.locator("table.confusion").first.is_visible()


@pytest.mark.xdist_group("browser")
def test_a_queue_is_made_of_what_reviewers_differ_on(site: Site, visit: Visit) -> None:
    judged(site, 12)
    visitor = visit(site, "cy")
    visitor.page.goto(f"/agreement?queue={QUEUE}")
    visitor.page.get_by_label("Name").fill("The last word")
    visitor.page.get_by_role("button", name="Make a queue of them").click()
    visitor.page.wait_for_url("**/queues/*")
    (made,) = [q for q in site.reviews.queues() if q.name == "The last word"]
    assert made.uuid in visitor.page.url
    assert (made.mode, made.blind, made.n_items, made.made_by) == (
        "adjudication",
        "scores",
        4,
        "cy",
    )
    differing = {d.text for d in agreement(site.reviews, QUEUE).differing}
    assert {item.target.text for item in site.reviews.items(made)} == differing


@pytest.mark.xdist_group("browser")
def test_what_the_server_refuses_is_said(site: Site, visit: Visit) -> None:
    about = judged(site, 3)
    visitor = visit(site)
    visitor.page.goto(f"/agreement?queue={QUEUE}")
    said = Event("c" * 32, "cy", about[0], Adjudicated("wrong"), "2026-11-25T13:00:00+00:00")
    site.reviews.add(said)  # meanwhile, by somebody else
    visitor.page.get_by_role("button", name="Make a queue of them").click()
    trouble = visitor.page.locator("#settle-trouble")
    trouble.wait_for(state="visible")
    assert "all of them are settled" in trouble.inner_text()
    assert visitor.page.get_by_role("button", name="Make a queue of them").is_enabled()
    visitor.expect("400")


@pytest.mark.xdist_group("browser")
def test_without_scripts_it_reads_and_has_no_dead_button(site: Site, visit: Visit) -> None:
    judged(site, 6)
    visitor = visit(site, java_script_enabled=False)
    visitor.page.goto(f"/agreement?queue={QUEUE}")
    assert visitor.page.get_by_role("button", name="Make a queue of them").count() == 0
    assert visitor.page.get_by_role("heading", name="To be settled").is_visible()
    visitor.page.get_by_role("button", name="Show").click()
    assert "Drawn" in visitor.page.get_by_role("heading", level=1).inner_text()
