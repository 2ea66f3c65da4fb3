"""The person as simulator: what is shown, what it is worth, and that the log has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.config import ScoreConfig
from neuroexplain.errors import CatalogueError, ConfigError
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import Desk
from neuroexplain.review.marking import FLOOR, MarkingSpan, held_out, outcome, scored
from neuroexplain.reviewed import MarkedSpan, Queue, QueueItem, Simulated, Target
from neuroexplain.truth import truth_of
from tests.explained import NEURON
from tests.review.conftest import Site, serving
from tests.review.neurons import address

USED = ScoreConfig(top=4, random=6)
"""As the catalogue was scored."""


@pytest.fixture
def desk(minilm_explained: Path, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(Catalogue(minilm_explained, read_only=True), Reviews(tmp_path / "r.sqlite"), "ann")
    yield made
    made.close()


@pytest.fixture
def target(desk: Desk) -> Target:
    return target_of(desk, "ngram")


def target_of(desk: Desk, explainer: str) -> Target:
    found = desk.catalogue.explanations(desk.catalogue.collection(), explainer=explainer)
    return next(Target.of(e.neuron, e.text) for _, e in found if e.neuron == NEURON)


def marks(spans: tuple[MarkingSpan, ...]) -> list[MarkedSpan]:
    """Levels that go up and down, so that a score is defined."""
    return [MarkedSpan(s.document, s.start, tuple(i % 11 for i in range(len(s.tokens)))) for s in spans]  # fmt: skip


def test_the_spans_are_held_out_and_are_the_same_for_a_seed(desk: Desk, target: Target) -> None:
    found = held_out(desk, target, spans=6, seed=1)
    assert found == held_out(desk, target, spans=6, seed=1)
    assert found != held_out(desk, target, spans=6, seed=2)
    assert len({(s.document, s.start) for s in found}) == 6
    collection = desk.catalogue.collection()
    test = {
        (e.span.document, e.span.start): e.span.tokens
        for e in desk.catalogue.exemplars(collection, NEURON, "test")
    }
    assert all(test[s.document, s.start] == s.tokens for s in found)


def test_strongest_and_drawn_spans_are_mixed_as_for_simulators(desk: Desk, target: Target) -> None:
    truth = truth_of(desk.catalogue, desk.catalogue.collection(), NEURON, "test", USED, 1.0)
    top = {(s.span.document, s.span.start) for s in truth.spans if "top" in s.kinds}
    found = [(s.document, s.start) in top for s in held_out(desk, target, spans=8, seed=0)]
    assert sum(found) == round(8 * len(top) / len(truth.spans))
    orders = {
        tuple((s.document, s.start) in top for s in held_out(desk, target, spans=8, seed=seed))
        for seed in range(5)
    }
    assert len(orders) > 1, "the order tells which are the strongest"


def test_more_spans_than_there_are_are_all_of_them(desk: Desk, target: Target) -> None:
    truth = truth_of(desk.catalogue, desk.catalogue.collection(), NEURON, "test", USED, 1.0)
    found = held_out(desk, target, spans=500, seed=0)
    assert {(s.document, s.start) for s in found} == {
        (s.span.document, s.span.start) for s in truth.spans
    }


def test_the_score_is_the_weighted_correlation_of_levels_and_activations(
    desk: Desk, target: Target
) -> None:
    shown = held_out(desk, target, spans=6, seed=3)
    given = marks(shown)
    found = scored(desk, target, given)
    pool = truth_of(desk.catalogue, desk.catalogue.collection(), NEURON, "test", USED, 1.0).spans
    places = {(s.span.document, s.span.start): s for s in pool}
    spans = [places[s.document, s.start] for s in shown]
    tops = sum("top" in s.kinds for s in pool), sum("top" in s.kinds for s in spans)
    drawn = len(pool) - tops[0], len(spans) - tops[1]
    weight = {True: tops[0] / tops[1], False: drawn[0] / drawn[1]}
    weights = [s.weight * weight["top" in s.kinds] for s in spans]
    x = np.concatenate([np.array(m.levels, float) for m in given])
    y = np.concatenate([s.truth for s in spans]).astype(float)
    w = np.repeat(weights, [len(s.span) for s in spans])
    r = np.cov(x, y, aweights=w)
    assert found.value is not None
    assert found.value == pytest.approx(r[0, 1] / np.sqrt(r[0, 0] * r[1, 1]))
    assert found.ci_low is not None and found.ci_high is not None
    assert found.ci_low <= found.value <= found.ci_high
    assert (found.scorer, found.reason, found.spans) == ("correlation", None, tuple(given))


def test_the_stored_score_of_a_simulator_comes_out_on_all_of_its_spans(desk: Desk) -> None:
    target = target_of(desk, "token-table")
    given = marks(held_out(desk, target, spans=500, seed=0))
    beside = {b.simulator: b for b in outcome(desk, target, given).beside}
    assert set(beside) == {"embedding", FLOOR}
    shown = desk.catalogue.show(NEURON)["explanations"]
    (stored,) = (
        s
        for e in shown
        if e["text"] == target.text
        for s in e["scores"]
        if s["scorer"] == "correlation"
    )
    assert beside["embedding"].value == pytest.approx(stored["value"])
    assert beside[FLOOR].value == pytest.approx(stored["floor"])


def test_whoever_marks_what_the_neuron_does_is_nearly_right(desk: Desk, target: Target) -> None:
    shown = held_out(desk, target, spans=6, seed=0)
    real = outcome(desk, target, marks(shown)).real
    assert [len(levels) for levels in real] == [len(s.tokens) for s in shown]
    again = [MarkedSpan(s.document, s.start, r) for s, r in zip(shown, real, strict=True)]
    value = scored(desk, target, again).value
    assert value is not None and value > 0.9


def test_marking_nothing_has_no_score_but_a_reason(desk: Desk, target: Target) -> None:
    shown = held_out(desk, target, spans=3, seed=0)
    found = scored(
        desk, target, [MarkedSpan(s.document, s.start, (0,) * len(s.tokens)) for s in shown]
    )
    assert (found.value, found.reason, found.ci_low) == (None, "constant_simulation", None)


def test_a_text_that_no_simulator_has_read_stands_beside_the_token_table_alone(desk: Desk) -> None:
    target = Target.of(NEURON, "an explanation by hand")
    shown = held_out(desk, target, spans=4, seed=0)
    assert [b.simulator for b in outcome(desk, target, marks(shown)).beside] == [FLOOR]


def test_what_cannot_be_scored_is_refused(desk: Desk, target: Target) -> None:
    given = marks(held_out(desk, target, spans=2, seed=0))
    first = given[0]
    wrong: list[tuple[list[MarkedSpan], str]] = [
        ([], "mark at least one span"),
        ([first, first], "each span once"),
        ([MarkedSpan(9999, 0, first.levels)], "document 9999 from token 0 is no span of minilm/2/7"),
        ([MarkedSpan(first.document, first.start, (1, 2))], f"takes {len(first.levels)} levels"),
        ([MarkedSpan(first.document, first.start, (11,) * len(first.levels))], "from 0 to 10"),
    ]  # fmt: skip
    for spans, message in wrong:
        with pytest.raises(ConfigError, match=message):
            scored(desk, target, spans)


def test_a_neuron_that_was_not_recorded_has_nothing_to_mark(desk: Desk) -> None:
    with pytest.raises(CatalogueError, match="layer"):
        held_out(desk, Target.of(NeuronId("minilm", 0, 0), "x"), spans=3, seed=0)


@pytest.fixture
def minilm_site(minilm_explained: Path, tmp_path: Path) -> Iterator[Site]:
    with serving(Path(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite"))) as found:
        yield found


def body(site: Site, target: Target, **more: Any) -> dict[str, Any]:
    spans = [vars(m) for m in marks(held_out(site.desk, target, spans=4, seed=0))]
    named = {"neuron": str(target.neuron), "text": target.text}
    return {"uuid": uuid4().hex, **named, "spans": spans, "seconds": 12.5, **more}


def test_a_simulation_is_in_the_log_and_answers_with_its_score(minilm_site: Site) -> None:
    target = target_of(minilm_site.desk, "token-table")
    given = body(minilm_site, target)
    bob = minilm_site.client("bob")
    answer = bob.post("/api/v1/simulations", json=given)
    assert answer.status_code == 201
    said = answer.json()
    (event,) = minilm_site.reviews.history(NEURON)
    assert isinstance(event.data, Simulated)
    assert (event.uuid, event.reviewer, event.target) == (given["uuid"], "bob", target)
    assert (event.seconds, event.data.value) == (12.5, said["value"])
    assert [list(m.levels) for m in event.data.spans] == [list(s["levels"]) for s in given["spans"]]
    assert [b["simulator"] for b in said["beside"]] == ["embedding", FLOOR]
    assert [len(r) for r in said["real"]] == [len(s["levels"]) for s in given["spans"]]
    again = bob.post("/api/v1/simulations", json=given)
    assert again.json() == said
    assert len(minilm_site.reviews.history(NEURON)) == 1


def test_an_item_of_a_queue_is_done_by_it_and_others_stay_blind(minilm_site: Site) -> None:
    both = [target_of(minilm_site.desk, explainer) for explainer in ("ngram", "token-table")]
    items = [QueueItem(n, target, shared=True) for n, target in enumerate(both)]
    queue = minilm_site.reviews.make_queue(
        Queue(uuid4().hex, "marks", "simulation", "scores", 0, {}, (), 0, "ann", ""), items
    )
    bob = minilm_site.client("bob")
    assert len(minilm_site.reviews.coming(queue, "bob", limit=2)) == 2
    besides = []
    for position, target in enumerate(both):
        whole = body(minilm_site, target, queue=queue.uuid, position=position)
        given = {name: value for name, value in whole.items() if name not in ("neuron", "text")}
        answer = bob.post("/api/v1/simulations", json=given)
        assert answer.status_code == 201
        besides.append([b["simulator"] for b in answer.json()["beside"]])
    assert besides == [[], ["embedding", FLOOR]], "the first leaves one about the same neuron"
    progress = minilm_site.reviews.progress(queue, "bob")
    assert (progress.done, progress.left) == (2, 0)


def test_what_is_to_be_marked_is_shown_nowhere_before(minilm_site: Site) -> None:
    both = [target_of(minilm_site.desk, explainer) for explainer in ("ngram", "token-table")]
    items = [QueueItem(n, target, shared=True) for n, target in enumerate(both)]
    queue = minilm_site.reviews.make_queue(
        Queue(uuid4().hex, "marks", "simulation", "none", 0, {}, (), 0, "ann", ""), items
    )
    plain = minilm_site.reviews.make_queue(
        Queue(uuid4().hex, "verdicts", "verdict", "none", 0, {}, (), 0, "ann", ""), items[:1]
    )
    bob = minilm_site.client("bob")

    def splits() -> set[str]:
        shown = bob.get(f"/api/v1{address(NEURON)}?reveal=1").json()
        simulated = {s["split"] for e in shown["explanations"] for s in e["simulations"]}
        return {e["split"] for e in shown["exemplars"]} | simulated

    def noticed() -> bool:
        return "You are yet to mark" in bob.get(address(NEURON)).text

    assert ("test" in splits(), noticed()) == (True, False)
    item = bob.get(f"/queues/{plain.uuid}/items/0").text
    assert bob.get(f"/queues/{queue.uuid}").status_code == 200
    assert ("test" in splits(), noticed()) == (False, True)
    assert len(bob.get(f"/queues/{plain.uuid}/items/0").text) < len(item)
    reals = []
    places: tuple[dict[str, Any], ...] = (
        {},
        {"queue": queue.uuid, "position": 0},
        {"queue": queue.uuid, "position": 1},
    )
    for more in places:
        about = both[more.get("position", 0)]
        answer = bob.post("/api/v1/simulations", json=body(minilm_site, about, **more))
        assert answer.status_code == 201
        reals.append(bool(answer.json()["real"]))
    assert reals == [False, False, True], "only when nothing about the neuron is left to mark"
    assert ("test" in splits(), noticed()) == (True, False)


def refused(client: httpx.Client, given: dict[str, Any]) -> tuple[int, str]:
    answer = client.post("/api/v1/simulations", json=given)
    return answer.status_code, answer.json()["detail"]


def test_a_simulation_that_makes_no_sense_is_refused_and_not_written(minilm_site: Site) -> None:
    bob = minilm_site.client("bob")
    given = body(minilm_site, target_of(minilm_site.desk, "ngram"))
    assert refused(bob, {**given, "spans": []})[0] == 422
    assert refused(bob, {**given, "neuron": None})[0] == 422
    level = {**given["spans"][0], "levels": [12]}
    assert refused(bob, {**given, "spans": [level]})[0] == 422
    short = {**given["spans"][0], "levels": [1]}
    status, message = refused(bob, {**given, "spans": [short]})
    assert status == 400 and "levels from 0 to 10" in message
    minilm_site.desk.read_only = True
    assert refused(bob, given) == (403, "this server was started with --read-only")
    assert minilm_site.reviews.history(NEURON) == []
