"""A sweep against a server with the faults of real ones: what it ends with, what it costs to complete, when it gives up."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.testing import FAULTS, Answer, Response, faulty, serve
from tests import lives
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps, asked, bought, error_of

NEURONS = ("--neurons", "0:0-69", "--timeout", "0.5")
WITH_FAULTS = (*NEURONS, "--concurrency", "16")
KEY = "sk-very-secret-123"
QUICK = [name for name in FAULTS if name not in ("rate_limit_seconds", "rate_limit_date")]
"""The others only make it wait; see tests/llm/test_faults.py."""

STANDING = {
    "explanations": """
        SELECT neuron_id, text, status, reason FROM v_explanations e WHERE status = 'ok' OR NOT EXISTS (
            SELECT 1 FROM v_explanations o WHERE o.neuron_id = e.neuron_id AND o.status = 'ok'
        )
    """,
    "simulations": """
        SELECT e.neuron_id, s.spans, s.expected FROM simulation s JOIN v_explanations e USING (explanation_id)
        WHERE s.id IN (SELECT max(id) FROM simulation GROUP BY key)
    """,
    "failed spans": """
        SELECT e.neuron_id, f.span, f.reason FROM simulation_failure f
        JOIN simulation s ON s.id = f.simulation_id JOIN v_explanations e USING (explanation_id)
        WHERE s.id IN (SELECT max(id) FROM simulation GROUP BY key)
    """,
    "scores": """
        SELECT e.neuron_id, s.scorer, s.value, s.ci_low, s.ci_high, s.null_mean, s.p_value, s.floor, s.coverage, s.reason
        FROM v_scores s JOIN v_explanations e USING (explanation_id)
        WHERE s.score_id IN (SELECT max(score_id) FROM v_scores GROUP BY explanation_id, scorer)
    """,
}
"""What counts in a catalogue: of everything that was made more than once, the last."""
Rows = list[tuple[Any, ...]]


def answer(body: dict[str, Any]) -> str:
    """The same reply to a question that is put again, with the bad reply and what was wrong with it."""
    messages = body["messages"]
    repair = "JSON list" in messages[-1]["content"] and messages[-2]["role"] == "assistant"
    return lives.answer({"messages": messages[:-2] if repair else messages})


def standing(catalogue: Path) -> dict[str, Rows]:
    with closing(sqlite3.connect(catalogue)) as connection:
        found = {name: connection.execute(query).fetchall() for name, query in STANDING.items()}
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def requests(catalogue: Path, run: int, status: str) -> list[str]:
    """Hashes of a run's calls."""
    query = "SELECT request_sha256 FROM v_llm_calls WHERE run_id = ? AND status = ?"
    with closing(sqlite3.connect(catalogue)) as connection:
        return [sha for (sha,) in connection.execute(query, (run, status))]


def run_of(result: Result) -> int:
    number: int = result.json["run_id"]
    return number


