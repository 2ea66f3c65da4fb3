"""The page of one neuron: all that the catalogue knows, where it comes from, and nothing of what a blind reviewer awaits."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from neuroexplain.records import Explanation, Failure, NeuronId
from neuroexplain.review.rendering import number
from neuroexplain.reviewed import Event, Judged, Target, Undone, Verdict
from tests.review.conftest import Site, copy_of, serving
from tests.review.neurons import MESSAGES, PROMPT, address, asked, paid, save, scored
from tests.review.queues import make, targets


@pytest.fixture(scope="module")
def reading(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for tests that decide nothing."""
    with serving(copy_of(made, tmp_path_factory.mktemp("reading"))) as found:
        yield found


def words(page: str) -> str:
    """What is to be read on a page."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def judged(site: Site, target: Target, verdict: Verdict, note: str = "") -> Event:
    said = Judged(verdict, note=note)
    return site.reviews.add(
        Event(uuid4().hex, "cid", target, said, "2026-01-01T10:20:00.000+00:00")
    )


def test_the_page_has_every_explanation_with_each_of_its_scores(reading: Site) -> None:
    client, n_scores = reading.client(), 0
    for neuron in {scored(reading).neuron, *(t.neuron for t in targets(reading, 12))}:
        page = client.get(address(neuron)).text
        shown = reading.catalogue.show(neuron)["explanations"]
        rows = {int(n): words(row) for n, row in re.findall(r'<tr id="e(\d+)".*?>(.*?)</tr>', page, re.DOTALL)}  # fmt: skip
        assert set(rows) == {e["id"] for e in shown}
        for explanation in shown:
            row = rows[explanation["id"]]
            assert explanation["text"] in row
            for score in explanation["scores"]:
                n_scores += 1
                assert number(score["value"]) in row
                assert f"floor {number(score['floor'])}" in row
    assert n_scores > 12


def test_the_page_says_what_is_held_out(reading: Site) -> None:
    page = words(reading.client().get(address(scored(reading).neuron)).text)
    for said in ("Strongest, seen by the explainer", "Strongest, held out", "held out, for the scores",
                 "No document is on both sides.", "neuroexplain show made/"):  # fmt: skip
        assert said in page


def test_neighbours_and_the_other_side_are_linked(reading: Site) -> None:
    client = reading.client()
    width = reading.catalogue.collection("made").subject.widths[1]
    for index, names in ((0, {"next"}), (3, {"prev", "next"}), (width - 1, {"prev"})):
        page = client.get(address(NeuronId("made", 1, index))).text
        links = dict(re.findall(r'<a href="([^"]*)" rel="(\w+)"', page))
        assert set(links.values()) == names
        assert f'<a href="/neurons/made/1/{index}-">The other side</a>' in page
        assert all(client.get(link).status_code == 200 for link in links)


def test_a_failure_is_a_row_with_its_reason(site: Site, place: Path) -> None:
    neuron = NeuronId("made", 1, 3)
    save(place, Explanation(neuron, "ngram", "", 1.5, failure=Failure("explain", "parse_failed", "no <i>sentence</i>", "raw <b>")))  # fmt: skip
    page = site.client().get(address(neuron)).text
    assert "failed: parse_failed" in page
    assert "no &lt;i&gt;sentence&lt;/i&gt;" in page
    number = next(e["id"] for e in site.catalogue.show(neuron)["explanations"] if e["reason"] == "parse_failed")  # fmt: skip
    assert "raw &lt;b&gt;" in site.client().get(f"/explanations/{number}").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/neurons/made/99/1%2B", 404),
        ("/neurons/made", 400),
        ("/neurons/made/99/1%2B/related", 404),
        ("/explanations/999999", 404),
        ("/explanations/0", 422),
        ("/explanations/99999999999999999999", 422),
        ("/api/v1/neurons/made/99/1%2B", 404),
        ("/api/v1/neurons/made", 400),
        ("/api/v1/neurons/made/99/1%2B/related", 404),
        ("/api/v1/neurons/made/99999999999999999999/1%2B", 400),
        ("/api/v1/neurons/made/1/1%2B/related?by=taste", 422),
        ("/api/v1/explanations/999999/provenance", 404),
    ],
)
def test_what_cannot_be_found_is_said_with_its_status(
    reading: Site, path: str, status: int
) -> None:
    answer = reading.client().get(path)
    assert answer.status_code == status
    if path.startswith("/api/"):
        assert set(answer.json()) == {"detail"}
    else:
        assert "<h1>" in answer.text


def test_verdicts_stand_beside_their_explanation_and_in_the_history(site: Site) -> None:
    target = scored(site)
    kept = judged(site, target, "too-broad", "also <u>verbs</u>")
    gone = judged(site, target, "wrong", "a slip")
    undo = Event(uuid4().hex, "cid", target, Undone(gone.uuid), "2026-01-01T10:21:00.000+00:00")
    site.reviews.add(undo)
    page = site.client().get(address(target.neuron)).text
    assert "cid: <b>too broad</b> – also &lt;u&gt;verbs&lt;/u&gt;" in page
    history = words(page[page.index("Review history") :])
    assert "too broad: also <u>verbs</u>" in history
    assert "wrong: a slip (taken back)" in history
    assert page.count("a slip") == 1, "what was taken back is no verdict"
    found = site.client().get(f"/api/v1{address(target.neuron)}").json()
    (judgement,) = found["judgements"]
    assert (judgement["verdict"], judgement["event"]) == ("too-broad", kept.uuid)
    assert judgement["target"] == {"neuron": str(target.neuron), "text": target.text}


def test_the_interface_gives_the_object_of_show(reading: Site) -> None:
    neuron = scored(reading).neuron
    found = reading.client().get(f"/api/v1{address(neuron)}").json()
    shown = json.loads(json.dumps(reading.catalogue.show(neuron)))
    assert found == {**shown, "hidden": False, "marking": False, "judgements": []}


# Blind.


def test_what_waits_in_a_blind_queue_is_hidden_until_it_is_decided(site: Site) -> None:
    target = targets(site, 1)[0]
    queue = make(site, 1, blind="scores")
    shown = site.catalogue.show(target.neuron)
    texts = {e["text"] for e in shown["explanations"] if e["text"]}
    ann, api = site.client("ann"), f"/api/v1{address(target.neuron)}"
    assert ann.get(f"/queues/{queue.uuid}").status_code == 200  # deals it to her
    page = words(ann.get(address(target.neuron)).text)
    assert "blind queue that you have not finished" in page
    assert not [text for text in texts if text in page]
    found = ann.get(api).json()
    assert (found["hidden"], found["explanations"]) == (True, [])
    numbers = [e["id"] for e in shown["explanations"]]
    assert {ann.get(f"{where}/{n}{rest}").status_code for n in numbers for where, rest in
            (("/explanations", ""), ("/api/v1/explanations", "/provenance"))} == {403}  # fmt: skip
    revealed = ann.get(f"{address(target.neuron)}?reveal=1").text
    assert target.text in words(revealed)
    assert f'href="/explanations/{numbers[0]}?reveal=1"' in revealed, "links go on revealing"
    assert not ann.get(f"{api}?reveal=1").json()["hidden"]
    said = {"uuid": uuid4().hex, "queue": queue.uuid, "position": 0, "said": {"kind": "verdict", "verdict": "wrong"}}  # fmt: skip
    assert ann.post("/api/v1/events", json=said).status_code == 201
    assert target.text in words(ann.get(address(target.neuron)).text)


def test_a_blind_queue_hides_the_verdicts_of_others_and_likeness_by_text(site: Site) -> None:
    target = targets(site, 1)[0]
    queue = make(site, 1, blind="scores")
    judged(site, target, "wrong", "what cid thinks")
    ann = site.client("ann")
    assert ann.get(f"/queues/{queue.uuid}").status_code == 200
    assert "what cid thinks" not in ann.get(address(target.neuron)).text
    assert ann.get(f"/api/v1{address(target.neuron)}").json()["judgements"] == []
    assert "By what is said of them" not in ann.get(f"{address(target.neuron)}/related").text
    found = ann.get(f"/api/v1{address(target.neuron)}/related?by=text").json()
    assert (found["neurons"], found["reason"]) == ([], "its explanations wait in a blind queue")


# Provenance.


def test_the_provenance_has_prompt_cost_and_raw_reply(site: Site, place: Path) -> None:
    neuron = NeuronId("made", 1, 3)
    number = save(place, asked(neuron), None, paid())
    page = site.client().get(f"/explanations/{number}").text
    for said in ("openai:m@http://here", "1,100 in the prompt, 60 of them cached; 7 in the reply", "$0.001500",
                 "812 ms, 2 requests", "examples = 10", PROMPT, "e" * 64, "a" * 64, "Tokens:\n<b>ice</b>",
                 "Frozen\n<water>."):  # fmt: skip
        assert said in words(page)
    assert "<b>ice</b>" not in page
    found = site.client().get(f"/api/v1/explanations/{number}/provenance").json()
    assert (found["neuron"], found["text"], found["command"]) == (str(neuron), "frozen water", "explain")  # fmt: skip
    (call,) = found["calls"]
    assert (call["cost_usd"], call["messages"]) == (0.0015, json.loads(MESSAGES))


def test_an_edit_leads_back_to_what_it_revises(site: Site, place: Path) -> None:
    neuron = NeuronId("made", 1, 3)
    first = save(place, asked(neuron))
    human = Explanation(neuron, "human", "ice and snow", 1.5, settings={"author": "ann"})
    second = save(place, human, first)
    page = site.client().get(f"/explanations/{second}").text
    assert f'href="/explanations/{first}"' in page
    assert "author = ann" in words(page)
    row = re.search(rf'<tr id="e{second}".*?</tr>', site.client().get(address(neuron)).text, re.DOTALL)  # fmt: skip
    assert row is not None
    assert f'revises <a href="#e{first}">' in row[0]


# Relatives.


def test_neurons_of_which_the_same_is_said_are_found(reading: Site) -> None:
    target = scored(reading)
    found = reading.client().get(f"/api/v1{address(target.neuron)}/related?by=text").json()
    assert found["reason"] is None
    assert found["ranked_by"] == "bm25"
    assert 1 <= len(found["neurons"]) <= 8
    likeness = [n["similarity"] for n in found["neurons"]]
    assert likeness == sorted(likeness, reverse=True)
    assert str(target.neuron) not in {n["neuron"] for n in found["neurons"]}
    rows = reading.catalogue.search(found["query"], limit=1, resolve=reading.desk.resolver).rows
    assert rows[0].neuron == found["neurons"][0]["neuron"], "the query finds them too"
    page = reading.client().get(f"{address(target.neuron)}/related").text
    assert found["neurons"][0]["text"] in words(page)


def test_what_has_no_relatives_says_why(reading: Site) -> None:
    bare = next(
        n for n in (NeuronId("made", 3, i, -1) for i in range(24))
        if not any(e["status"] == "ok" for e in reading.catalogue.show(n)["explanations"])
    )  # fmt: skip
    found = reading.client().get(f"/api/v1{address(bare)}/related?by=text").json()
    assert found["neurons"] == []
    assert "has no explanation to compare" in found["reason"]
