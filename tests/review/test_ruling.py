"""The queue says what may be decided and what its reviewer saw, whatever a page sends."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from neuroexplain.records import NeuronId
from neuroexplain.review.sparing import HIDDEN, LEFT_OUT
from neuroexplain.reviewed import Mode, Queue, QueueItem, Target
from tests.review.conftest import Site
from tests.review.neurons import address
from tests.review.queues import make, targets
from tests.review.test_neuron import words


def post(client: Any, queue: str | None, said: dict[str, Any], **more: Any) -> Any:
    place = {} if queue is None else {"queue": queue, "position": 0}
    return client.post("/api/v1/events", json={"uuid": uuid4().hex, "said": said, **place, **more})


def test_a_hidden_explanation_is_in_no_answer_and_is_judged_only_after_an_own_one(
    site: Site,
) -> None:
    target, queue, bob = targets(site, 1)[0], make(site, 1, blind="explanation"), site.client("bob")
    skipped = post(bob, queue.uuid, {"kind": "skip"})
    assert (skipped.status_code, skipped.json()["text"]) == (201, None)
    assert target.text not in skipped.text
    early = post(bob, queue.uuid, {"kind": "verdict", "verdict": "wrong"})
    assert early.status_code == 409
    assert "an explanation of your own first" in early.json()["detail"]
    assert (
        target.text
        not in bob.post("/api/v1/undo", json={"uuid": uuid4().hex, "queue": queue.uuid}).text
    )
    assert post(bob, queue.uuid, {"kind": "own", "text": "rivers"}).json()["text"] == target.text
    assert post(bob, queue.uuid, {"kind": "verdict", "verdict": "wrong"}).status_code == 201
    assert [e.kind for e in site.reviews.log()] == ["skip", "undo", "own", "verdict"]


SAID: dict[str, dict[str, Any]] = {
    "verdict": {"kind": "verdict", "verdict": "wrong"},
    "preference": {"kind": "preference", "winner": "left"},
    "adjudication": {"kind": "adjudication", "verdict": "wrong"},
    "own": {"kind": "own", "text": "rivers"},
}


@pytest.mark.parametrize(
    ("mode", "takes"),
    [("verdict", "verdict"), ("pairwise", "preference"), ("adjudication", "adjudication")],
)
def test_a_queue_takes_only_its_own_kind_of_decision(site: Site, mode: Mode, takes: str) -> None:
    queue, bob = make(site, 3, mode=mode, blind="scores"), site.client("bob")
    (item,) = site.reviews.coming(queue, "bob", limit=1)
    for kind, said in SAID.items():
        if kind != takes:
            refused = post(bob, queue.uuid, said)
            assert refused.status_code == 409
            assert refused.json()["detail"].endswith(f"takes {takes}, skip; not {kind}")
    marks = [{"document": 0, "start": 0, "levels": [1]}]
    given = {"uuid": uuid4().hex, "queue": queue.uuid, "position": 0, "spans": marks}
    assert bob.post("/api/v1/simulations", json=given).status_code == 409
    assert site.reviews.log() == []
    assert site.reviews.is_blind(item.target.neuron, "bob")
    assert post(bob, queue.uuid, SAID[takes]).status_code == 201
    assert not site.reviews.is_blind(item.target.neuron, "bob")


def test_what_was_seen_is_by_the_queue_and_the_catalogue_not_by_the_page(site: Site) -> None:
    bob, target = site.client("bob"), targets(site, 1)[0]
    known = site.catalogue.rated([target])[target][0]
    shown = (known.method.explainer, known.method.llm or None, known.correlation)
    assert known.correlation is not None
    queues = [make(site, 1, blind=blind) for blind in ("none", "scores")]
    for queue, claimed in zip(queues, ("scores", "none"), strict=True):
        assert post(bob, queue.uuid, SAID["verdict"], blind=claimed).status_code == 201
    about = {"neuron": str(target.neuron), "text": target.text}
    assert post(bob, None, SAID["verdict"], target=about).status_code == 201
    seen = [e.seen for e in site.reviews.log()]
    assert [s.blind for s in seen] == ["none", "scores", "none"]
    assert [(s.explainer, s.llm, s.score) for s in seen] == [shown, (None, None, None), shown]


def test_who_was_shown_a_neuron_in_spite_of_the_queue_did_not_judge_it_blind(site: Site) -> None:
    bob, target, queue = site.client("bob"), targets(site, 1)[0], make(site, 1, blind="scores")
    site.reviews.coming(queue, "bob", limit=1)
    assert bob.get(f"{address(target.neuron)}?reveal=1").status_code == 200
    assert post(bob, queue.uuid, SAID["verdict"]).status_code == 201
    (event,) = site.reviews.log()
    assert event.seen.blind == "none"
    assert event.seen.explainer is not None


def test_what_waits_in_a_blind_queue_is_hidden_wherever_it_could_be_read(site: Site) -> None:
    target, ann, eve = targets(site, 1)[0], site.client("ann"), site.client("eve")
    neuron, text = target.neuron, target.text
    queue = make(site, 1, blind="scores")
    said = {"kind": "verdict", "verdict": "wrong"}
    about = {"neuron": str(neuron), "text": text}
    assert post(site.client("cid"), None, said, target=about).status_code == 201
    place = f"layer:{neuron.layer} idx:{neuron.index}"
    assert ann.get(f"/queues/{queue.uuid}?at=0").status_code == 200

    def found(client: Any, query: str) -> list[dict[str, Any]]:
        rows = client.get("/api/v1/search", params={"q": query, "limit": 500}).json()["rows"]
        return [row for row in rows if row["neuron"] == str(neuron)]

    own = found(ann, place)
    assert own
    assert {(r["text"], r["score"], r["llm"], r["explainer"], r["state"]) for r in own} == {
        ("", None, None, HIDDEN, HIDDEN)
    }
    for query in (f'{place} "{text}"', f"{place} score>=-1"):
        assert found(eve, query)
        answer = ann.get("/api/v1/search", params={"q": query}).json()
        assert not [row for row in answer["rows"] if row["neuron"] == str(neuron)]
        assert answer["cut"] == LEFT_OUT
        for ending in ("csv", "jsonl"):
            file = ann.get(f"/api/v1/search.{ending}", params={"q": query}).text
            assert str(neuron) not in file
            assert LEFT_OUT in file.splitlines()[-1]
    page = ann.get("/catalogue", params={"q": place}).text
    assert "hidden: you judge it blind" in page
    assert text not in words(page)
    assert text in words(eve.get("/catalogue", params={"q": place}).text)


def test_a_comparison_leaves_out_the_pairs_that_wait_in_a_blind_queue(site: Site) -> None:
    ann = site.client("ann")
    first, second = site.catalogue.sides()[:2]
    given: dict[str, Any] = {"first": first, "second": second, "limit": 500}
    before = ann.get("/api/v1/comparison", params=given).json()
    neuron = NeuronId.parse(before["pairs"][0]["neuron"])
    item = QueueItem(0, Target.of(neuron, before["pairs"][0]["first"]), shared=True)
    blind = Queue("b" * 32, "blind", "verdict", "scores", 0, {}, (), 1, "ann", "")
    site.reviews.make_queue(blind, [item])
    site.reviews.coming(blind, "ann", limit=1)
    after = ann.get("/api/v1/comparison", params=given).json()
    left = [pair for pair in before["pairs"] if pair["neuron"] != str(neuron)]
    assert after["pairs"] == left
    assert after["hidden"] == len(before["pairs"]) - len(left)
    page = ann.get("/compare", params={"first": first, "second": second}).text
    assert "left out here: they wait for you in a blind queue" in page


def test_another_queue_tells_nothing_of_a_neuron_that_waits_in_a_blind_one(site: Site) -> None:
    ann, blind = site.client("ann"), make(site, 1, blind="scores")
    (item,) = site.reviews.coming(blind, "ann", limit=1)
    about = {"neuron": str(item.target.neuron), "text": item.target.text}
    for name, verdict in (("cid", "correct"), ("eve", "wrong")):
        said = {"kind": "verdict", "verdict": verdict, "note": f"{name} thinks so"}
        assert post(site.client(name), None, said, target=about).status_code == 201
    modes: tuple[Mode, ...] = ("verdict", "adjudication")
    for mode in modes:
        queue = make(site, 1, mode=mode)
        page = ann.get(f"/queues/{queue.uuid}?at=0").text
        assert "waits for you in a blind queue too" in page
        assert "thinks so" not in page
        assert '<span class="chip">correlation' not in page
        open_to_eve = site.client("eve").get(f"/queues/{queue.uuid}?at=0").text
        assert ("thinks so" in open_to_eve) == (mode == "adjudication")
