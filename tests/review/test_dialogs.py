"""In a real browser: edit and score, and a text of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Locator, Page, expect

from neuroexplain.reviewed import Edited
from tests.explained import NEURON
from tests.review.conftest import Site, Visit, serving

HERE = "/neurons/minilm/2/7%2B"
SLOW = 60_000
"""Milliseconds until a model is loaded."""


@pytest.fixture
def site(minilm_explained: Path, tmp_path: Path) -> Iterator[Site]:
    with serving(Path(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite"))) as found:
        yield found


def open_edit(page: Page, explainer: str) -> Locator:
    """Open the dialog by the keyboard; returns the button."""
    page.goto(HERE)
    page.wait_for_load_state("networkidle")
    button = page.locator("tr", has_text=f"{explainer}, 2").locator("[data-edit]").first
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#edit-simulator option")).not_to_have_count(0)
    return button


def test_an_edit_is_scored_and_the_difference_shown_by_the_keyboard_alone(
    site: Site, visit: Visit
) -> None:
    page = visit(site, "bob").page
    button = open_edit(page, "token-table")
    assert page.evaluate("document.activeElement.id") == "edit-text"
    assert page.locator("#edit-simulator").input_value() == "embedding"
    disabled = page.locator("#edit-simulator option[disabled]").all_inner_texts()
    assert "ngram (it reads what the explainer ngram found, and no text)" in disabled
    page.keyboard.press("Control+a")
    page.keyboard.type("words about foxes")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#edit-result")).to_be_visible(timeout=SLOW)
    (made,) = [e for e in site.catalogue.show(NEURON)["explanations"] if e["explainer"] == "human"]
    (event,) = site.reviews.history(NEURON)
    assert (event.reviewer, event.data) == ("bob", Edited("words about foxes", "embedding"))
    rows = page.locator("#edit-changes tr")
    assert rows.count() == len(made["scores"]) == 2
    value = made["scores"][0]["value"]
    first = rows.first.locator("td").all_inner_texts()
    assert first[1].startswith(f"{value:.2f}".replace("-", "−"))
    assert " to " in first[2], "the difference has its interval"
    page.keyboard.press("Escape")
    expect(page.locator("#edit")).to_be_hidden()
    assert button.evaluate("button => button === document.activeElement"), "the focus is back"


def test_the_new_explanation_is_shown_on_the_page(site: Site, visit: Visit) -> None:
    page = visit(site).page
    open_edit(page, "ngram")
    hostile = "dogs <img src=x onerror=alert(1)> \u202e"
    page.locator("#edit-text").fill(hostile)
    page.locator("#edit-save").click()
    page.locator("#edit-show").click(timeout=SLOW)
    page.wait_for_load_state("networkidle")
    (made,) = [e for e in site.catalogue.show(NEURON)["explanations"] if e["explainer"] == "human"]
    assert page.url.endswith(f"#e{made['id']}")
    row = page.locator(f"#e{made['id']}")
    assert made["text"] == hostile
    expect(row).to_contain_text("dogs <img src=x onerror=alert(1)> \\u202e")
    assert page.locator("img").count() == 0
    expect(row.locator("a", has_text="another")).to_have_attribute("href", f"#e{made['parent_id']}")


def test_a_failure_keeps_the_text_and_can_be_tried_again(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.page
    open_edit(page, "ngram")
    page.locator("#edit-text").fill("words about cats")
    page.context.set_offline(True)
    page.locator("#edit-save").click()
    expect(page.locator("#edit-trouble")).to_be_visible()
    visitor.expect("ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(False)
    assert page.locator("#edit-text").input_value() == "words about cats"
    page.locator("#edit-save").click()
    expect(page.locator("#edit-result")).to_be_visible(timeout=SLOW)
    expect(page.locator("#edit-trouble")).to_be_hidden()
    assert len(site.reviews.history(NEURON)) == 1


def test_an_unchanged_text_is_refused_in_words(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.page
    open_edit(page, "ngram")
    page.locator("#edit-save").click()
    expect(page.locator("#edit-trouble")).to_contain_text("the text is as it was")
    visitor.expect("400 (Bad Request)")
    assert site.reviews.history(NEURON) == []


def test_who_only_reads_cannot_edit(site: Site, visit: Visit) -> None:
    site.desk.read_only = True
    page = visit(site).page
    page.goto(HERE)
    assert page.locator("[data-edit], #edit").count() == 0
    assert page.locator("#try-form").count() == 1


def test_a_text_is_drawn_with_its_activations_and_earlier_ones_stay(
    site: Site, visit: Visit
) -> None:
    page = visit(site).page
    page.goto(HERE)
    evidence = site.catalogue.evidence(site.catalogue.collection(), NEURON)
    top = evidence.of_kind("top")[0].span.text.strip().replace("\n", " ")
    page.locator("#try-text").fill(top)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#try-result")).to_be_visible(timeout=SLOW)
    assert page.locator("#try-tokens").inner_text().strip() == top
    assert page.locator("#try-tokens .peak").count() == 1
    assert page.locator("#try-values tr").count() == page.locator("#try-tokens span").count()
    expect(page.locator("#try-peak")).to_contain_text("% of the corpus' tokens are weaker")
    page.locator("#try-text").fill("<img src=x onerror=alert(1)> \u202e here")
    page.locator("#try-run").click()
    expect(page.locator("#try-tokens")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#try-tokens")).to_contain_text("\\u202e")
    assert page.locator("#try-tokens img").count() == 0
    page.locator("#try-history button").nth(1).click()
    assert page.locator("#try-text").input_value() == top
    assert page.locator("#try-tokens").inner_text().strip() == top


def test_a_text_that_is_too_long_is_refused_in_words(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.page
    page.goto(HERE)
    page.locator("#try-text").fill("fox " * 600)
    page.locator("#try-run").click()
    expect(page.locator("#try-trouble")).to_have_text(
        "the text has 600 tokens; minilm takes 1 to 510", timeout=SLOW
    )
    visitor.expect("400 (Bad Request)")
    assert page.locator("#try-run").is_enabled()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_both_are_accessible_and_fit(site: Site, visit: Visit, scheme: Any, width: int) -> None:
    size = {"width": width, "height": 800}
    page = visit(site, color_scheme=scheme, viewport=size, bypass_csp=True).page
    open_edit(page, "ngram")
    page.locator("#edit-text").fill("words about cows")
    page.locator("#edit-save").click()
    expect(page.locator("#edit-result")).to_be_visible(timeout=SLOW)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("Escape")
    page.locator("#try-text").fill("The fox ran over the hill.")
    page.locator("#try-run").click()
    expect(page.locator("#try-result")).to_be_visible(timeout=SLOW)
    page.locator("#try-result summary").click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
