"""The catalogue follows the reviews: searches find what was decided, and no decision waits for that."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from neuroexplain.catalogue import Catalogue, Reviews, reviews_path
from neuroexplain.errors import CatalogueError
from neuroexplain.review.mirroring import Mirror
from neuroexplain.reviewed import Event, Judged, Target
from tests.review.conftest import Site, serving


def said(target: Target, verdict: str = "wrong") -> dict[str, Any]:
    return {
        "uuid": uuid4().hex,
        "target": {"neuron": str(target.neuron), "text": target.text},
        "said": {"kind": "verdict", "verdict": verdict, "tags": ["geography"]},
    }


def sent(client: httpx.Client, target: Target, verdict: str = "wrong") -> None:
    assert client.post("/api/v1/events", json=said(target, verdict)).status_code == 201


def until(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; whether it came to that."""
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def first(catalogue: Catalogue) -> Target:
    return catalogue.target(
        next(r.explanation_id for r in catalogue.search("state:unreviewed").rows)
    )


def texts(catalogue: Catalogue, query: str) -> set[str]:
    return {row.text for row in catalogue.search(query).rows}


def test_a_search_finds_what_was_decided_and_not_what_was_taken_back(site: Site) -> None:
    client, target = site.client("bob"), first(site.catalogue)
    sent(client, target)
    assert site.desk.mirror.wait(30)
    assert target.text in texts(site.catalogue, "verdict:wrong tag:geography state:reviewed")
    sent(client, target, "correct")
    assert site.desk.mirror.wait(30)
    assert texts(site.catalogue, "verdict:wrong") == set()
    assert target.text in texts(site.catalogue, "verdict:correct")
    for _ in range(2):
        assert client.post("/api/v1/undo", json={"uuid": uuid4().hex}).status_code == 201
    assert site.desk.mirror.wait(30)
    assert texts(site.catalogue, "verdict:wrong,correct") == set()
    assert texts(site.catalogue, "state:reviewed") == set()
    assert site.desk.mirror.state.trouble is None


def test_no_decision_waits_for_a_sweep_and_none_is_forgotten(site: Site) -> None:
    client, target = site.client("bob"), first(site.catalogue)
    assert site.desk.mirror.wait(30)
    with closing(sqlite3.connect(site.catalogue.path)) as sweep:
        sweep.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        sent(client, target)
        assert time.monotonic() - began < 10.0  # it would wait for thirty
        assert not site.desk.mirror.wait(1.5)
        state = site.desk.mirror.state
        assert (state.on, state.waiting, state.lag > 1.0) == (True, 1, True)
        assert texts(site.catalogue, "verdict:wrong") == set()
    assert site.desk.mirror.wait(30)
    assert target.text in texts(site.catalogue, "verdict:wrong")
    assert site.desk.mirror.state.lag == 0.0


def test_a_catalogue_that_is_gone_is_said_and_not_made_anew(site: Site) -> None:
    client, target = site.client("bob"), first(site.catalogue)
    assert site.desk.mirror.wait(30)
    away = site.catalogue.path.with_name("away.sqlite")
    site.catalogue.path.rename(away)
    site.desk.mirror.wake([target])
    assert until(lambda: site.desk.mirror.state.trouble is not None)
    with pytest.raises(CatalogueError, match="no catalogue"):
        site.desk.writing()
    assert not site.catalogue.path.exists()
    away.rename(site.catalogue.path)
    sent(client, target)
    assert site.desk.mirror.wait(30)
    assert site.desk.mirror.state.trouble is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_ends_no_mirror(site: Site) -> None:
    client, target = site.client("bob"), first(site.catalogue)
    assert site.desk.mirror.wait(30)
    with closing(sqlite3.connect(site.catalogue.path)) as other:
        other.execute("ALTER TABLE review RENAME COLUMN verdict TO lost")
        sent(client, target)
        assert until(lambda: site.desk.mirror.state.trouble is not None)
        state = site.desk.mirror.state
        assert (state.waiting, state.trouble) == (1, "an unexpected error; see the log")
        other.execute("ALTER TABLE review RENAME COLUMN lost TO verdict")
    assert site.desk.mirror.wait(30)
    assert site.desk.mirror.state.trouble is None
    assert target.text in texts(site.catalogue, "verdict:wrong")


def test_what_was_decided_before_is_there_after_the_start(place: Path) -> None:
    with Catalogue(place) as catalogue, Reviews(reviews_path(place)) as reviews:
        target = first(catalogue)
        at = "2026-11-25T12:00:00.000+00:00"
        reviews.add(Event("1", "ann", target, Judged("partly"), at))
    with serving(place) as site:
        assert site.desk.mirror.wait(30)
        assert target.text in texts(site.catalogue, "verdict:partly")


def test_closing_writes_what_waits(place: Path) -> None:
    with Catalogue(place) as catalogue, Reviews(reviews_path(place)) as reviews:
        target = first(catalogue)
        mirror = Mirror(catalogue.location, reviews)
        mirror.start()
        reviews.add(Event("1", "ann", target, Judged("partly"), "2026-11-25T12:00:00.000+00:00"))
        mirror.wake([target])
        mirror.close()
        assert target.text in texts(catalogue, "verdict:partly")


def test_a_catalogue_that_cannot_be_written_is_let_be(place: Path) -> None:
    before = place.read_bytes()
    with serving(place, read_only=True) as site:
        site.desk.mirror.wake([first(site.catalogue)])
        assert not site.desk.mirror.state.on
        assert site.desk.mirror.state.waiting == 0
    with Reviews(reviews_path(place)) as reviews:
        gone = Mirror(str(place.with_name("gone.sqlite")), reviews)
        gone.start()
        gone.close()
        assert not gone.state.on
    assert place.read_bytes() == before
    assert not place.with_name("gone.sqlite").exists()
