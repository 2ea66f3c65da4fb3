"""A queue in a real browser: decisions by keys alone, each on disk before the page says so."""

from __future__ import annotations

import re
import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from neuroexplain.catalogue import Reviews
from neuroexplain.review.items import MARKED
from neuroexplain.review.marking import held_out, scored
from neuroexplain.reviewed import (
    Event,
    Judged,
    Preferred,
    Queue,
    Simulated,
    Written,
)
from tests.review.conftest import Site, Visit, copy_of, serving
from tests.review.queues import make, pairs

KEYS = {"a": "correct", "b": "too-broad", "n": "too-narrow", "p": "partly", "x": "wrong", "u": "uninterpretable", "0": "cannot-tell"}  # fmt: skip
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def shared(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all tests here; each has a queue of its own."""
    with serving(copy_of(made, tmp_path_factory.mktemp("reviews"))) as site:
        yield site


def at(page: Page, position: int) -> None:
    """Wait until an item is before the reviewer."""
    page.wait_for_selector(f'#place .item[data-position="{position}"]')


def ready(page: Page) -> None:
    """Wait until the next item is there before it is wanted."""
    expect(page.locator("#queue")).to_have_attribute("data-ready", re.compile("[1-9]"))


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("saved")


def decisions(site: Site, queue: Queue, kind: str = "verdict") -> list[Event]:
    return site.reviews.counting(kind, queue=queue.uuid)


def verdicts(site: Site, queue: Queue) -> list[tuple[int | None, str]]:
    found: list[tuple[int | None, str]] = []
    for event in decisions(site, queue):
        assert isinstance(event.data, Judged)
        found.append((event.position, event.data.verdict))
    return found


def test_twenty_decisions_by_keys_alone(shared: Site, visit: Visit) -> None:
    queue = make(shared, 20)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    wanted = []
    for position in range(20):
        at(page, position)
        key, verdict = list(KEYS.items())[position % len(KEYS)]
        page.keyboard.press(key)
        wanted.append((position, verdict))
    expect(page.locator("#end h2")).to_be_focused()
    assert page.locator("#end-done").inner_text() == "20"
    assert verdicts(shared, queue) == wanted
    events = decisions(shared, queue)
    assert len({e.uuid for e in events}) == 20
    assert all(e.seconds is not None and 0 < e.seconds < 60 for e in events)
    assert [e.target for e in events] == [item.target for item in shared.reviews.items(queue)]


def test_the_next_item_is_there_at_once(shared: Site, visit: Visit) -> None:
    queue = make(shared, 12)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    waits = []
    for position in range(11):
        at(page, position)
        ready(page)
        waits.append(
            page.evaluate(
                """() => {
                    const before = performance.now();
                    document.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
                    return [performance.now() - before, document.querySelector("#place .item").dataset.position];
                }"""
            )
        )
    assert [int(place) for _, place in waits] == list(range(1, 12))  # swapped before the key is up
    assert statistics.median(ms for ms, _ in waits) < 50
    page.keyboard.press("x")
    expect(page.locator("#end")).to_be_visible()


def test_what_was_skipped_comes_back_at_the_end(shared: Site, visit: Visit) -> None:
    queue = make(shared, 3)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    for position, key in ((0, "Space"), (1, "a"), (2, "b"), (0, "x")):
        at(page, position)
        page.keyboard.press(key)
    expect(page.locator("#end")).to_be_visible()
    assert verdicts(shared, queue) == [(1, "correct"), (2, "too-broad"), (0, "wrong")]


def test_undo_takes_back_the_newest_even_after_a_reload(shared: Site, visit: Visit) -> None:
    queue = make(shared, 4)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    for position, key in ((0, "a"), (1, "b")):
        at(page, position)
        page.keyboard.press(key)
    at(page, 2)
    saved(page)
    page.goto(f"/queues/{queue.uuid}")
    at(page, 2)
    page.keyboard.press("Backspace")
    at(page, 1)
    assert verdicts(shared, queue) == [(0, "correct")]
    page.keyboard.press("x")
    at(page, 2)
    saved(page)
    assert verdicts(shared, queue) == [(0, "correct"), (1, "wrong")]
    kinds = [e.kind for e in shared.reviews.log() if queue.uuid == e.queue]
    assert kinds == ["verdict", "verdict", "undo", "verdict"]  # nothing is ever removed


def test_undo_at_the_end_goes_back_into_the_queue(shared: Site, visit: Visit) -> None:
    queue = make(shared, 1)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    page.keyboard.press("a")
    expect(page.locator("#end")).to_be_visible()
    page.keyboard.press("Backspace")
    at(page, 0)
    assert verdicts(shared, queue) == []
    expect(page.locator("#decide")).to_be_visible()


def test_a_reload_restores_the_place(shared: Site, visit: Visit) -> None:
    queue = make(shared, 4)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    at(page, 0)
    page.keyboard.press("a")
    at(page, 1)
    saved(page)
    page.reload()
    at(page, 1)
    assert page.locator("#done").inner_text() == "1"
    page.goto(f"/queues/{queue.uuid}")
    at(page, 1)


def test_note_tags_and_confidence_go_with_the_decision(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    at(page, 0)
    page.keyboard.press("3")
    page.keyboard.press("g")
    page.keyboard.type("syntax, a b n x")  # none of these is a decision
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.keyboard.type('names <b>too</b> "much"')
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    at(page, 1)
    saved(page)
    (event,) = decisions(shared, queue)
    assert event.data == Judged("too-narrow", 3, ("syntax", "a b n x"), 'names <b>too</b> "much"')
    assert page.locator("#note").input_value() == ""
    assert page.locator("input[name=confidence]:checked").count() == 0


def test_a_better_text_goes_with_the_verdict(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    text = page.locator("#place .explanation").inner_text()
    page.keyboard.press("e")
    expect(page.locator("#rewrite")).to_be_focused()
    assert page.locator("#rewrite").input_value() == text
    page.keyboard.press("Control+End")
    page.keyboard.type(", and only there")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    at(page, 1)
    saved(page)
    expect(page.locator("#rewrite")).to_be_hidden()
    (event,) = decisions(shared, queue)
    assert event.data == Judged("too-broad", rewrite=f"{text}, and only there")
    page.keyboard.press("Backspace")
    expect(page.locator("#rewrite")).to_have_value(f"{text}, and only there")


def test_a_text_that_was_left_as_it_was_is_no_better_text(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    at(page, 1)
    saved(page)
    assert [event.data for event in decisions(shared, queue)] == [Judged("correct")]


def test_a_tag_that_is_too_long_is_said_before_it_is_sent(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    page.locator("#tags").fill(f"short, {'x' * 61}")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator("#trouble")).to_contain_text("a tag has at most 60 letters")
    at(page, 0)
    assert decisions(shared, queue) == []


def test_keys_rest_where_no_next_item_can_be_fetched(shared: Site, visit: Visit) -> None:
    queue = make(shared, 9)
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    expect(page.locator("#queue")).to_have_attribute("data-ready", "3")
    visitor.context.set_offline(True)
    for position in range(4):
        at(page, position)
        page.keyboard.press("a")
    page.keyboard.press("x")  # the last of those that were there must not be decided again
    expect(page.locator("#trouble")).to_contain_text("not saved")
    visitor.context.set_offline(False)
    at(page, 4)
    saved(page)
    assert verdicts(shared, queue) == [(position, "correct") for position in range(4)]
    visitor.expect("ERR_INTERNET_DISCONNECTED")


def test_reading_only_offers_nothing_to_press(made: Path, tmp_path: Path, visit: Visit) -> None:
    with serving(copy_of(made, tmp_path)) as site:
        queue = make(site, 2)
        site.desk.read_only = True
        page = visit(site).page
        page.goto(f"/queues/{queue.uuid}")
        assert page.locator("#decide").count() == 0
        assert "reading only" in page.locator("main").inner_text()
        assert page.locator("#place .item").is_visible()


def test_shortcuts_can_be_turned_off_and_stay_off(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    page.locator("#shortcuts").uncheck()
    page.locator("#shortcuts").blur()
    page.keyboard.press("a")
    page.reload()
    page.keyboard.press("x")
    at(page, 0)
    assert verdicts(shared, queue) == []
    page.get_by_role("button", name="Wrong").click()  # buttons work all the same
    at(page, 1)
    saved(page)
    assert verdicts(shared, queue) == [(0, "wrong")]


def test_two_reviewers_at_once_get_different_items(shared: Site, visit: Visit) -> None:
    queue = make(shared, 8, shared=False)
    ann, bob = visit(shared, "ann").page, visit(shared, "bob").page
    for page in (ann, bob):
        page.goto(f"/queues/{queue.uuid}")
    for _ in range(10):
        for page, key in ((ann, "a"), (bob, "x")):
            if not page.locator("#end").is_visible():
                page.keyboard.press(key)
                saved(page)
    for page in (ann, bob):
        expect(page.locator("#end")).to_be_visible()
    events = decisions(shared, queue)
    assert sorted(e.position or 0 for e in events) == list(range(8))
    assert {e.reviewer for e in events} == {"ann", "bob"}


def test_what_is_for_everybody_is_decided_by_both(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2)
    for name in ("ann", "bob"):
        page = visit(shared, name).page
        page.goto(f"/queues/{queue.uuid}")
        for position in range(2):
            at(page, position)
            page.keyboard.press("a")
        expect(page.locator("#end")).to_be_visible()
    assert shared.reviews.reviewers(queue) == {"ann": 2, "bob": 2}


def test_blind_hides_scores_and_authors_from_every_answer(shared: Site, visit: Visit) -> None:
    queue = make(shared, 4, blind="scores")
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    for position in range(3):
        at(page, position)
        page.keyboard.press("a")
    at(page, 3)
    saved(page)
    explainers = {row.explainer for row in shared.catalogue.search("", limit=200).rows}
    got = [r.text() for r in visitor.responses if "/queues/" in r.url and r.ok]
    assert len(got) >= 4
    for text in (*got, page.content()):
        for hidden in (*explainers, "correlation", "gpt-", 'simulated"', "data-explanation"):
            assert hidden not in text, hidden
    item = page.locator("#place .item")
    assert "Strongest, seen by the explainer" in item.inner_text()
    neuron = shared.reviews.items(queue)[3].target.neuron
    page.goto(f"/neurons/{str(neuron).replace('+', '%2B')}")
    assert "blind queue that you have not finished" in page.content()
    assert "correlation" not in page.locator("#main").inner_text()
    page.get_by_role("link", name="Show them all the same").click()
    assert "correlation" in page.locator("#main").inner_text()


def test_the_explanation_is_given_out_only_once_there_is_one_of_the_reviewers(
    shared: Site, visit: Visit
) -> None:
    queue = make(shared, 2, blind="explanation")
    text = shared.reviews.items(queue)[0].target.text
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    at(page, 0)
    page.wait_for_load_state("networkidle")
    assert not any(text in r.text() for r in visitor.responses if r.ok and "/queues" in r.url)
    page.keyboard.press("a")  # not yet
    at(page, 0)
    page.locator(".own").fill("rivers in winter")
    page.get_by_role("button", name="Save and show the other").click()
    expect(page.locator(".explanation")).to_have_text(text)
    assert "rivers in winter" in page.locator("#place").inner_text()
    page.keyboard.press("p")
    at(page, 1)
    saved(page)
    assert [e.data for e in decisions(shared, queue, "own")] == [Written("rivers in winter")]
    assert verdicts(shared, queue) == [(0, "partly")]


def test_pairs_are_decided_by_sides(shared: Site, visit: Visit) -> None:
    queue = make(shared, 3, mode="pairwise", blind="scores")
    about = pairs(shared, 3)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    for position, key in enumerate("120"):
        at(page, position)
        assert page.locator(".pair .explanation").all_inner_texts() == [
            t.text for t in about[position]
        ]
        page.keyboard.press(key)
    expect(page.locator("#end")).to_be_visible()
    events = decisions(shared, queue, "preference")
    assert [e.data for e in events] == [Preferred("left"), Preferred("right"), Preferred("tie")]
    assert [(e.target, e.other) for e in events] == about


def test_a_person_marks_held_out_spans_by_keys_and_is_scored(shared: Site, visit: Visit) -> None:
    queue = make(shared, 2, mode="simulation")
    (item, _) = shared.reviews.items(queue)
    spans = held_out(shared.desk, item.target, spans=MARKED, seed=queue.seed)
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    at(page, 0)
    assert page.locator(".marking").count() == len(spans) > 1
    assert page.locator(".group").count() == 0  # no evidence beside it
    page.locator("[tabindex='0'].token").focus()
    for key in ("7", "ArrowRight", "Space", "ArrowRight", "3", "0", "ArrowDown", "Space"):
        page.keyboard.press(key)
    page.locator(".marking").nth(1).locator(".token").nth(spans[1].first).press("4")
    page.locator("#undo").focus()
    page.locator("#undo").blur()
    page.keyboard.press("Space")  # marks are not thrown away by a key
    expect(page.locator("#trouble")).to_contain_text("there are marks")
    page.keyboard.press("Enter")
    at(page, 1)
    saved(page)
    expect(page.locator("#last")).to_contain_text("Item 1: correlation")
    (event,) = decisions(shared, queue, "simulation")
    assert isinstance(event.data, Simulated)
    marked = [span.levels for span in event.data.spans]
    quiet = (0,) * spans[0].first
    rest = (0,) * (len(spans[0].tokens) - len(quiet) - 2)
    assert marked[0] == (*quiet, 7, 10, *rest)
    assert marked[1] == (*(0,) * spans[1].first, 4, *(0,) * (len(spans[1].tokens) - spans[1].first - 1))  # fmt: skip
    assert not any(any(levels) for levels in marked[2:])
    assert scored(shared.desk, item.target, event.data.spans) == event.data
    page.keyboard.press("Space")  # no token has the focus: the item is skipped
    saved(page)
    assert [e.kind for e in shared.reviews.log() if e.queue == queue.uuid] == ["simulation", "skip"]
    for _ in range(2):
        page.keyboard.press("Backspace")
        saved(page)
    at(page, 0)
    first = page.locator(".marking").first.locator(".token:enabled")
    assert [first.nth(n).get_attribute("data-level") for n in range(3)] == ["7", "10", "0"]


def test_marks_are_drawn_with_the_pointer(shared: Site, visit: Visit) -> None:
    queue = make(shared, 1, mode="simulation")
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    tokens = page.locator(".marking").first.locator(".token:enabled")
    tokens.nth(0).hover()
    page.mouse.down()
    tokens.nth(1).hover()
    page.mouse.up()
    tokens.nth(2).hover()
    levels = [tokens.nth(n).get_attribute("data-level") for n in range(3)]
    assert levels == ["10", "10", "0"]
    tokens.nth(0).click()
    assert tokens.nth(0).get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="Hand in").click()
    expect(page.locator("#end")).to_be_visible()
    (event,) = decisions(shared, queue, "simulation")
    assert isinstance(event.data, Simulated)
    assert sum(map(sum, (span.levels for span in event.data.spans))) == 10


def test_the_last_word_is_had_in_sight_of_what_was_said(shared: Site, visit: Visit) -> None:
    first = make(shared, 1)
    target = shared.reviews.items(first)[0].target
    for name, verdict in (("cid", "correct"), ("ottilie", "wrong")):
        page = visit(shared, name).page
        page.goto(f"/queues/{first.uuid}")
        page.keyboard.press({"correct": "a", "wrong": "x"}[verdict])
        expect(page.locator("#end")).to_be_visible()
    hidden = make(shared, 1, mode="adjudication", blind="scores")
    page = visit(shared).page
    page.goto(f"/queues/{hidden.uuid}")
    assert re.search(r"reviewer \d\twrong", page.locator("#place table").first.inner_text())
    assert "ottilie" not in page.content()
    page.keyboard.press("b")  # blind here, the reviewer is blind everywhere
    expect(page.locator("#end")).to_be_visible()
    queue = make(shared, 1, mode="adjudication")
    page.goto(f"/queues/{queue.uuid}")
    said = page.locator("#place table").first.inner_text()
    assert "cid\tcorrect" in said
    assert "ottilie\twrong" in said
    page.keyboard.press("b")
    expect(page.locator("#end")).to_be_visible()
    (event,) = decisions(shared, queue, "adjudication")
    assert event.target == target


def test_a_decision_that_cannot_be_written_is_said_and_written_once_later(
    shared: Site, visit: Visit
) -> None:
    queue = make(shared, 3)
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    page.wait_for_load_state("networkidle")
    page.route("**/api/v1/events", lambda route: route.abort())
    page.keyboard.press("a")
    at(page, 1)
    expect(page.locator("#saved")).to_have_text("not saved: 1")
    expect(page.locator("#trouble")).to_contain_text("Trying again")
    assert verdicts(shared, queue) == []
    page.unroute("**/api/v1/events")
    saved(page)
    assert verdicts(shared, queue) == [(0, "correct")]
    expect(page.locator("#trouble")).to_be_hidden()
    visitor.expect("net::ERR_FAILED")


def refuse(route: Route) -> None:
    route.fulfill(status=400, json={"detail": "the disk is full"})


def test_a_late_refusal_leaves_the_next_item_and_its_note_and_can_be_gone_back_to(
    shared: Site, visit: Visit
) -> None:
    queue = make(shared, 4)
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    ready(page)
    held: list[Route] = []
    page.route("**/api/v1/events", lambda route: held.append(route))
    page.locator("#note").fill("said of the first")
    page.locator("#note").press("Escape")
    page.keyboard.press("a")
    at(page, 1)
    page.keyboard.press("c")
    page.keyboard.type("said of the second")
    refuse(held[0])
    expect(page.locator("#refused")).to_contain_text("Item 1 is not saved: the disk is full")
    expect(page.locator("#saved")).to_have_text("not saved: 1")
    at(page, 1)
    assert page.locator("#note").input_value() == "said of the second"
    assert page.locator("#done").inner_text() == "0"
    page.unroute("**/api/v1/events")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    at(page, 2)
    page.get_by_role("button", name="Go back to item 1").click()
    at(page, 0)
    assert page.locator("#note").input_value() == "said of the first"
    expect(page.locator("#refused li")).to_have_count(1)
    page.keyboard.press("b")
    at(page, 2)
    saved(page)
    assert page.locator("#refused li").count() == 0
    notes = [(e.position, e.data) for e in decisions(shared, queue)]
    assert notes == [
        (1, Judged("wrong", note="said of the second")),
        (0, Judged("too-broad", note="said of the first")),
    ]
    visitor.expect("400 (Bad Request)")


def test_the_last_item_keeps_its_note_when_it_is_refused(shared: Site, visit: Visit) -> None:
    queue = make(shared, 1)
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    page.wait_for_load_state("networkidle")
    page.route("**/api/v1/events", refuse)
    page.locator("#note").fill("hard to say")
    page.locator("#note").press("Escape")
    page.keyboard.press("a")
    expect(page.locator("#saved")).to_have_text("not saved: 1")
    expect(page.locator("#note")).to_have_value("hard to say")
    at(page, 0)
    page.unroute("**/api/v1/events")
    expect(page.locator("#queue:not([aria-busy])")).to_be_visible()
    page.keyboard.press("x")
    expect(page.locator("#end")).to_be_visible()
    saved(page)
    (event,) = decisions(shared, queue)
    assert event.data == Judged("wrong", note="hard to say")
    visitor.expect("400 (Bad Request)")


def test_a_locked_file_is_waited_for(site: Site, visit: Visit) -> None:
    queue = make(site, 3)
    visitor = visit(site)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    page.wait_for_load_state("networkidle")
    patient = site.desk.reviews
    site.desk.reviews = Reviews(patient.path, timeout=0.05)
    with closing(sqlite3.connect(patient.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        page.keyboard.press("a")
        expect(page.locator("#saved")).to_have_text("not saved: 1")
        expect(page.locator("#trouble")).to_contain_text("locked by another process")
        at(page, 1)
        page.locator("#note").fill("of the second")
        assert page.locator("#refused li").count() == 0
    saved(page)
    assert verdicts(site, queue) == [(0, "correct")]
    at(page, 1)
    assert page.locator("#note").input_value() == "of the second"
    site.desk.reviews.close()
    site.desk.reviews = patient
    visitor.expect("503 (Service Unavailable)")


def test_two_quick_presses_take_back_two_decisions(shared: Site, visit: Visit) -> None:
    queue = make(shared, 5)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    for position, key in enumerate("abx"):
        at(page, position)
        page.keyboard.press(key)
    at(page, 3)
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    at(page, 1)
    saved(page)
    assert verdicts(shared, queue) == [(0, "correct")]
    assert page.locator("#done").inner_text() == "1"
    expect(page.locator("#status")).to_have_text("taken back: too-broad")
    for position, key in ((1, "n"), (2, "n"), (3, "n")):  # and goes on where it was
        at(page, position)
        page.keyboard.press(key)
    at(page, 4)


def test_an_undo_whose_answer_is_lost_takes_back_one_decision(shared: Site, visit: Visit) -> None:
    queue = make(shared, 4)
    visitor = visit(shared)
    page = visitor.page
    page.goto(f"/queues/{queue.uuid}")
    for position, key in enumerate("ab"):
        at(page, position)
        page.keyboard.press(key)
    at(page, 2)
    saved(page)

    def lose(route: Route) -> None:
        own = {"origin": shared.origin, "sec-fetch-site": "same-origin"}
        assert route.fetch(headers=route.request.all_headers() | own).status == 201
        route.abort()

    page.route("**/api/v1/undo", lose)
    page.keyboard.press("Backspace")
    expect(page.locator("#trouble")).to_contain_text("Trying again")
    assert verdicts(shared, queue) == [(0, "correct")]
    page.unroute("**/api/v1/undo")
    at(page, 1)
    saved(page)
    assert verdicts(shared, queue) == [(0, "correct")]
    assert page.locator("#done").inner_text() == "1"
    visitor.expect("net::ERR_FAILED")


def test_an_item_that_comes_late_does_not_wipe_what_is_typed_meanwhile(
    shared: Site, visit: Visit
) -> None:
    queue = make(shared, 3)
    page = visit(shared).page
    page.goto(f"/queues/{queue.uuid}")
    page.wait_for_load_state("networkidle")
    held: list[Route] = []
    page.route("**/items/1", lambda route: held.append(route))
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.type("of the first")
    with page.expect_response("**/items/1") as answer:
        held[0].continue_()
    answer.value.finished()
    page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    at(page, 0)
    assert page.locator("#note").input_value() == "of the first"
    page.unroute("**/items/1")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    at(page, 1)
    assert page.locator("#note").input_value() == ""
    page.keyboard.press("k")
    at(page, 0)
    assert page.locator("#note").input_value() == "of the first"
