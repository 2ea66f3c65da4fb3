"""The catalogue page: every link leads to what it says."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from neuroexplain.catalogue import Reviews
from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.searching.found import Facets
from neuroexplain.errors import CatalogueError
from neuroexplain.review.finding import Finder
from neuroexplain.review.narrowing import sorting
from neuroexplain.review.views.results import FacetLink, facet_links, score_links
from neuroexplain.reviewed import Event, Judged, Verdict
from neuroexplain.searching import Resolver
from tests.review.conftest import Site, Visit, copy_of, serving
from tests.review.queues import make

FACET = re.compile(
    r'<li><a href="([^"]*)"( aria-current="true")?><span>(.*?)</span> <span class="number">([\d,]+)</span></a>'
)
TOTAL = re.compile(r"<b>([\d,]+)</b> explanations")
ROW = re.compile(r'<th scope="row"><a href="([^"]*)">([^<]*)</a></th>')


@pytest.fixture(scope="module")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for what does not write."""
    with serving(copy_of(made, tmp_path_factory.mktemp("reviews"))) as found:
        yield found


@pytest.fixture(scope="module")
def client(site: Site) -> httpx.Client:
    return site.client()


def read(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    if "data-counting" in answer.text:  # a machine that is busy: what the script would ask for
        (path,) = re.findall(r'data-counting="([^"]*)"', answer.text)
        answer = client.get(html.unescape(path))
    return answer.text


def total(page: str) -> int:
    (n,) = TOTAL.findall(page)
    return int(n.replace(",", ""))


@pytest.mark.parametrize("query", ["", "layer:1..2", "words OR names", "state:any", "-layer:0 sort:layer limit:5"])  # fmt: skip
def test_every_facet_leads_to_as_many_as_it_says(client: httpx.Client, query: str) -> None:
    page = read(client, str(httpx.URL("/catalogue", params={"q": query})))
    facets = FACET.findall(page)
    assert len(facets) > 8
    for href, chosen, value, n in facets:
        assert not chosen
        narrowed = read(client, html.unescape(href))
        assert total(narrowed) == int(n.replace(",", "")), (value, href)


def test_a_facet_that_was_chosen_can_be_taken_out_again(client: httpx.Client) -> None:
    page = read(client, "/catalogue?q=score%3E%3D0.2+layer%3A2")
    ((href, _, value, _),) = [facet for facet in FACET.findall(page) if facet[1]]
    assert value == "2 ✓"
    assert html.unescape(href) == "/catalogue?q=score%3E%3D0.2"


def facets_of(site: Site, query: str) -> Facets:
    found = site.catalogue.search(query, facets=True).facets
    assert found is not None
    return found


def test_bars_of_scores_cover_everything(site: Site) -> None:
    links = score_links(grammar.parse(""), facets_of(site, ""))
    assert sum(link.n for link in links) == facets_of(site, "").total.n
    assert max(link.share for link in links) == 20
    assert [link.value for link in links if link.href is None] == ["none"]


def test_scores_of_another_scorer_are_no_bars_to_follow(site: Site) -> None:
    facets = facets_of(site, "")
    links = score_links(grammar.parse("scorer:detection"), facets)
    assert [link.href for link in links] == [None] * len(facets.score)


def test_values_with_spaces_and_quotes_are_links_too(site: Site) -> None:
    link: FacetLink = facet_links(grammar.parse('"a b"'), facets_of(site, ""))["layer"][0]
    assert link.href == "/catalogue?q=%22a+b%22+layer%3A0"


def test_pages_follow_one_another_to_the_end(site: Site, client: httpx.Client) -> None:
    path, seen = "/catalogue?q=sort%3Alayer", []
    while path:
        page = read(client, path)
        seen += [name for _, name in ROW.findall(page)]
        following = re.findall(r'href="([^"]*)" rel="next"', page)
        path = html.unescape(following[0]) if following else ""
    expected = [row.neuron for row in site.catalogue.search("sort:layer", limit=1_000).rows]
    assert seen == expected
    assert len(seen) > 100


def test_a_place_in_the_result_outlives_the_server(made: Path, tmp_path: Path) -> None:
    place = copy_of(made, tmp_path)
    with serving(place) as first:
        page = read(first.client(), "/catalogue")
        ((deep),) = re.findall(r'href="([^"]*)" rel="next"', page)
        before = ROW.findall(read(first.client(), html.unescape(deep)))
    with serving(place) as again:
        page = read(again.client(), html.unescape(deep))
        assert ROW.findall(page) == before
        assert "back to the first" in page


def test_a_mistake_is_pointed_at(client: httpx.Client) -> None:
    answer = client.get("/catalogue", params={"q": "river laier:3 <b>"})
    assert answer.status_code == 400
    (pointed,) = re.findall(r'<pre class="pointer">(.*?)</pre>', answer.text, re.DOTALL)
    assert html.unescape(pointed).split("\n") == ["river laier:3 <b>", "      ^"]
    assert 'aria-describedby="query-error"' in answer.text
    assert "unknown field" in answer.text


@pytest.mark.parametrize(
    ("query", "field", "now", "expected"),
    [
        ("ice", "score", "score", ("ice -sort:score", "descending")),
        ("ice -sort:score", "score", "score", ("ice sort:score", "ascending")),
        ("ice", "layer", "score", ("ice sort:layer", None)),
        ("ice sort:layer", "layer", "layer", ("ice -sort:layer", "ascending")),
        ("ice sort:p", "score", "p", ("ice sort:score", None)),
    ],
)
def test_heads_sort_and_turn_round(
    query: str, field: str, now: str, expected: tuple[str, str | None]
) -> None:
    assert sorting(grammar.parse(query), field, now) == expected


def test_rows_show_the_verdicts_on_their_texts(place: Path) -> None:
    with serving(place) as site:
        first, second = site.catalogue.search("state:unreviewed", limit=2).rows
        targets = site.catalogue.targets([first.explanation_id, second.explanation_id])
        said: list[tuple[str, int, Verdict]] = [("cid", first.explanation_id, "too-broad"), ("<i>", first.explanation_id, "wrong"), ("cid", second.explanation_id, "correct")]  # fmt: skip
        for reviewer, number, verdict in said:
            site.reviews.add(Event(uuid4().hex, reviewer, targets[number], Judged(verdict), "2026-01-01T00:00:00+00:00"))  # fmt: skip
        page = site.client().get("/catalogue").text
        (row, other) = page.partition('<table id="results">')[2].split("<tr>")[2:4]
        assert "<br>cid: too broad" in row
        assert "<br>&lt;i&gt;: wrong" in row
        assert "<br>cid: correct" in other


def test_a_blind_reviewer_sees_no_verdict_of_others(place: Path) -> None:
    with serving(place) as site:
        queue = make(site, 3, blind="scores")
        target = site.reviews.coming(queue, "ann")[0].target
        site.reviews.add(Event(uuid4().hex, "cid", target, Judged("wrong"), "2026-01-01T00:00:00+00:00"))  # fmt: skip
        query = f"layer:{target.neuron.layer} idx:{target.neuron.index}"
        page = site.client().get("/catalogue", params={"q": query}).text
        assert "cid: wrong" not in page
        assert "you judge it blind" in page
        assert "cid: wrong" in site.client("eve").get("/catalogue", params={"q": query}).text


def test_a_search_that_waits_for_a_model_keeps_no_other_waiting(site: Site) -> None:
    finder = Finder(site.catalogue, Resolver(site.catalogue))
    query = f"similar:{site.catalogue.search('', limit=1).rows[0].neuron} by:text"
    with finder._turn:  # as a search has it while its model is being loaded
        with pytest.raises(CatalogueError, match=r"^similar: its model is still being loaded"):
            finder.find(query, wait=0.01)
        assert len(finder.find("layer:1", limit=3).rows) == 3
    assert finder.find(query, limit=3).ranked_by


def test_only_so_many_wait_for_a_model(site: Site) -> None:
    finder = Finder(site.catalogue, Resolver(site.catalogue))
    query = f"similar:{site.catalogue.search('', limit=1).rows[0].neuron} by:text"
    with finder._turn:
        for _ in range(8):
            with pytest.raises(CatalogueError, match="still being loaded"):
                finder.find(query, wait=0)
        with pytest.raises(CatalogueError, match="8 searches wait for models already"):
            finder.find(query, wait=0)


HOSTILE = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"></td></table><b>x", "a\u202eb\u200bc\x07d"]  # fmt: skip


