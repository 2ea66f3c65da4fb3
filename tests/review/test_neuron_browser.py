"""The page of one neuron in a browser: by the keyboard alone, with parts that come when they are wanted."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from neuroexplain.reviewed import Edited, Event, Judged
from tests.review.conftest import Site, Visit, serving
from tests.review.neurons import address, asked, paid, save, scored

AT = "2026-11-25T12:00:00.000+00:00"


def test_a_server_for_reading_offers_no_decisions(made: Path, tmp_path: Path, visit: Visit) -> None:
    with serving(made, tmp_path / "r.sqlite", read_only=True) as site:
        target = scored(site)
        visitor = visit(site)
        page = visitor.page
        page.goto(address(target.neuron))
        assert page.locator("[data-verdict], [data-edit], .keys").count() == 0
        page.keyboard.press("j")
        page.keyboard.press("a")
        page.keyboard.press("v")
        assert page.locator("#toggle-simulated").get_attribute("aria-pressed") == "false"
        assert site.reviews.history(target.neuron) == []


def test_the_keyboard_alone_judges_and_takes_back(site: Site, visit: Visit) -> None:
    target = scored(site)
    page = visit(site).page
    page.goto(address(target.neuron))
    page.keyboard.press("a")
    assert site.reviews.history(target.neuron) == [], "no explanation has the focus yet"
    texts = [e["text"] for e in site.catalogue.show(target.neuron)["explanations"] if e["status"] == "ok"]  # fmt: skip
    page.keyboard.press("j")
    page.keyboard.press("b")
    page.get_by_text("saved: too broad").first.wait_for()
    (event,) = site.reviews.history(target.neuron)
    assert (event.reviewer, event.target.text, event.data) == ("ann", texts[0], Judged("too-broad"))
    assert event.seconds is not None and event.seconds > 0
    page.keyboard.press("Backspace")
    page.get_by_text("taken back").first.wait_for()
    assert site.reviews.judgements(neurons=[target.neuron]) == []
    page.keyboard.press("Backspace")
    page.wait_for_function("document.getElementById('status').textContent.startsWith('nothing')")
    assert len(site.reviews.history(target.neuron)) == 2


def test_undo_takes_back_the_verdict_of_the_page_and_no_edit(site: Site, visit: Visit) -> None:
    target = scored(site)
    page = visit(site).page
    page.goto(address(target.neuron))
    page.keyboard.press("j")
    page.keyboard.press("b")
    page.get_by_text("saved: too broad").first.wait_for()
    edit = Event(uuid4().hex, "ann", target, Edited("thin ice", "keywords"), AT)
    site.reviews.add(edit)
    page.keyboard.press("Backspace")
    page.get_by_text("taken back").first.wait_for()
    assert site.reviews.judgements(neurons=[target.neuron]) == []
    assert [e.uuid for e in site.reviews.counting("edit")] == [edit.uuid]


def test_keys_go_through_the_explanations_and_stay_out_of_fields(site: Site, visit: Visit) -> None:
    target = scored(site)
    page = visit(site).page
    page.goto(address(target.neuron))
    ids = page.locator(".matrix tbody tr").evaluate_all("rows => rows.map(row => row.id)")
    focused = "document.activeElement.id"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate(focused) == ids[min(1, len(ids) - 1)]
    page.keyboard.press("k")
    assert page.evaluate(focused) == ids[0]
    page.locator("#try-text").fill("")
    page.keyboard.type("jxv")
    assert page.locator("#try-text").input_value() == "jxv"
    assert site.reviews.history(target.neuron) == []


def test_simulated_rows_can_be_hidden_all_or_one_explanation_at_a_time(
    site: Site, visit: Visit
) -> None:
    page = visit(site).page
    page.goto(address(scored(site).neuron))
    buttons = page.locator("[data-simulated]")
    assert buttons.count() >= 1
    first = buttons.first.get_attribute("data-simulated")
    own = page.locator(f'.simulated[data-explanation="{first}"]')
    hidden = page.locator(".simulated[hidden]")
    n_all, n_own = page.locator(".simulated").count(), own.count()
    assert own.first.is_visible()
    buttons.first.click()
    assert hidden.count() == n_own
    assert not own.first.is_visible()
    buttons.first.click()
    assert hidden.count() == 0
    page.keyboard.press("v")
    assert hidden.count() == n_all
    assert page.locator("#toggle-simulated").get_attribute("aria-pressed") == "false"
    page.keyboard.press("v")
    assert hidden.count() == 0


def test_provenance_opens_in_place_and_gives_the_focus_back(site: Site, visit: Visit) -> None:
    page = visit(site).page
    page.goto(address(scored(site).neuron))
    link = page.locator(".comes-from").first
    link.click()
    dialog = page.locator("dialog.provenance")
    dialog.wait_for()
    assert "Language model" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("document.activeElement.className") == "comes-from"


def test_relatives_come_when_they_are_scrolled_to(site: Site, visit: Visit) -> None:
    page = visit(site).page
    page.goto(address(scored(site).neuron))
    assert page.locator("#related table").count() == 0
    page.locator("#related").scroll_into_view_if_needed()
    page.locator("#related table").first.wait_for()
    assert page.locator('#related a[href^="/neurons/made/"]').count() >= 1


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_provenance_relatives_and_the_open_page_are_accessible_and_fit(
    site: Site, place: Path, visit: Visit, scheme: str, width: int
) -> None:
    neuron = scored(site).neuron
    number = save(place, asked(neuron), None, paid())
    second = save(place, asked(neuron, "ice, edited"), number)
    settings = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    page = visit(site, **settings, bypass_csp=True).page

    def check() -> None:
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    for where in (f"/explanations/{number}", f"/explanations/{second}", f"{address(neuron)}/related"):  # fmt: skip
        page.goto(where)
        check()
    page.goto(address(neuron))
    page.locator("#related").scroll_into_view_if_needed()
    page.locator("#related table").first.wait_for()
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    check()
    page.locator(".comes-from").last.click()
    page.locator("dialog.provenance").wait_for()
    check()
