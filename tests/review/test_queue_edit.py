"""Edit and score in a real browser, over a real model's catalogue: on the neuron's page and in a queue."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from neuroexplain.reviewed import Edited, Judged, Queue, QueueItem, Target
from tests.explained import NEURON
from tests.review.conftest import Site, Visit, serving

TEXT = "words about foxes"
SECONDS = 60_000


@pytest.fixture
def site(minilm_explained: Path, tmp_path: Path) -> Iterator[Site]:
    with serving(Path(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite"))) as found:
        yield found


def parent(site: Site) -> Target:
    shown = site.catalogue.show(NEURON)["explanations"]
    return next(Target.of(NEURON, e["text"]) for e in shown if e["explainer"] == "ngram")


def made(site: Site) -> list[dict[str, object]]:
    """Explanations by people."""
    return [e for e in site.catalogue.show(NEURON)["explanations"] if e["explainer"] == "human"]


def check_difference(site: Site, page: Page) -> None:
    """The dialog has the stored scores of both, and their difference."""
    expect(page.locator("#edit-result")).to_be_visible(timeout=SECONDS)
    rows = [row.split("\t") for row in page.locator("#edit-changes tr").all_inner_texts()]
    (cells,) = [row for row in rows if row[0] == "correlation"]
    (human,) = made(site)
    (score,) = [s for s in human["scores"] if s["scorer"] == "correlation"]  # type: ignore[attr-defined]
    assert f"{abs(score['value']):.2f}" in cells[2]  # the minus is typographic
    assert human["text"] == TEXT


def test_a_better_text_is_scored_in_the_queue_and_goes_with_the_verdict(
    site: Site, visit: Visit
) -> None:
    queue = site.reviews.make_queue(
        Queue(uuid4().hex, "one", "verdict", "none", 0, {}, (), 0, "ann", ""),
        [QueueItem(0, parent(site))],
    )
    page = visit(site).page
    page.goto(f"/queues/{queue.uuid}")
    page.keyboard.press("e")
    page.locator("#rewrite").fill(TEXT)
    page.get_by_role("button", name="Score it now").click()
    expect(page.locator("#edit-text")).to_have_value(TEXT)
    page.keyboard.press("Control+Enter")
    check_difference(site, page)
    page.keyboard.press("Escape")
    expect(page.locator("#rewrite")).to_have_value(TEXT)
    page.get_by_role("button", name="Too narrow").click()
    expect(page.locator("#end")).to_be_visible()
    kinds = [type(event.data) for event in site.reviews.log()]
    assert kinds == [Edited, Judged]
    assert site.reviews.log()[-1].data == Judged("too-narrow", rewrite=TEXT)


def test_an_explanation_is_edited_on_the_page_of_its_neuron(site: Site, visit: Visit) -> None:
    page = visit(site).page
    page.goto(f"/neurons/{quote(str(NEURON))}")
    row = page.locator("tr", has_text=parent(site).text)
    row.get_by_role("button", name="Edit and score").click()
    expect(page.locator("#edit-text")).to_have_value(parent(site).text)
    page.locator("#edit-text").fill(TEXT)
    page.keyboard.press("Control+Enter")
    check_difference(site, page)
    page.get_by_role("button", name="Show it on the page").click()
    expect(page.locator("main")).to_contain_text(TEXT)