def test_hostile_texts_and_names_are_shown_and_do_nothing(place: Path, visit: Visit) -> None:
    with sqlite3.connect(place) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM explanation WHERE status = 'ok' LIMIT 4")]  # fmt: skip
        for number, text in zip(ids, HOSTILE, strict=True):
            connection.execute("UPDATE explanation SET text = ? WHERE id = ?", (text, number))
    connection.close()
    with serving(place) as site:
        client = site.client()
        for text in HOSTILE[:3]:
            path = f"/api/v1/queries/{quote(text, safe='')}"
            assert client.put(path, json={"query": f'"{text.replace(chr(34), "")}"'}).status_code == 200  # fmt: skip
        visitor = visit(site)
        visitor.page.on("dialog", lambda dialog: visitor.troubles.append(dialog.message))
        rows = site.catalogue.search("state:any", limit=1_000).rows
        layers = {row.layer for row in rows if row.explanation_id in ids}
        (layer,) = layers if len(layers) == 1 else (min(layers),)
        shown = {row.text for row in rows if row.explanation_id in ids and row.layer == layer}
        visitor.page.goto(f"/catalogue?q=layer%3A{layer}+limit%3A200")
        text = visitor.page.locator("#results").inner_text()
        for each in shown:
            assert (each if each.isprintable() else r"a\u202eb\u200bc\x07d") in text
        visitor.page.locator("#saved summary").click()
        for name in HOSTILE[:3]:
            assert visitor.page.get_by_role("link", name=name, exact=True).is_visible()
        visitor.page.wait_for_load_state("networkidle")


