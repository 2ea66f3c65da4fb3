"""Edit and score over the wire: the edit is in the log at once, the scores come as a job."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from neuroexplain.readers import Reader
from neuroexplain.reviewed import Edited, Queue, QueueItem, Target
from neuroexplain.run import Execution
from neuroexplain.testing import serve
from tests.explained import NEURON
from tests.lives import words
from tests.review.conftest import Site, serving

TEXT = "words about foxes"
LIMIT = 60.0


@pytest.fixture
def site(minilm_explained: Path, tmp_path: Path) -> Iterator[Site]:
    with serving(Path(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite"))) as found:
        yield found


def parent(site: Site) -> Target:
    shown = site.catalogue.show(NEURON)["explanations"]
    return next(Target.of(NEURON, e["text"]) for e in shown if e["explainer"] == "ngram")


def body(site: Site, **changed: Any) -> dict[str, Any]:
    named = {"neuron": str(NEURON), "parent": parent(site).text}
    return {"uuid": uuid4().hex, **named, "text": TEXT, "seconds": 8.0, **changed}


def ended(client: httpx.Client, uuid: str) -> dict[str, Any]:
    """The job once nothing more happens to it."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        job: dict[str, Any] = client.get(f"/api/v1/jobs/{uuid}").json()
        if job["state"] in ("done", "failed"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"still under way: {job}")


def test_an_edit_is_in_the_log_before_it_is_scored_and_then_in_the_catalogue(site: Site) -> None:
    bob, given = site.client("bob"), body(site)
    answer = bob.post("/api/v1/rescorings", json=given)
    assert answer.status_code == 202
    assert (answer.json()["uuid"], answer.json()["kind"]) == (given["uuid"], "rescoring")
    (event,) = site.reviews.history(NEURON)
    assert event.data == Edited(TEXT, "embedding")
    assert (event.uuid, event.reviewer, event.target) == (given["uuid"], "bob", parent(site))
    job = ended(bob, given["uuid"])
    assert (job["state"], job["reason"]) == ("done", None)
    result = job["result"]
    assert result["simulator"] == "embedding"
    (made,) = [e for e in site.catalogue.show(NEURON)["explanations"] if e["explainer"] == "human"]
    assert (made["id"], made["text"], made["parent_id"]) == (result["explanation"], TEXT, result["parent"])  # fmt: skip
    stored = {s["scorer"]: s["value"] for s in made["scores"]}
    assert {c["after"]["scorer"]: c["after"]["value"] for c in result["changes"]} == stored
    for change in result["changes"]:
        assert change["difference"]["value"] == pytest.approx(
            change["after"]["value"] - change["before"]["value"]
        )
    assert bob.post("/api/v1/rescorings", json=given).json() == job, "sent again, it is the same"
    assert len(site.reviews.history(NEURON)) == 1


def test_a_failure_is_a_job_with_its_reason_and_the_edit_is_kept(site: Site) -> None:
    bob, given = site.client("bob"), body(site, parent="never said")
    assert bob.post("/api/v1/rescorings", json=given).status_code == 202
    job = ended(bob, given["uuid"])
    assert (job["state"], job["result"]) == ("failed", None)
    assert job["reason"] == (
        "this catalogue has no such explanation of minilm/2/7+; load the page again"
    )
    assert [e.data for e in site.reviews.history(NEURON)] == [Edited(TEXT, "embedding")]