@pytest.fixture(scope="module")
def undisturbed(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of a sweep without faults; not to be written to."""
    path = sweeps.copy(tmp_path_factory.mktemp("undisturbed") / "c.sqlite")
    with serve(answer) as server:
        result = sweeps.run(path, server.base_url, *NEURONS)
    assert result.code == 0, result.err
    return path


def check_all_is_true_or_failed(found: dict[str, Rows], true: dict[str, Rows]) -> None:
    """Every neuron has what it has in the undisturbed sweep, or the reason why not."""
    texts = {row[0]: row[1:] for row in true["explanations"]}
    assert [row[0] for row in found["explanations"]] == list(texts), "none is left out"
    for neuron, text, status, reason in found["explanations"]:
        assert (text, status, reason) == texts[neuron] or (
            text == "" and status == "failed" and reason
        )
    failed = {row[0] for row in found["explanations"] if row[2] == "failed"}
    spoilt = {row[0] for row in found["failed spans"]}
    untouched = [r for r in true["simulations"] if r[0] not in failed | spoilt]
    assert [r for r in found["simulations"] if r[0] not in spoilt] == untouched
    # What a null is made of may be missing; a score itself hangs on its own neuron alone.
    values = {row[:2]: row[2] for row in true["scores"]}
    scored = [row for row in found["scores"] if row[0] not in spoilt]
    assert {row[0] for row in scored} == {row[0] for row in untouched}
    assert all(values[row[:2]] == row[2] for row in scored)
    assert all(row[2] is None and row[9] for row in found["scores"] if row[8] == 0.0)


def test_a_sweep_among_faults_is_completed_by_asking_again_for_what_failed(
    sweeps: Sweeps, undisturbed: Path, tmp_path: Path
) -> None:
    path, true = sweeps.copy(tmp_path / "c.sqlite"), standing(undisturbed)
    with serve(faulty(answer, 0.3, seed=1, kinds=QUICK)) as server:
        first = sweeps.run(path, server.base_url, *WITH_FAULTS, "--json")
        sent = asked(server)
    good = bought(path)
    assert first.code == 3, first.err
    assert sum(sent.values()) > sum(good.values()) + 10, "there were faults"
    assert max(good.values()) == 1, "nothing was bought twice"
    after_first = standing(path)
    assert after_first["explanations"] != true["explanations"]
    assert after_first["failed spans"]
    check_all_is_true_or_failed(after_first, true)

    with serve(answer) as server:
        again = sweeps.run(path, server.base_url, *NEURONS, "--json")
        missing = asked(server)
    assert again.code in (0, 3), again.err
    assert missing and max(missing.values()) == 1
    assert not missing & good, "only what was missing"
    check_all_is_true_or_failed(standing(path), true)

    kept = bought(path)
    with serve(answer) as server:
        more = ("--base-url", f"{server.base_url},name=here", "--no-probe")
        last = neuroexplain(
            "runs", "retry", str(run_of(again)), "--catalogue", str(path), *more, "--json"
        )
        anew = asked(server)
    assert last.code == 0, last.err
    assert sum((anew & kept).values()) <= last.json["retried"], "and replies that were of no use"
    assert standing(path) == true
    with serve(answer) as server:
        over = sweeps.run(path, server.base_url, *NEURONS)
    assert (over.code, server.arrived) == (0, 0)
    assert standing(path) == true


def test_a_reply_of_no_use_is_bought_again_only_when_that_is_wished(
    sweeps: Sweeps, undisturbed: Path, tmp_path: Path
) -> None:
    """A rerun finds it in the ledger and fails once more; the rerun, or the first run, can be retried."""
    path, few = sweeps.copy(tmp_path / "c.sqlite"), ("--neurons", "0:0-9", "--json")
    cut = faulty(answer, 1.0, kinds=["length"])
    with serve(
        lambda b: answer(b) if "JSON list" in b["messages"][-1]["content"] else cut(b)
    ) as server:
        first = sweeps.run(path, server.base_url, *few)
    n = first.json["counts"]["failed: truncated"]
    assert (first.code, n) == (3, len(server.chats))
    with serve(answer) as server:
        again = sweeps.run(path, server.base_url, *few)
        assert again.json["counts"]["failed: truncated"] == n
        assert (again.code, server.arrived) == (3, 0)
        more = (
            "--base-url",
            f"{server.base_url},name=here",
            "--no-probe",
            "--catalogue",
            str(path),
        )
        retry = ("runs", "retry", str(run_of(again)))
        wrong = neuroexplain(*retry, "--reason", "refusal", *more)
        last = neuroexplain(*retry, "--reason", "truncated", *more, "--json")
    assert error_of(wrong) == f'run {run_of(again)}: unknown reason "refusal"; known: truncated'
    assert last.code == 0, last.err
    assert (last.json["retried"], last.json["counts"]["explained"]) == (n, n)
    texts = {row[0]: row for row in standing(undisturbed)["explanations"]}
    assert all(row == texts[row[0]] for row in standing(path)["explanations"])


PERMANENT: dict[str, tuple[Answer, str]] = {
    "the key": (
        lambda body: Response({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401),
        "the key was refused by {url} (401); set OPENAI_API_KEY to one of its keys",
    ),
    "the quota": (
        lambda body: Response({"error": {"message": "pay", "code": "insufficient_quota"}}, 429),
        "the quota of the key at {url} is used up (429): pay",
    ),
    "the model": (
        lambda body: Response({"error": {"message": "no", "code": "model_not_found"}}, 404),
        "model test-model does not exist at {url}; it has: test-model-2, other",
    ),
    "the page": (
        lambda body: Response(f"<html>{KEY}", headers={"Content-Type": "text/html"}),
        "{url} answered with text/html, not JSON; is this the base URL? It usually ends in /v1",
    ),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_what_no_call_can_mend_ends_the_sweep_at_once(
    name: str, sweeps: Sweeps, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusal, line = PERMANENT[name]
    path = sweeps.copy(tmp_path / "c.sqlite")
    with (
        serve(refusal, models=["other", "test-model-2"]) as server,
        caplog.at_level(logging.DEBUG),
    ):
        arguments = sweeps.arguments(path, server.base_url, "--neurons", "0:0-299")
        result = neuroexplain(*arguments, OPENAI_API_KEY=KEY)
    assert error_of(result) == line.format(url=server.base_url)
    # What was under way at first, and one question about the models.
    assert 1 <= server.arrived <= 8 + 1
    shown = neuroexplain("runs", "--catalogue", str(path))
    assert line.format(url=server.base_url)[:40] in " ".join(shown.out.split())
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    everything = result.out + result.err + shown.out + shown.err + caplog.text + repr(files)
    assert KEY not in everything
    assert all(r.headers["authorization"] == f"Bearer {KEY}" for r in server.requests)