def test_keys_lead_from_the_query_to_a_neuron(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.page
    page.goto("/catalogue")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("layer:1 sort:layer")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalogue?q=layer*")
    rows = site.catalogue.search("layer:1 sort:layer", limit=50).rows
    for key, expected in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == rows[expected].neuron
    page.keyboard.press("Enter")
    page.wait_for_url("**/neurons/**")
    assert page.url.endswith(f"#e{rows[0].explanation_id}")
    page.go_back()
    assert page.input_value("#q") == "layer:1 sort:layer"


def test_keys_can_be_turned_off(site: Site, visit: Visit) -> None:
    page = visit(site).page
    page.goto("/catalogue")
    page.get_by_text("What a query can say").click()
    page.get_by_label("single-key shortcuts").uncheck()
    page.goto("/catalogue?q=layer%3A1")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.get_by_text("What a query can say").click()
    page.get_by_label("single-key shortcuts").check()
    page.locator("h1").click()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "A"


def test_a_search_that_takes_a_model_says_so(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.page
    page.goto("/catalogue")
    page.route("**/catalogue?*", lambda route: route.fulfill(status=204))  # stays on the page
    for query, said in (("ice meaning:snow", "sentence model"), ('activates:"a b"', "subject")):
        page.fill("#q", query)
        page.get_by_role("button", name="Search").click()
        page.locator("#loading", has_text=said).wait_for()


def test_a_query_is_saved_and_removed_on_the_page(place: Path, visit: Visit) -> None:
    with serving(place) as site:
        visitor = visit(site)
        page = visitor.page
        page.goto("/catalogue?q=score%3E%3D0.3+layer%3A1")
        page.locator("#saved summary").click()
        page.get_by_label("Save this query as").fill("strong <b>")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved queries (1)").wait_for()
        page.goto("/catalogue")
        page.get_by_role("link", name="strong <b>").click()
        page.wait_for_url("**/catalogue?q=score*")
        assert page.input_value("#q") == "score>=0.3 layer:1"
        page.locator("#saved summary").click()
        page.get_by_role("button", name="Remove strong <b>").click()
        page.get_by_text("Saved queries (0)").wait_for()
        page.wait_for_load_state("networkidle")
        assert site.reviews.saved_queries() == []


def test_a_queue_is_made_of_a_result(place: Path, visit: Visit) -> None:
    with serving(place) as site:
        page = visit(site).page
        page.goto("/catalogue?q=layer%3A1+sort%3Alayer")
        page.get_by_text("Make a queue of this result").click()
        page.get_by_label("Name").fill("layer one")
        page.get_by_label("Explanations", exact=True).fill("7")
        page.get_by_label("For every reviewer").fill("0")
        page.get_by_role("button", name="Make the queue").click()
        page.wait_for_url("**/queues/*")
        page.wait_for_load_state("networkidle")
        (queue,) = site.reviews.queues()
        assert (queue.name, queue.mode, queue.blind) == ("layer one", "verdict", "scores")
        rows = site.catalogue.search("layer:1 sort:layer", limit=7).rows
        targets = site.catalogue.targets([row.explanation_id for row in rows])
        items = site.reviews.items(queue)
        assert [item.target for item in items] == [targets[r.explanation_id] for r in rows]
        assert f"/queues/{queue.uuid}" in page.url


def test_a_queue_that_cannot_be_made_says_why(place: Path, visit: Visit) -> None:
    with serving(place) as site:
        visitor = visit(site)
        page = visitor.page
        page.goto("/catalogue?q=layer%3A1+limit%3A5")
        page.get_by_text("Make a queue of this result").click()
        page.get_by_label("Name").fill("x")
        page.get_by_label("Which").select_option("sample")
        page.get_by_role("button", name="Make the queue").click()
        page.locator("#make-error:not([hidden])").wait_for()
        assert "limit" in page.locator("#make-error").inner_text()
        assert page.get_by_role("button", name="Make the queue").is_enabled()
        assert site.reviews.queues() == []
        visitor.expect("400 (Bad Request)")


def test_a_server_for_reading_offers_no_changes(made: Path, tmp_path: Path) -> None:
    Reviews(tmp_path / "r.sqlite").close()
    with serving(made, tmp_path / "r.sqlite", read_only=True) as site:
        page = site.client().get("/catalogue").text
        assert "Make a queue" not in page
        assert "Save this query" not in page


def test_facets_arrive_by_the_script(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Finder.facets

    def slow(finder: Finder, query: str, *, seconds: float = 0.5) -> Facets | None:
        return counted(finder, query, seconds=seconds) if seconds > 1 else None

    monkeypatch.setattr(Finder, "facets", slow)
    late = site.client().get("/api/v1/search", params={"facets": True}).json()
    assert (late["facets"], late["cut"]) == (None, "facets take longer to count than a query may")
    page = visit(site).page
    path = "/catalogue?q=layer%3A1..3"
    assert not FACET.findall(site.client().get(path).text)
    page.goto(path)
    page.locator("#facets a").nth(5).wait_for()
    assert page.locator("#facets[data-counting]").count() == 0
