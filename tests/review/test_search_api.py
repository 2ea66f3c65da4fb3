"""Searches by the interface, and their results as files."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from neuroexplain.catalogue import SearchResult
from neuroexplain.catalogue.storage.troubles import CutError
from neuroexplain.review import downloads
from tests.review.conftest import Site, copy_of, serving


@pytest.fixture(scope="module")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all: nothing here writes."""
    with serving(copy_of(made, tmp_path_factory.mktemp("reviews"))) as found:
        yield found


@pytest.fixture(scope="module")
def client(site: Site) -> httpx.Client:
    return site.client()


def whole(site: Site, query: str) -> list[dict[str, Any]]:
    """What the catalogue itself finds, on one page."""
    return site.catalogue.search(query, limit=1_000).to_json()


def test_a_search_gives_rows_their_count_and_what_they_share(
    site: Site, client: httpx.Client
) -> None:
    answer = client.get("/api/v1/search", params={"q": "layer:2", "facets": True}).json()
    expected = whole(site, "layer:2")
    assert answer["rows"] == expected[:50]
    assert answer["total"] == {"n": len(expected), "capped": False}
    assert answer["facets"]["layer"] == [{"value": 2, "n": len(expected)}]
    assert answer["cut"] is None


@pytest.mark.parametrize("query", ["", "layer:1..2", "state:any sort:layer", "sort:newest", "-sort:score"])  # fmt: skip
def test_pages_end_to_end_are_the_whole_result(
    site: Site, client: httpx.Client, query: str
) -> None:
    rows: list[Any] = []
    after = None
    while True:
        params = {"q": query, "limit": "37"} | ({} if after is None else {"after": after})
        answer = client.get("/api/v1/search", params=params).json()
        rows += answer["rows"]
        after = answer["next"]
        assert answer["truncated"] == (after is not None)
        if after is None:
            break
    assert rows == whole(site, query)
    assert len(rows) > 37


@pytest.mark.parametrize("query", ["", "layer:3 sort:layer", "limit:7", "state:failed", "score>2"])
def test_files_hold_what_the_search_finds(site: Site, client: httpx.Client, query: str) -> None:
    expected = whole(site, query)
    lines = client.get("/api/v1/search.jsonl", params={"q": query})
    assert [json.loads(line) for line in lines.text.splitlines()] == expected
    table = client.get("/api/v1/search.csv", params={"q": query})
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    said = [{k: "" if v is None else str(v) for k, v in row.items()} for row in expected]
    assert rows == said
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="search.csv"'
    assert table.headers["x-row-limit"] == "100000"
    assert lines.headers["content-type"] == "application/jsonl; charset=utf-8"


