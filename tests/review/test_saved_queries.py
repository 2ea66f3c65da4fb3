"""Queries kept under a name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.review.conftest import Site, serving


def test_a_query_is_kept_under_its_name_and_outlives_the_server(place: Path) -> None:
    with serving(place) as site:
        bob = site.client("bob")
        answer = bob.put("/api/v1/queries/good ones", json={"query": "score>=0.4 layer:1"})
        assert answer.status_code == 200
        bob.put("/api/v1/queries/a", json={"query": ""})
    with serving(place) as site:
        ann = site.client()
        kept = ann.get("/api/v1/queries").json()
        assert [(q["name"], q["query"], q["made_by"]) for q in kept] == [
            ("a", "", "bob"),
            ("good ones", "score>=0.4 layer:1", "bob"),
        ]
        ann.put("/api/v1/queries/a", json={"query": "rivers"})
        assert ann.get("/api/v1/queries").json()[0]["query"] == "rivers"
        assert ann.delete("/api/v1/queries/a").status_code == 204
        assert ann.delete("/api/v1/queries/a").status_code == 404
        assert [q["name"] for q in ann.get("/api/v1/queries").json()] == ["good ones"]


NAMES = ["a/b/../c", "x?y&z", "<script>", "…", "a%2Fb", "'; DROP TABLE saved_query; --", "a" * 80]


def test_a_name_is_any_short_line(site: Site) -> None:
    client = site.client()
    for name in NAMES:
        path = f"/api/v1/queries/{quote(name, safe='')}"
        assert client.put(path, json={"query": "x"}).status_code == 200, name
    assert {q["name"] for q in client.get("/api/v1/queries").json()} == set(NAMES)
    for name in NAMES:
        assert client.delete(f"/api/v1/queries/{quote(name, safe='')}").status_code == 204
    assert client.get("/api/v1/queries").json() == []


@pytest.mark.parametrize(
    ("name", "query", "status"),
    [
        ("a" * 81, "x", 422),
        (" a", "x", 422),
        ("a\x07", "x", 422),
        ("a\nb", "x", 404),
        ("\x00", "x", 422),
        ("a", "x" * 2_001, 422),
        ("a", "nothing:1", 400),
        ("a", '"', 400),
    ],
)
def test_what_cannot_be_kept_is_refused(site: Site, name: str, query: str, status: int) -> None:
    path = f"/api/v1/queries/{quote(name, safe='')}"
    answer = site.client().put(path, json={"query": query})
    assert answer.status_code == status, answer.text
    assert site.reviews.saved_queries() == []


def test_a_server_for_reading_keeps_and_removes_nothing(place: Path) -> None:
    with serving(place) as site:
        site.client().put("/api/v1/queries/a", json={"query": "x"})
    with serving(place, read_only=True) as site:
        client = site.client()
        assert client.put("/api/v1/queries/b", json={"query": "x"}).status_code == 403
        assert client.delete("/api/v1/queries/a").status_code == 403
        assert [q["name"] for q in client.get("/api/v1/queries").json()] == ["a"]
