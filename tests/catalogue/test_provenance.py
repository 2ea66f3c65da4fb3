"""Where explanations come from: the prompt, the reply and the cost of each, and what it was edited from."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from neuroexplain.calls import Call, Usage
from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.errors import AbsentError
from neuroexplain.records import Explanation, Failure, NeuronId
from tests.catalogue.conftest import Sweep

MESSAGES = json.dumps([{"role": "system", "content": "Explain."}, {"role": "user", "content": "ice"}])  # fmt: skip
PROMPT = hashlib.sha256(MESSAGES.encode()).hexdigest()
MADE = Explanation(
    *(NeuronId.parse("tiny/0/1+"), "token-activation", "frozen water", 1.5, None, "openai:m"),
    {"examples": 10}, "e" * 64, PROMPT,
)  # fmt: skip


def call(request: str = "a", **changed: object) -> Call:
    made = Call(
        request_sha256=request * 64,
        purpose="explain",
        model="openai:m@http://here",
        prompt_sha256=PROMPT,
        messages=MESSAGES,
        status="ok",
        reply=" Frozen water. ",
        usage=Usage(100, 7, 60),
        latency_ms=812.5,
        attempts=2,
        cost_nano=1_500_000,
        finish_reason="stop",
        endpoint="http://here",
        served_model="m-2026",
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def save(sweep: Sweep, explanation: Explanation = MADE, key: str = "k", run: int | None = None, parent: int | None = None) -> int:  # fmt: skip
    run = sweep.run_id if run is None else run
    return sweep.catalogue.save_explanation(run, sweep.collection, key, explanation, parent)


def test_all_that_led_to_an_explanation(catalogue: Catalogue, sweep: Sweep) -> None:
    catalogue.save_call(sweep.run_id, call())
    number = save(sweep)
    found = catalogue.provenance(number)
    assert (found.id, found.explainer, found.llm) == (number, "token-activation", "openai:m")
    assert (found.neuron, found.text) == (MADE.neuron, "frozen water")
    assert (found.settings, found.template_sha256) == ({"examples": 10}, "e" * 64)
    assert (found.prompt_sha256, found.key) == (PROMPT, hashlib.sha256(b"k").hexdigest())
    assert (found.run_id, found.command, found.versions) == (sweep.run_id, "sweep", {"numpy": "2"})
    assert (found.status, found.reason, found.raw_reply) == ("ok", None, None)
    assert (found.ancestors, found.calls_cut) == ((), False)
    (paid,) = found.calls
    assert paid.messages == tuple(json.loads(MESSAGES))
    assert (paid.reply, paid.cost_usd, paid.latency_ms) == (" Frozen water. ", 0.0015, 812.5)
    assert (paid.prompt_tokens, paid.completion_tokens, paid.cached_tokens) == (100, 7, 60)
    assert (paid.model, paid.endpoint, paid.served_model) == ("openai:m@http://here", "http://here", "m-2026")  # fmt: skip
    assert (paid.request_sha256, paid.attempts, paid.run_id) == ("a" * 64, 2, sweep.run_id)


def test_calls_of_other_prompts_are_none_of_its_own(catalogue: Catalogue, sweep: Sweep) -> None:
    catalogue.save_call(sweep.run_id, call(prompt_sha256="0" * 64))
    assert catalogue.provenance(save(sweep)).calls == ()


def test_several_calls_with_one_prompt_come_newest_first(
    catalogue: Catalogue, sweep: Sweep
) -> None:
    for request in "ab":
        catalogue.save_call(sweep.run_id, call(request))
    found = catalogue.provenance(save(sweep)).calls
    assert [c.request_sha256[0] for c in found] == ["b", "a"]


def test_a_reply_that_an_earlier_run_paid_for_is_found_by_its_model(
    catalogue: Catalogue, sweep: Sweep
) -> None:
    earlier = catalogue.begin_run("another-key", "explain", {}, {})
    catalogue.save_call(earlier, call())
    catalogue.save_call(earlier, call("b", model="openai:m-mini@http://here"))
    (paid,) = catalogue.provenance(save(sweep)).calls
    assert (paid.model, paid.run_id) == ("openai:m@http://here", earlier)


def test_a_failure_keeps_its_raw_reply(catalogue: Catalogue, sweep: Sweep) -> None:
    failure = Failure("explain", "parse_failed", "no sentence", "<raw>")
    found = catalogue.provenance(save(sweep, replace(MADE, text="", failure=failure)))
    assert (found.status, found.reason, found.message, found.raw_reply) == (
        *("failed", "parse_failed", "no sentence"),
        "<raw>",
    )


def test_the_chain_of_edits_goes_back_to_the_first(catalogue: Catalogue, sweep: Sweep) -> None:
    first = save(sweep)
    second = save(sweep, replace(MADE, text="ice", explainer="revise"), "k2", parent=first)
    human = Explanation(MADE.neuron, "human", "ice and snow", 1.5, settings={"author": "ann"})
    third = save(sweep, human, "k3", parent=second)
    found = catalogue.provenance(third)
    assert [(a.id, a.text, a.explainer) for a in found.ancestors] == [
        (second, "ice", "revise"),
        (first, "frozen water", "token-activation"),
    ]
    assert (found.settings, found.prompt_sha256, found.calls) == ({"author": "ann"}, None, ())


def test_a_damaged_call_says_what_it_still_knows(
    catalogue: Catalogue, sweep: Sweep, tmp_path: Path
) -> None:
    row = catalogue.save_call(sweep.run_id, call())
    number = save(sweep)
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute(
            "UPDATE llm_call SET messages = x'00', reply = CAST(x'ff' AS TEXT) WHERE id = ?", (row,)
        )
    (paid,) = catalogue.provenance(number).calls
    assert (paid.messages, paid.reply, paid.cost_usd) == (None, None, 0.0015)


def test_its_call_is_found_among_many_by_the_time(catalogue: Catalogue, sweep: Sweep) -> None:
    """The clock may tell the same time for many calls, and rows may be missing."""
    for n in range(60):
        catalogue.save_call(sweep.run_id, call("b", prompt_sha256=f"{n:064x}"))
    catalogue.save_call(sweep.run_id, call())
    number = save(sweep)
    for n in range(60):
        catalogue.save_call(sweep.run_id, call("c", prompt_sha256=f"{n:064x}"))
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute("DELETE FROM llm_call WHERE id % 3 = 0 AND id <> 61")
        connection.execute("UPDATE llm_call SET created_ms = created_ms - 5000 WHERE id < 40")
        connection.execute("UPDATE llm_call SET created_ms = created_ms + 5000 WHERE id > 61")
    (paid,) = catalogue.provenance(number).calls
    assert paid.request_sha256 == "a" * 64


def test_without_time_for_the_ledger_it_says_so(
    catalogue: Catalogue, sweep: Sweep, collection: Collection
) -> None:
    number = save(sweep)
    catalogue.save_call(None, call(prompt_sha256="0" * 64))
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        names = "request, prompt, source_id, purpose, status, retired, messages, latency_ms, attempts, created_ms"
        rows = "SELECT randomblob(32), randomblob(32), source_id, purpose, status, retired, messages, latency_ms, attempts, created_ms FROM llm_call"  # fmt: skip
        for _ in range(13):
            connection.execute(f"INSERT INTO llm_call ({names}) {rows}")
    found = catalogue.provenance(number, seconds=0.0)
    assert (found.calls, found.calls_cut) == ((), True)
    assert found.settings == {"examples": 10}


def test_an_explanation_that_is_not_there(catalogue: Catalogue, sweep: Sweep) -> None:
    with pytest.raises(AbsentError, match="no explanation 7 in this catalogue"):
        catalogue.provenance(7)
