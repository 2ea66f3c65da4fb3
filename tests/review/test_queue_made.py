"""A queue made on the page, and decided: from the form to the share correct."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.review.conftest import Site, Visit


def form(page: Page, name: str, kind: str, n: int) -> None:
    page.goto("/queues")
    page.get_by_text("Make a queue", exact=True).click()
    page.get_by_label("Name").fill(name)
    page.locator("#plan-kind").select_option(kind)
    page.get_by_label("How many").fill(str(n))


def test_a_random_sample_is_made_decided_and_estimated(site: Site, visit: Visit) -> None:
    page = visit(site).page
    form(page, "by layer", "sample", 12)
    page.get_by_label("layer", exact=True).check()
    page.get_by_label("For everybody").fill("50")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/queues/*?at=0")
    (queue,) = site.reviews.queues()
    items = site.reviews.items(queue)
    assert (queue.name, queue.mode, queue.blind) == ("by layer", "verdict", "scores")
    assert sum(s.sampled for s in queue.strata) == 12
    assert sum(item.weight or 0 for item in items) == pytest.approx(
        sum(s.population for s in queue.strata)
    )
    assert sum(item.shared for item in items) == round(len(items) / 2)
    for position in range(len(items)):
        page.wait_for_selector(f'#place .item[data-position="{position}"]')
        page.keyboard.press("a" if position % 3 else "x")
    expect(page.locator("#end")).to_be_visible()
    page.get_by_role("link", name="What the reviews say").click()
    row = page.locator("tr", has=page.locator("th", has_text="all")).first.inner_text()
    assert f"{len(items)} of {len(items)}" in row
    right = sum(i.weight or 0 for i in items if i.position % 3) / sum(i.weight or 0 for i in items)
    assert f"{100 * right:.1f} %" in row


@pytest.mark.parametrize("kind", ["query", "pairs", "simulation", "disagreement"])
def test_every_kind_is_made_on_the_page(site: Site, visit: Visit, kind: str) -> None:
    page = visit(site).page
    form(page, kind, kind, 4)
    if kind == "query":
        page.get_by_label("Drawn from").fill("layer:1")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/queues/*?at=0")
    (queue,) = site.reviews.queues()
    assert 1 <= queue.n_items <= 4
    assert queue.plan["kind"] == kind
    expect(page.locator("#place .item")).to_be_visible()


def test_what_cannot_be_made_is_one_line_and_the_form_stays(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.page
    form(page, "nothing", "query", 4)
    page.get_by_label("Drawn from").fill("layer:nowhere")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#plan-error")).to_contain_text("layer")
    assert page.get_by_label("Name").input_value() == "nothing"
    assert site.reviews.queues() == []
    visitor.expect("400 (Bad Request)")


def test_read_only_offers_no_form(site: Site, visit: Visit) -> None:
    site.desk.read_only = True
    page = visit(site).page
    page.goto("/queues")
    assert page.locator("#plan").count() == 0
