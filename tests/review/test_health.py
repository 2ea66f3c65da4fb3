"""How the server fares, said by the server."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.review.timing import Timings
from tests.review.conftest import Site, serving

TIMING = re.compile(r"app;dur=\d+\.\d")


def test_files_are_said_by_name_with_size_and_schema(site: Site, place: Path) -> None:
    found = site.client().get("/api/v1/health").json()
    with sqlite3.connect(place) as connection:
        ((newest,),) = connection.execute("SELECT max(number) FROM schema_migration")
    connection.close()
    assert found["catalogue"]["name"] == "made.sqlite"
    assert found["catalogue"]["bytes"] == place.stat().st_size
    assert found["catalogue"]["schema"] == newest
    assert found["catalogue"]["writable"] is True
    assert found["reviews"]["name"] == "made.reviews.sqlite"
    assert found["reviews"]["schema"] >= 1
    assert found["version"] == site.desk.version
    assert found["query_seconds"] == 0.5
    assert found["troubles"] == []


def test_no_folder_and_no_secret_is_said(site: Site, place: Path) -> None:
    client = site.client()
    for path in ("/health", "/api/v1/health"):
        text = client.get(path).text
        assert str(place.parent) not in text
        assert "secret" not in text
        for value in client.cookies.values():
            assert value not in text


def test_every_answer_says_how_long_it_took(site: Site) -> None:
    client = site.client()
    for path in ("/", "/catalogue", "/api/v1/session", "/static/review.css", "/nowhere"):
        assert TIMING.fullmatch(client.get(path).headers["server-timing"]), path


def test_requests_are_counted_by_route_and_never_by_path(site: Site) -> None:
    client = site.client()
    for path in ("/nowhere", "/nowhere/2", "/static/review.css", "/static/nothing", "/catalogue?q=layer%3A1", "/catalogue?q=layer%3A2", "/neurons/made/0/0%2B", "/neurons/made/1/1%2B", "/neurons/x"):  # fmt: skip
        client.get(path)
    client.request("PURGE", "/nowhere", headers={"content-type": "application/json"})
    routes = {r["route"]: r["requests"] for r in client.get("/api/v1/health").json()["requests"]}
    assert routes["GET /catalogue"] == 2
    assert routes["GET /neurons/{address:path}"] == 3
    assert routes["GET /static"] == 2
    assert routes["GET nothing of ours"] == 2
    assert routes["other nothing of ours"] == 1
    assert "GET /health" not in routes
    again = {r["route"]: r for r in client.get("/api/v1/health").json()["requests"]}
    mine = again["GET /api/v1/health"]
    assert mine["requests"] == 1
    assert 0 < mine["median"] <= mine["p95"] <= mine["longest"] < 5_000


def test_percentiles_are_of_the_newest() -> None:
    timings = Timings()
    timings.note("GET /a", 1e6)
    for i in range(1_000):
        timings.note("GET /a", float(i + 1))
    timings.note("GET /b", 3.0)
    a, b = timings.routes()
    assert (a.route, a.requests, a.median, a.p95, a.longest) == ("GET /a", 1_001, 500.0, 950.0, 1_000.0)  # fmt: skip
    assert (b.median, b.p95, b.longest) == (3.0, 3.0, 3.0)


def test_a_run_that_is_held_is_alive_and_one_that_is_not_is_a_trouble(place: Path) -> None:
    with Catalogue(place) as writing:
        held = writing.claim("a" * 64)
        assert held is not None
        alive = writing.begin_run("a" * 64, "sweep", {}, {})
        gone = writing.begin_run("b" * 64, "explain", {}, {})
        with serving(place) as site:
            client = site.client()
            found = client.get("/api/v1/health").json()
            runs = {run["run_id"]: run["alive"] for run in found["runs"]}
            assert runs == {alive: True, gone: False}
            assert found["troubles"] == [f"run {gone}: its process is gone; the same command goes on where it was"]  # fmt: skip
            page = client.get("/health").text
            assert "its process is gone" in page
            held.release()


def test_a_catalogue_that_does_not_follow_the_reviews_is_a_trouble(place: Path) -> None:
    with serving(place) as site, sqlite3.connect(place) as other:
        client = site.client()
        quiet = client.get("/api/v1/health").json()["mirror"]
        assert (quiet["on"], quiet["trouble"]) == (True, None)
        other.execute("BEGIN IMMEDIATE")  # as a sweep that does not end
        site.desk.mirror.start()
        target = next(iter(site.catalogue.targets(range(20)).values()))
        event = {"uuid": "1" * 32, "target": {"neuron": str(target.neuron), "text": target.text}, "said": {"kind": "verdict", "verdict": "wrong"}}  # fmt: skip
        assert client.post("/api/v1/events", json=event).status_code == 201
        found = client.get("/api/v1/health").json()
        give_up = time.monotonic() + 20
        while found["mirror"]["trouble"] is None and time.monotonic() < give_up:
            time.sleep(0.05)
            found = client.get("/api/v1/health").json()
        assert found["mirror"]["waiting"] >= 1
        (trouble,) = found["troubles"]
        assert trouble.startswith("the catalogue does not follow the reviews: ")
        assert str(place.parent) not in client.get("/health").text
        other.rollback()
        assert site.desk.mirror.wait(20)
        assert client.get("/api/v1/health").json()["troubles"] == []
        assert "up to date" in client.get("/health").text
    other.close()


def test_jobs_under_way_are_said_and_then_no_more(site: Site) -> None:
    client = site.client()
    began, go_on = threading.Event(), threading.Event()

    def work(report: object) -> None:
        began.set()
        assert go_on.wait(20)

    site.desk.jobs.submit("1" * 32, "rescoring", work)
    assert began.wait(20)
    (job,) = client.get("/api/v1/health").json()["jobs"]
    assert (job["kind"], job["state"]) == ("rescoring", "running")
    assert "rescoring: running" in client.get("/health").text
    go_on.set()
    site.desk.jobs.close()
    assert client.get("/api/v1/health").json()["jobs"] == []


@pytest.mark.parametrize("read_only", [True, False])
def test_whether_it_is_for_reading_only(place: Path, read_only: bool) -> None:
    with serving(place, read_only=read_only) as site:
        client = site.client()
        assert client.get("/api/v1/health").json()["read_only"] is read_only
        assert ("for reading only" in client.get("/health").text) is read_only
