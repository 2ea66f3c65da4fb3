"""The first page: numbers that are those of the catalogue, and lead to what they count."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.searching import entries
from neuroexplain.catalogue.searching.entries import score_bin
from neuroexplain.catalogue.stores.store_health import HealthStore
from neuroexplain.errors import CatalogueError
from neuroexplain.review.views.overview import layer_rows, method_cards, spent
from neuroexplain.reviewed import Event, Judged, Skipped, Undone
from tests.review.conftest import Site, Visit, copy_of, serving
from tests.review.queues import make

NUMBER = re.compile(r'<td class="number"><a href="([^"]*)">([\d,]+)</a>')
TOTAL = re.compile(r"<b>([\d,]+)</b> explanations")
AT = "2026-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for what does not write."""
    with serving(copy_of(made, tmp_path_factory.mktemp("reviews"))) as found:
        yield found


@pytest.fixture(scope="module")
def client(site: Site) -> httpx.Client:
    return site.client()


def test_holdings_are_what_the_rows_add_up_to(site: Site, client: httpx.Client) -> None:
    held = client.get("/api/v1/overview", params={"wait": True}).json()["holdings"]
    rows = site.catalogue.search("state:any", limit=1_000).rows
    good = [row for row in rows if row.status == "ok"]
    (subject,) = held["subjects"]
    assert subject == {
        "subject": "made",
        "recorded": 96,
        "explained": len({(row.layer, row.idx) for row in good}),
        "scored": sum(row.score is not None for row in good),
        "states": {
            "unreviewed": sum(row.state == "unreviewed" for row in rows),
            "reviewed": 0,
            "failed": len(rows) - len(good),
        },
    }
    for layer in held["layers"]:
        of_layer = [row for row in good if row.layer == layer["layer"]]
        assert sum(layer["by_method"]) == len(of_layer)
    for method in held["methods"]:
        own = [r for r in good if (r.explainer, r.llm) == (method["explainer"], method["llm"])]
        tested = [row.p_value for row in own if row.p_value is not None]
        assert method["tested"] == len(tested)
        assert method["beating"] == sum(p <= 0.05 for p in tested)
        bins = [score_bin(row.score) for row in own if row.score is not None]
        assert method["bins"] == [bins.count(i) for i in range(40)]
    assert len(held["methods"]) > 1


def test_failures_are_counted_by_reason(site: Site, client: httpx.Client, made: Path) -> None:
    held = client.get("/api/v1/overview", params={"wait": True}).json()["holdings"]
    with sqlite3.connect(made) as connection:
        expected = dict(connection.execute("SELECT reason, count(*) FROM explanation WHERE status = 'failed' GROUP BY 1"))  # fmt: skip
    connection.close()
    assert dict(held["failures"]) == expected
    assert expected


def test_every_number_by_layer_leads_to_as_many(site: Site, client: httpx.Client) -> None:
    page = client.get("/", params={"part": "holdings"}).text
    links = NUMBER.findall(page)
    assert len(links) >= 4 * 4
    for href, n in links:
        found = client.get(f"{html.unescape(href)}&part=facets").text
        assert TOTAL.findall(found) == [n], href


def test_histograms_have_a_bar_for_every_bin_with_scores(site: Site) -> None:
    held = site.catalogue.holdings()
    for card, method in zip(method_cards(held), held.methods, strict=True):
        assert [place for place, _ in card.bars] == [i for i, n in enumerate(method.bins) if n]
        assert max(height for _, height in card.bars) == 1
        assert card.beating == method.beating / method.tested
    assert [row.name for row in layer_rows(held)] == ["0", "1", "2", "3"]


def test_an_empty_catalogue_says_so(tmp_path: Path) -> None:
    Catalogue(tmp_path / "empty.sqlite").close()
    with serving(tmp_path / "empty.sqlite") as site:
        client = site.client()
        page = client.get("/")
        assert page.status_code == 200
        for said in ("Nothing was collected yet", "No queue yet", "None yet"):
            assert said in page.text
        found = client.get("/api/v1/overview", params={"wait": True}).json()
        assert found == {"holdings": {"subjects": [], "layers": [], "methods": [], "failures": []}, "runs": [], "spent": [], "queues": [], "decisions": {}}  # fmt: skip


