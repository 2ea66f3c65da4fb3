"""The interface for decisions: written once, refused where they say two things, and named when they do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from neuroexplain.reviewed import Edited, Event, Queue, QueueItem, Target
from tests.review.conftest import Site

AT = "2026-11-25T12:00:00.000+00:00"
QUEUE = "c" * 32


def target(site: Site) -> Target:
    return site.catalogue.target(site.catalogue.search("state:unreviewed").rows[0].explanation_id)


def body(about: Target, verdict: str = "wrong", **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "uuid": uuid4().hex,
        "target": {"neuron": str(about.neuron), "text": about.text},
        "said": {"kind": "verdict", "verdict": verdict},
    }
    return made | changes


def test_a_decision_that_is_sent_again_is_one_and_another_under_its_uuid_is_refused(
    site: Site,
) -> None:
    client, given = site.client("bob"), body(target(site))
    answers = [client.post("/api/v1/events", json=given) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    changed = given | {"said": {"kind": "verdict", "verdict": "correct"}}
    refused = client.post("/api/v1/events", json=changed)
    assert refused.status_code == 400
    assert f"event {given['uuid']} of bob is there already" in refused.json()["detail"]
    assert [e.uuid for e in site.reviews.log()] == [given["uuid"]]


@pytest.mark.parametrize("half", [{"queue": QUEUE}, {"position": 0}])
def test_a_queue_goes_with_a_position(site: Site, half: dict[str, Any]) -> None:
    about = target(site)
    made = Queue(QUEUE, "first", "verdict", "none", 0, {}, (), 1, "ann", AT)
    site.reviews.make_queue(made, [QueueItem(0, about)])
    client = site.client("bob")
    refused = client.post("/api/v1/events", json=body(about, **half))
    assert refused.status_code == 422
    assert refused.json()["detail"] == "queue, position: give both, or neither"
    assert site.reviews.log() == []
    whole = body(about, queue=QUEUE, position=0)
    assert client.post("/api/v1/events", json=whole).status_code == 201


def test_half_a_character_is_refused_and_nul_is_kept(site: Site) -> None:
    client, about = site.client("bob"), target(site)
    said = {"kind": "verdict", "verdict": "wrong", "note": "a\0b"}
    assert client.post("/api/v1/events", json=body(about, said=said)).status_code == 201
    assert site.reviews.judgements()[0].note == "a\0b"
    raw = f'{{"uuid": "{uuid4().hex}", "target": {{"neuron": "{about.neuron}", "text": "\\ud800"}}, "said": {{"kind": "skip"}}}}'
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/v1/events", content=raw, headers=headers).status_code in (400, 422)
    assert len(site.reviews.log()) == 1


def test_undos_at_once_take_back_as_many_decisions_and_edits_are_none(site: Site) -> None:
    client, about = site.client("bob"), target(site)
    given = [body(about, verdict) for verdict in ("wrong", "correct", "partly", "too-broad")]
    for each in given:
        assert client.post("/api/v1/events", json=each).status_code == 201
    edit = Event(uuid4().hex, "bob", about, Edited("thin ice", "keywords"), AT)
    site.reviews.add(edit)
    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(lambda n: client.post("/api/v1/undo", json={"uuid": f"{n:032x}"}), range(3))
        )
    assert [answer.status_code for answer in answers] == [201] * 3
    assert {answer.json()["uuid"] for answer in answers} == {each["uuid"] for each in given[1:]}
    assert [j.event for j in site.reviews.judgements()] == [given[0]["uuid"]]
    again = client.post("/api/v1/undo", json={"uuid": f"{0:032x}"})
    assert again.json() == answers[0].json()
    assert client.post("/api/v1/undo", json={"uuid": uuid4().hex}).status_code == 201
    nothing = client.post("/api/v1/undo", json={"uuid": uuid4().hex})
    assert (nothing.status_code, nothing.json()["detail"]) == (409, "there is nothing to take back")
    assert [e.uuid for e in site.reviews.counting("edit")] == [edit.uuid]


def test_a_decision_is_taken_back_by_its_name_once(site: Site) -> None:
    client, about = site.client("bob"), target(site)
    first, second = body(about, "wrong"), body(about, "correct")
    for each in (first, second):
        client.post("/api/v1/events", json=each)
    wanted = {"event": first["uuid"]}
    undone = client.post("/api/v1/undo", json={"uuid": uuid4().hex} | wanted)
    assert undone.json()["uuid"] == first["uuid"]
    assert client.post("/api/v1/undo", json={"uuid": uuid4().hex} | wanted).status_code == 409
    other = site.client("eve").post(
        "/api/v1/undo", json={"uuid": uuid4().hex, "event": second["uuid"]}
    )
    assert other.status_code == 409
    assert [j.event for j in site.reviews.judgements()] == [second["uuid"]]