def test_a_file_of_a_ranking_keeps_its_order(
    site: Site, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAGE", 30)
    query = "similar:made/0/6+ by:text state:any"
    lines = client.get("/api/v1/search.jsonl", params={"q": query}).text.splitlines()
    found = site.desk.finder.find(query, limit=1_000)
    assert [json.loads(line) for line in lines] == found.to_json()
    values = [json.loads(line)["similarity"] for line in lines]
    assert values == sorted(values, reverse=True)
    assert len(values) > 30


def test_a_file_is_read_by_many_pages(
    site: Site, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAGE", 30)
    lines = client.get("/api/v1/search.jsonl").text.splitlines()
    assert [json.loads(line) for line in lines] == whole(site, "")


def test_a_file_that_is_too_long_says_so_at_its_end(site: Site) -> None:
    found = list(downloads.pages(site.desk.finder.find, "", most=10))
    assert [len(page.rows) for page in found] == [10, 0]
    assert found[-1].cut == "the first 10"
    assert list(downloads.as_csv(iter(found)))[-1] == "# not all: the first 10\r\n"
    assert json.loads(list(downloads.as_jsonl(iter(found)))[-1]) == {"cut": "the first 10"}
    exact = list(downloads.pages(site.desk.finder.find, "limit:10", most=10))
    assert [(len(page.rows), page.cut) for page in exact] == [(10, None)]


def test_a_file_that_breaks_off_says_so_at_its_end(site: Site) -> None:
    def pages() -> Iterator[SearchResult]:
        yield site.desk.finder.find("", limit=20)
        raise CutError(0.5)

    lines = "".join(downloads.as_jsonl(pages())).splitlines()
    assert len(lines) == 21
    assert json.loads(lines[-1]) == {"cut": "cut off after 0.5 s"}


def test_a_spreadsheet_sees_no_formula_in_a_text(place: Path) -> None:
    texts = ["=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", "\rx", "'kept", "fine = yes"]
    with sqlite3.connect(place) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM explanation WHERE status = 'ok' LIMIT 8")]  # fmt: skip
        for number, text in zip(ids, texts, strict=True):
            connection.execute("UPDATE explanation SET text = ? WHERE id = ?", (text, number))
    connection.close()
    with serving(place) as site:
        client = site.client()
        table = client.get("/api/v1/search.csv").text
        rows = {r["explanation_id"]: r["text"] for r in csv.DictReader(io.StringIO(table, newline=""))}  # fmt: skip
        assert [rows[str(number)] for number in ids] == ["'=1+1", "'+cmd", "'-2", "'@SUM(A1)", "'\tx", "'\rx", "'kept", "fine = yes"]  # fmt: skip
        lines = client.get("/api/v1/search.jsonl").text.splitlines()
        plain = {r["explanation_id"]: r["text"] for r in map(json.loads, lines)}
        assert [plain[number] for number in ids] == texts


HOSTILE = [
    "\x00", "layer:\x00", '"', "(", ")" * 500, "-(" * 400, "' OR 1=1 --", "'; DROP TABLE entry; --", "layer:1) OR (1=1",
    ".*(a+)+$", "[[:alpha:]]", "*" * 50, "a" * 50_000, "score>=1e999", "score:nan", "layer:99999999999999999999", "limit:0",
    "limit:-1", "sort:id;", "foo:bar", "\ud7ff\u202e\u200b", "NEAR(a b)", "text : *", "^x", "AND", "OR OR", "NOT",
    "similar:made/0/0+ similar:made/0/1+", "similar:nowhere/0/0+", "meaning:x", "run:1..2..3", "%", "_", "\\", "<script>alert(1)</script>",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE, ids=lambda q: repr(q[:24]))
def test_a_hostile_query_is_answered_in_one_line(client: httpx.Client, query: str) -> None:
    for path in ("/api/v1/search", "/api/v1/search.csv", "/api/v1/search.jsonl"):
        answer = client.get(path, params={"q": query})
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 400:
            (line,) = answer.json()["detail"].splitlines()
            assert len(line) < 700
            assert "Traceback" not in line
    page = client.get("/catalogue", params={"q": query})
    assert page.status_code in (200, 400)
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"limit": "0"}, 422),
        ({"limit": "1001"}, 422),
        ({"limit": "x"}, 422),
        ({"after": "nonsense"}, 400),
        ({"after": "WzEsMiwzXQ"}, 400),
        ({"q": "x" * 2_001}, 400),
    ],
)
def test_what_cannot_be_asked_is_refused(
    client: httpx.Client, params: dict[str, str], status: int
) -> None:
    answer = client.get("/api/v1/search", params=params)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])


def test_a_place_of_another_query_is_refused(client: httpx.Client) -> None:
    after = client.get("/api/v1/search", params={"limit": "5"}).json()["next"]
    answer = client.get("/api/v1/search", params={"q": "layer:1", "after": after})
    assert answer.status_code == 400
    assert "another query" in answer.json()["detail"]


PLACES: list[tuple[Any, Any]] = [
    (None, 2**80), ([1], 2**80), ([1e400], 1), ([], 1), ([1, 2, 3], 1), ([2**80], 3), ([1], -5), (None, 1.5), ({"a": 1}, 1),
    ("12", 1), ([True], True), ([-5], 1), ([1e300], 1), ([[]], 1), ([None], 1), ([1], None),
]  # fmt: skip


@pytest.mark.parametrize("query", ["", "sort:layer", "sort:newest", "sort:density", "words sort:relevance", "similar:made/0/1+"])  # fmt: skip
def test_a_place_that_somebody_made_up_is_answered_in_one_line(
    client: httpx.Client, query: str
) -> None:
    mark = hashlib.sha256(query.encode()).hexdigest()[:8]
    for keys, number in PLACES:
        packed = base64.urlsafe_b64encode(json.dumps([mark, keys, number]).encode())
        params = {"q": query, "after": packed.decode().rstrip("=")}
        for path in ("/api/v1/search", "/catalogue"):
            answer = client.get(path, params=params)
            assert answer.status_code in (200, 400), (keys, number, answer.text)


def test_nobody_downloads_without_having_been_let_in(site: Site) -> None:
    for path in ("/api/v1/search", "/api/v1/search.csv", "/api/v1/search.jsonl"):
        assert httpx.get(site.origin + path).status_code == 403
