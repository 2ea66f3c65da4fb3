"""Explanations, simulations, scores, n-grams, calls and runs."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from neuroexplain.calls import Call, Reply, Usage
from neuroexplain.catalogue import Catalogue, Collection, KnownSimulation
from neuroexplain.catalogue.storage import codec
from neuroexplain.errors import CatalogueError
from neuroexplain.records import Explanation, NeuronId, Ngram, Score, SpanSimulation

Sweep = Any  # of conftest.py, which cannot be imported

CALL = Call(
    "0a" * 32,
    "explain",
    "openai:m@http://a/v1",
    "0b" * 32,
    '[{"role": "user", "text": "h\u00e9"}]',
    "ok",
    "yes",
    Usage(11, 3, 4, 2),
    latency_ms=12.5,
    attempts=2,
    cost_nano=250_000_000,
    finish_reason="length",
    endpoint="http://b/v1",
    served_model="m-2026",
)
SCORE = Score(
    "correlation", 0.5, None, 0.25, 0.75, 0.125, 0.4375, 20, 0.0625, None, 0.375, 24, 7, 1.0
)
NEURON = NeuronId("tiny", 0, 1, -1)


def full_explanation() -> Explanation:
    return Explanation(
        NEURON,
        "ngram",
        "fires on ice 河",
        1.25,
        {"rows": [1, "a"]},
        "openai:m",
        {"k": 2},
        "t",
        "0a" * 32,
    )


def test_explanation_round_trip(catalogue: Catalogue, collection: Collection, sweep: Sweep) -> None:
    made = full_explanation()
    row = catalogue.save_explanation(sweep.run_id, collection, "k", made)
    assert catalogue.find_explanation("k") == (row, made)
    assert catalogue.find_explanation("other") is None
    bare = Explanation(NEURON, "fixed", "ice", 0.0)
    child = catalogue.save_explanation(sweep.run_id, collection, "child", bare, parent_id=row)
    assert catalogue.find_explanation("child") == (child, bare)


def test_explanations_are_added_and_the_newest_good_one_counts(
    catalogue: Catalogue, collection: Collection, sweep: Sweep
) -> None:
    sweep.fail("tiny/0/1-", key="k")
    assert catalogue.find_explanation("k") is None
    made = full_explanation()
    catalogue.save_explanation(sweep.run_id, collection, "k", made)
    newest = catalogue.save_explanation(
        sweep.run_id, collection, "k", replace(made, text="fires on snow")
    )
    sweep.fail("tiny/0/1-", key="k")
    other = sweep.explain("tiny/2/3+", "fires on fire", explainer="fixed")
    found = catalogue.explanations(collection)
    assert [(i, e.text) for i, e in found] == [(newest, "fires on snow"), (other, "fires on fire")]
    assert [i for i, _ in catalogue.explanations(collection, layer=2)] == [other]
    assert [i for i, _ in catalogue.explanations(collection, polarity=-1)] == [newest]
    assert [i for i, _ in catalogue.explanations(collection, explainer="fixed")] == [other]
    assert catalogue.search("state:failed").rows == ()


def test_failure_keeps_its_reply(catalogue: Catalogue, sweep: Sweep) -> None:
    row = sweep.fail("tiny/0/1-")
    connection = sqlite3.connect(catalogue.path)
    query = "SELECT status, reason, message, raw_reply, text FROM explanation WHERE id = ?"
    found = connection.execute(query, (row,)).fetchone()
    connection.close()
    assert found == ("failed", "parse_failed", "no sentence", "<raw \ufffd>", "")


def test_an_explanation_made_anew_meanwhile_can_still_be_read_by_its_row(
    catalogue: Catalogue, sweep: Sweep
) -> None:
    """Another run with other settings may explain a neuron again while one works on it."""
    first, second = (sweep.explain("tiny/0/1+", "ice") for _ in range(2))
    assert first != second
    assert catalogue.explanation(first) == catalogue.explanation(second)
    assert catalogue.known_explanations(["tiny/0/1+ ngram ice"]) == {"tiny/0/1+ ngram ice": second}


def test_simulation_round_trip(catalogue: Catalogue, sweep: Sweep) -> None:
    explanation = sweep.explain("tiny/0/1+", "ice")
    made = sweep.simulation()
    row = catalogue.save_simulation(sweep.run_id, explanation, "s", "test", made)
    assert catalogue.known_simulations(["s", "t"]) == {"s": KnownSimulation(row)}
    simulation = catalogue.simulation(row)
    names = ("simulator", "llm", "settings")
    assert [getattr(simulation, n) for n in names] == [getattr(made, n) for n in names]
    for before, after in zip(made.spans, simulation.spans, strict=True):
        assert before.expected is not None
        assert after.expected is not None
        assert after.span == before.span
        assert after.expected.tolist() == before.expected.astype(np.float16).tolist()


@pytest.mark.parametrize("failed", [1, 3])
def test_simulation_with_failed_spans_says_why(
    catalogue: Catalogue, sweep: Sweep, failed: int
) -> None:
    explanation = sweep.explain("tiny/0/1+", "ice")
    made = sweep.simulation(failed=failed)
    row = catalogue.save_simulation(sweep.run_id, explanation, "s", "test", made)
    known = KnownSimulation(row, frozenset({"bad_levels"}), empty=failed == 3)
    assert catalogue.known_simulations(["s"]) == {"s": known}
    shown = catalogue.show(NeuronId.parse("tiny/0/1+"))["explanations"][0]["simulations"]
    assert [s["status"] for s in shown] == ["ok"] * (3 - failed) + ["failed"] * failed
    assert shown[-1]["expected"] is None
    assert shown[-1]["reason"] == "bad_levels"
    assert catalogue.runs()[0]["failures"] == {"bad_levels": failed}


def test_scores_are_added_once(catalogue: Catalogue, sweep: Sweep) -> None:
    explanation = sweep.explain("tiny/0/1+", "ice")
    undefined = replace(SCORE, scorer="other", value=None, reason="dead_neuron")
    for value in (0.5, 0.9):
        sweep.score(explanation, replace(SCORE, value=value), undefined, key="s")
    connection = sqlite3.connect(catalogue.path)
    found = connection.execute("SELECT scorer, value, reason FROM v_scores").fetchall()
    connection.close()
    assert found == [("correlation", 0.5, None), ("other", None, "dead_neuron")]


@pytest.mark.parametrize("field", ["value", "ci_low", "null_mean", "p_value", "floor", "coverage"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_scores_must_be_finite(
    catalogue: Catalogue, sweep: Sweep, field: str, number: float
) -> None:
    explanation = sweep.explain("tiny/0/1+", "ice")
    changes: dict[str, Any] = {field: number}
    with pytest.raises(CatalogueError, match=f"{field} is {number}"):
        sweep.score(explanation, replace(SCORE, **changes))


@pytest.mark.parametrize(
    "change",
    [
        "value = NULL",
        "reason = 'x'",
        "value = 9e999",
        "p_value = 2",
        "coverage = NULL",
        "floor = -9e999",
    ],
)
def test_the_file_itself_refuses_undefined_numbers(
    catalogue: Catalogue, sweep: Sweep, change: str
) -> None:
    sweep.score(sweep.explain("tiny/0/1+", "ice"), SCORE)
    connection = sqlite3.connect(catalogue.path)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"UPDATE score SET {change}")
    connection.close()


def test_other_numbers_must_be_finite(
    catalogue: Catalogue, collection: Collection, sweep: Sweep
) -> None:
    row = catalogue.save_explanation(sweep.run_id, collection, "k", full_explanation())
    wrong = replace(full_explanation(), data={"a": math.nan})
    with pytest.raises(CatalogueError, match="data of the explanation"):
        catalogue.save_explanation(sweep.run_id, collection, "k", wrong)
    span = sweep.simulation().spans[0].span
    levels = np.full(len(span), np.nan, dtype=np.float32)
    simulation = replace(sweep.simulation(), spans=(SpanSimulation(span, levels),))
    with pytest.raises(CatalogueError, match="level is not finite"):
        catalogue.save_simulation(sweep.run_id, row, "s", "test", simulation)
    with pytest.raises(CatalogueError, match="mean_response"):
        catalogue.save_ngrams(collection, NEURON, [Ngram("a", math.nan, 1, 1)])
    with pytest.raises(CatalogueError, match="latency_ms"):
        catalogue.save_call(None, replace(CALL, latency_ms=math.inf))


def test_ngrams_are_replaced(catalogue: Catalogue, collection: Collection) -> None:
    catalogue.save_ngrams(collection, NEURON, [Ngram("old", 3, 3, 3), Ngram("older", 2, 2, 2)])
    catalogue.save_ngrams(collection, NEURON, [Ngram(" the ice", 1.5, 2.5, 4)])
    shown = catalogue.show(NEURON)["ngrams"]
    found = {"ngram": " the ice", "mean_response": 1.5, "max_response": 2.5, "count": 4}
    assert shown == [{**found, "source": "context", "aggregator": None}]
    assert catalogue.show(replace(NEURON, polarity=1))["ngrams"] == []


def test_ledger_returns_the_newest_good_call(catalogue: Catalogue, sweep: Sweep) -> None:
    assert catalogue.find_reply(CALL.request_sha256) is None
    catalogue.save_call(sweep.run_id, replace(CALL, status="failed", reply=None, error="refused"))
    assert catalogue.find_reply(CALL.request_sha256) is None
    catalogue.save_call(sweep.run_id, CALL)
    catalogue.save_call(None, replace(CALL, reply="newer \0 with NUL", cost_nano=None))
    assert catalogue.find_reply(CALL.request_sha256) == Reply(
        text="newer \0 with NUL",
        prompt_tokens=11,
        completion_tokens=3,
        cached_tokens=4,
        reasoning_tokens=2,
        latency_ms=12.5,
        finish_reason="length",
        cached=True,
        attempts=2,
        endpoint="http://b/v1",
        served_model="m-2026",
    )


def test_the_ledger_keeps_all_of_a_call(catalogue: Catalogue, sweep: Sweep) -> None:
    catalogue.save_call(sweep.run_id, CALL)
    with closing(sqlite3.connect(catalogue.path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM v_llm_calls").fetchone())
        (messages,) = connection.execute("SELECT messages FROM llm_call").fetchone()
    made = row.pop("created_at")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(made)).total_seconds()) < 60
    assert row == {
        "call_id": 1,
        "request_sha256": "0a" * 32,
        "run_id": sweep.run_id,
        "purpose": "explain",
        "model": "openai:m@http://a/v1",
        "prompt_tokens": 11,
        "completion_tokens": 3,
        "cost_usd": 0.25,
        "latency_ms": 12.5,
        "status": "ok",
        "error": None,
        "endpoint": "http://b/v1",
        "served_model": "m-2026",
        "cached_tokens": 4,
        "reasoning_tokens": 2,
        "attempts": 2,
        "finish_reason": "length",
        "prompt_sha256": "0b" * 32,
        "reply": "yes",
        "retired": 0,
    }
    assert codec.unpacked_text(messages) == CALL.messages


def test_a_damaged_row_of_the_ledger_is_passed_over_and_told(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue.save_call(None, CALL)
    catalogue.save_call(None, replace(CALL, reply="newer"))
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute("UPDATE llm_call SET reply = x'ff00' WHERE id = 2")
    found = catalogue.find_reply(CALL.request_sha256)
    assert found is not None and found.text == "yes"
    assert "row 2 of the ledger is damaged" in caplog.text
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute("UPDATE llm_call SET reply = NULL")
    assert catalogue.find_reply(CALL.request_sha256) is None


def test_a_retired_reply_is_kept_and_used_no_more(catalogue: Catalogue) -> None:
    other = replace(CALL, request_sha256="0c" * 32)
    catalogue.save_call(None, CALL)
    catalogue.save_call(None, other)
    assert catalogue.retire([CALL.request_sha256]) == 1
    assert catalogue.retire([CALL.request_sha256]) == 0
    assert catalogue.find_reply(CALL.request_sha256) is None
    assert catalogue.find_reply(other.request_sha256) is not None
    catalogue.save_call(None, replace(CALL, reply="again"))
    found = catalogue.find_reply(CALL.request_sha256)
    assert found is not None and found.text == "again"


def test_what_calls_of_a_model_take(catalogue: Catalogue) -> None:
    catalogue.save_call(None, CALL)
    catalogue.save_call(None, replace(CALL, usage=Usage(21, 5), latency_ms=37.5))
    catalogue.save_call(None, replace(CALL, purpose="simulate", usage=Usage()))
    catalogue.save_call(None, replace(CALL, status="failed", usage=Usage(1000, 1000)))
    catalogue.save_call(None, replace(CALL, model="another", usage=Usage(1000, 1000)))
    assert catalogue.lengths(CALL.model) == {
        "explain": {
            "n": 2,
            "prompt_tokens": 16,
            "completion_tokens": 4,
            "cached_tokens": 4,
            "latency_ms": 25,
        },
        "simulate": {"n": 1, "latency_ms": 12.5},
    }
    assert catalogue.lengths("unheard of") == {}
    assert catalogue.sample_calls(CALL.model, 1) == [("explain", CALL.messages, 21)]


def test_each_stage_is_sampled_for_itself(catalogue: Catalogue) -> None:
    """A pilot may have explained in one run and simulated in another."""
    catalogue.save_call(None, CALL)
    for tokens in (7, 8, 9):
        catalogue.save_call(None, replace(CALL, purpose="simulate", usage=Usage(tokens, 1)))
    assert catalogue.sample_calls(CALL.model, 2) == [
        ("explain", CALL.messages, 11),
        ("simulate", CALL.messages, 9),
        ("simulate", CALL.messages, 8),
    ]


def test_runs_count_what_happened(catalogue: Catalogue, sweep: Sweep) -> None:
    sweep.fail("tiny/0/1-", reason="parse_failed")
    sweep.fail("tiny/0/2-", key="2", reason="parse_failed")
    catalogue.save_call(sweep.run_id, CALL)
    catalogue.save_call(sweep.run_id, CALL)
    later = catalogue.begin_run("k2", "score", {}, {})
    catalogue.finish_run(sweep.run_id, "done", {"explained": 3}, "fine")
    newest, first = catalogue.runs()
    assert (newest["run_id"], newest["state"], newest["seconds"]) == (later, "running", 0.0)
    assert (newest["llm_calls"], newest["cost_usd"]) == (0, None)
    assert first["failures"] == {"parse_failed": 2}
    assert first["counts"] == {"explained": 3}
    assert (first["llm_calls"], first["prompt_tokens"], first["completion_tokens"]) == (2, 22, 6)
    assert (first["cost_usd"], first["state"]) == (0.5, "done")
    assert first["seconds"] >= 0
    assert first["stages"] == {
        "explain": {
            "llm_calls": 2,
            "prompt_tokens": 22,
            "completion_tokens": 6,
            "cached_tokens": 8,
            "cost_usd": 0.5,
        }
    }
    assert catalogue.runs(later) == [newest]
    with pytest.raises(CatalogueError, match="known: done, failed, interrupted"):
        catalogue.finish_run(later, "finished", {})
    with pytest.raises(CatalogueError, match="no run 99"):
        catalogue.finish_run(99, "done", {})


def test_runs_sum_the_token_counts_that_are_known(catalogue: Catalogue, sweep: Sweep) -> None:
    unknown = replace(CALL, request_sha256="0d" * 32, usage=Usage(), cost_nano=None)
    catalogue.save_call(sweep.run_id, unknown)
    (run,) = catalogue.runs()
    assert (run["llm_calls"], run["prompt_tokens"], run["completion_tokens"]) == (1, None, None)
    catalogue.save_call(sweep.run_id, CALL)
    (run,) = catalogue.runs()
    assert (run["llm_calls"], run["prompt_tokens"], run["completion_tokens"]) == (2, 11, 3)
    found = catalogue.find_reply(unknown.request_sha256)
    assert found is not None and found.usage == Usage()


def test_show_is_the_contract(catalogue: Catalogue, sweep: Sweep) -> None:
    explanation = sweep.explain("tiny/0/1+", "ice")
    sweep.score(explanation, SCORE, replace(SCORE, scorer="x", value=None, reason="dead_neuron"))
    sweep.fail("tiny/0/1+")
    shown = catalogue.show(NeuronId.parse("tiny/0/1+"))
    json.dumps(shown, allow_nan=False)
    wanted = ["neuron", "statistics", "exemplars", "explanations", "ngrams"]
    assert list(shown)[: len(wanted)] == wanted
    assert shown["neuron"] == {
        "subject": "tiny", "layer": 0, "index": 1, "polarity": 1, "site": "mlp"
    }  # fmt: skip
    assert len(shown["exemplars"]) == 3 * (3 + 3 + 4)
    exemplar = shown["exemplars"][0]
    assert len(exemplar["tokens"]) == len(exemplar["activations"])
    told = {"split", "kind", "rank", "document", "start", "inclusion_probability"}
    assert told <= exemplar.keys()
    good, failed = shown["explanations"]
    assert (good["id"], good["text"], good["status"]) == (explanation, "ice", "ok")
    assert [(s["value"], s["reason"]) for s in good["scores"]] == [
        (0.5, None),
        (None, "dead_neuron"),
    ]
    assert good["simulations"][0]["document"] == 8
    assert good["simulations"][0]["expected"] == [0, 3.333984375, 6.66796875, 10]
    assert (failed["status"], failed["reason"], failed["scores"]) == ("failed", "parse_failed", [])


def test_summary(catalogue: Catalogue, collection: Collection, sweep: Sweep) -> None:
    for index, value in enumerate((0.2, 0.8, 0.5, None)):
        reason = "dead_neuron" if value is None else None
        row = sweep.explain(f"tiny/{2 * (index // 2)}/{index}+", f"text {index}")
        sweep.score(row, replace(SCORE, value=value, reason=reason))
    found = catalogue.summary(collection, top=2)
    assert [r.score for r in found["best"]] == [0.8, 0.5]
    assert [r.score for r in found["worst"]] == [0.2, 0.5]
    assert (found["n_explanations"], found["n_scored"]) == (4, 3)
    assert found["n_undefined"] == {"dead_neuron": 1}
    assert (found["mean"], found["median"]) == (0.5, 0.5)
    assert found["floor"] == 0.375
    assert found["null_mean"] == 0.125
    assert found["share_above_floor"] == pytest.approx(2 / 3)
    assert [(n["layer"], n["n_scored"]) for n in found["layers"]] == [(0, 2), (2, 1)]
    assert catalogue.summary(collection, run_id=99)["mean"] is None
    assert catalogue.summary(collection, run_id=sweep.run_id)["n_scored"] == 3