def test_holdings_follow_the_catalogue(place: Path) -> None:
    with serving(place) as site:
        before = site.catalogue.holdings().subjects[0].states
        with Catalogue(place) as writing:
            number = writing.search("state:unreviewed", limit=1).rows[0].explanation_id
            with writing._database.writing() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO review (explanation_id, reviewer, verdict, note, created_at) "
                    f"VALUES ({number}, 'ann', 'good', '', '{AT}')"
                )
                entries.refresh(connection, [number])
        after = site.catalogue.holdings().subjects[0].states
    assert (after.unreviewed, after.reviewed) == (before.unreviewed - 1, before.reviewed + 1)


def test_reviewing_says_who_did_how_much_and_not_what(place: Path) -> None:
    with serving(place) as site:
        queue = make(site, 4, blind="scores")
        items = site.reviews.items(queue)
        said: list[tuple[str, int, Judged | Skipped]] = [("cid", 0, Judged("too-broad")), ("cid", 1, Judged("wrong")), ("<b>", 0, Judged("correct")), ("cid", 2, Skipped())]  # fmt: skip
        events = [
            Event(uuid4().hex, name, items[i].target, data, AT, queue=queue.uuid, position=i)
            for name, i, data in said
        ]
        for event in events:
            site.reviews.add(event)
        site.reviews.add(Event(uuid4().hex, "cid", items[1].target, Undone(events[1].uuid), AT))
        client = site.client()
        found = client.get("/api/v1/overview").json()
        assert found["decisions"] == {"<b>": 1, "cid": 1}
        (shown,) = found["queues"]
        assert (shown["n_items"], shown["done"], shown["left"]) == (4, 0, 4)
        assert shown["reviewers"] == {"<b>": 1, "cid": 1}
        page = client.get("/").text
        assert "&lt;b&gt;: verdict on" in page
        for word in ("too broad", "too-broad", "wrong"):
            assert word not in page
        assert [e.uuid for e in site.reviews.recent(1)] == [events[2].uuid]
        assert [e.uuid for e in site.reviews.recent()] == [events[2].uuid, events[0].uuid]


def test_cost_is_added_up_by_purpose(place: Path) -> None:
    with serving(place) as site:
        runs = site.catalogue.runs()
        found = {each.purpose: each for each in spent(runs)}
        stages = [(purpose, stage) for run in runs for purpose, stage in run["stages"].items()]
        assert set(found) == {purpose for purpose, _ in stages}
        for purpose, each in found.items():
            assert each.calls == sum(s["llm_calls"] for p, s in stages if p == purpose)


def test_what_no_server_says_is_not_nothing() -> None:
    def run(purpose: str, **stage: Any) -> dict[str, Any]:
        silent = {"llm_calls": 1, "prompt_tokens": None, "completion_tokens": None, "cost_usd": None}  # fmt: skip
        return {"stages": {purpose: silent | stage}}

    (dear, silent) = spent([run("explain"), run("judge", cost_usd=0.5), run("judge", cost_usd=0.25, prompt_tokens=7), run("judge")])  # fmt: skip
    assert (dear.purpose, dear.calls, dear.prompt_tokens, dear.cost_usd) == ("judge", 3, 7, 0.75)
    assert (silent.purpose, silent.prompt_tokens, silent.cost_usd) == ("explain", None, None)


def test_a_running_run_says_how_long_it_takes_yet(place: Path) -> None:
    with Catalogue(place) as writing:
        number = writing.begin_run("c" * 64, "sweep", {}, {})
        with writing._database.writing() as connection:
            connection.exec_driver_sql(
                """UPDATE run SET progress = '{"done": 1200, "total": 4800, "rate": 2.0, "seconds_left": 1800}' """
                f"WHERE id = {number}"
            )
    with serving(place) as site:
        page = site.client().get("/").text
    assert "running: 1,200 of 4,800, 30 min left" in page


def test_what_takes_too_long_comes_by_the_script(
    site: Site, client: httpx.Client, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = HealthStore.holdings

    def slow(store: HealthStore, *, seconds: float) -> Any:
        if seconds < 1:
            raise CatalogueError("cut off after 0.02 s")
        return counted(store, seconds=seconds)

    monkeypatch.setattr(HealthStore, "holdings", slow)
    first = client.get("/").text
    assert '<a href="/?part=holdings">count</a>' in first
    assert "Scores by method" not in first
    assert client.get("/api/v1/overview").json()["holdings"] is None
    page = visit(site).page
    page.goto("/")
    page.get_by_role("heading", name="Scores by method").wait_for()
