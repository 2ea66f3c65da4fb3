"""Every page as a browser sees it: no script error, nothing refused by its own policy, nothing that axe finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Response

from tests.review.conftest import Site, Visit, Visitor, copy_of, serving
from tests.review.queues import make_queues

Scheme = Literal["light", "dark"]
SCHEMES: tuple[tuple[Scheme, int, str], ...] = (
    ("light", 1200, "rgb(253, 253, 251)"),
    ("dark", 360, "rgb(20, 23, 28)"),
)
PAGES = (
    "overview",
    "catalogue",
    "results",
    "mistake",
    "neuron",
    "provenance",
    "related",
    "agreement",
    "compare",
    "health",
    "queues",
    "verdict",
    "blind",
    "own",
    "pairwise",
    "simulation",
    "adjudication",
    "missing",
)


def go(visitor: Visitor, address: str, name: str) -> Response:
    """Open a page and wait until it has all that it asks for."""
    answer = visitor.page.goto(address)
    assert answer is not None
    refused = {"missing": "404 (Not Found)", "mistake": "400 (Bad Request)"}.get(name)
    assert answer.status == (int(refused[:3]) if refused else 200)
    visitor.page.wait_for_load_state("networkidle")
    if refused:
        visitor.expect(refused)
    return answer


@pytest.fixture(scope="module")
def addresses(
    made: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, dict[str, str]]]:
    """A server with a queue of every mode, and the address of each page."""
    with serving(copy_of(made, tmp_path_factory.mktemp("reviews"))) as site:
        queues = make_queues(site)
        neuron = quote(site.catalogue.search("score>=0.5 sort:-score", limit=1).rows[0].neuron)
        found = {
            "overview": "/",
            "catalogue": "/catalogue",
            "results": "/catalogue?q=layer:1+score%3E%3D0.2",
            "mistake": "/catalogue?q=layer:x",
            "neuron": f"/neurons/{neuron}?reveal=1",
            "health": "/health",
            "provenance": "/explanations/3",
            "related": f"/neurons/{neuron}/related",
            "agreement": "/agreement",
            "compare": "/compare",
            "queues": "/queues",
            "missing": "/neurons/made/99/1%2B",
        }
        yield site, found | {name: f"/queues/{uuid}" for name, uuid in queues.items()}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits(
    addresses: tuple[Site, dict[str, str]], visit: Visit, name: str
) -> None:
    site, pages = addresses
    visitor = visit(site, bypass_csp=True)  # axe is a script of its own
    page = visitor.page
    go(visitor, pages[name], name)
    for scheme, width, background in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shown = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert shown == background


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_its_own_policy(
    addresses: tuple[Site, dict[str, str]], visit: Visit, name: str
) -> None:
    site, pages = addresses
    visitor = visit(site)
    answer = go(visitor, pages[name], name)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    # What the browser had to say against the page fails the test at its end.
    assert visitor.page.locator("h1").count() == 1


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_without_javascript(
    addresses: tuple[Site, dict[str, str]], visit: Visit, name: str
) -> None:
    site, pages = addresses
    visitor = visit(site, java_script_enabled=False)
    page = visitor.page
    go(visitor, pages[name], name)
    assert len(page.locator("main").inner_text()) > 40
    assert page.locator("#main h1").is_visible()


def test_what_opens_on_a_page_is_accessible_too(
    addresses: tuple[Site, dict[str, str]], visit: Visit
) -> None:
    site, pages = addresses
    page = visit(site, bypass_csp=True).page
    page.goto(pages["queues"])
    page.get_by_text("Make a queue", exact=True).click()
    assert page.locator("#plan-form").is_visible()
    for kind in ("sample", "disagreement"):
        page.locator("#plan-kind").select_option(kind)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    page.goto(pages["verdict"])
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert page.locator("#rewrite").is_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