def test_it_waits_while_another_process_writes_to_the_catalogue(site: Site) -> None:
    bob, given = site.client("bob"), body(site)
    with closing(sqlite3.connect(site.catalogue.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert bob.post("/api/v1/rescorings", json=given).status_code == 202
        began = time.monotonic()
        while bob.get(f"/api/v1/jobs/{given['uuid']}").json()["state"] != "running":
            assert time.monotonic() < began + LIMIT
        assert site.reviews.history(NEURON), "the edit itself does not wait"
        other.execute("COMMIT")
    assert ended(bob, given["uuid"])["state"] == "done"


def test_simulators_are_told_with_why_some_cannot_be_chosen(site: Site) -> None:
    bob = site.client("bob")
    said = bob.get("/api/v1/simulators").json()
    assert (said["default"], said["llm"]) == ("embedding", None)
    why_not = {s["name"]: s["why_not"] for s in said["simulators"]}
    assert why_not["embedding"] is None
    assert "start the page with --llm" in why_not["sparse"]
    site.desk.reader = Reader(llm="openai:m")
    said = bob.get("/api/v1/simulators").json()
    assert (said["default"], said["llm"]) == ("sparse", "openai:m")


def reply(body: Mapping[str, Any]) -> str:
    """A model that expects some words whatever the explanation."""
    return json.dumps([[n, word, 9] for n, word in words(body["messages"][-1]["content"])[::6][:5]])


def test_a_language_model_can_score_it(minilm_explained: Path, tmp_path: Path) -> None:
    place = Path(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite"))
    with serve(reply) as server:
        execution = Execution(servers=(server.base_url,), probe=False)
        with serving(place, execution=execution, reader=Reader(llm="openai:test-model")) as site:
            bob, given = site.client("bob"), body(site)
            assert bob.post("/api/v1/rescorings", json=given).status_code == 202
            job = ended(bob, given["uuid"])
        assert (job["state"], job["reason"]) == ("done", None)
        assert (job["result"]["simulator"], job["result"]["llm"]) == ("sparse", "openai:test-model")
        assert job["result"]["changes"][0]["after"]["value"] is not None
        assert len(server.chats) == 2


def test_what_makes_no_sense_is_refused_and_not_written(site: Site) -> None:
    bob = site.client("bob")

    def refused(**changed: Any) -> tuple[int, str]:
        answer = bob.post("/api/v1/rescorings", json=body(site, **changed))
        return answer.status_code, answer.json()["detail"]

    assert refused(text=" ") == (400, "the text is empty")
    assert refused(text=parent(site).text)[1].startswith("the text is as it was")
    assert refused(simulator="no-such")[0] == 422
    assert "reads what the explainer ngram found" in refused(simulator="ngram")[1]
    assert refused(neuron=None)[0] == 422
    assert refused(neuron="nonsense")[0] == 400
    assert refused(neuron=f"minilm/{10**20}/7+")[0] == 400
    assert refused(uuid="short")[0] == 422
    site.desk.read_only = True
    assert refused() == (403, "this server was started with --read-only")
    assert site.reviews.history(NEURON) == []


def test_what_waits_in_a_blind_queue_is_not_scored_unless_it_is_revealed(site: Site) -> None:
    items = [QueueItem(0, parent(site), shared=True)]
    queue = site.reviews.make_queue(
        Queue(uuid4().hex, "blind", "verdict", "scores", 0, {}, (), 0, "ann", ""), items
    )
    bob, given = site.client("bob"), body(site)
    assert bob.get(f"/queues/{queue.uuid}").status_code == 200  # the item lies before him
    answer = bob.post("/api/v1/rescorings", json=given)
    assert (answer.status_code, site.reviews.history(NEURON)) == (403, [])
    assert "blind queue" in answer.json()["detail"]
    assert bob.post("/api/v1/rescorings", json={**given, "reveal": True}).status_code == 202
    assert ended(bob, given["uuid"])["state"] == "done"


def test_a_uuid_that_something_else_has_is_refused(site: Site) -> None:
    bob, given = site.client("bob"), body(site)
    assert bob.post("/api/v1/rescorings", json=given).status_code == 202
    answer = bob.post("/api/v1/rescorings", json={**given, "text": "another"})
    assert answer.status_code == 400
    assert "is there already and says something else" in answer.json()["detail"]
    ended(bob, given["uuid"])
