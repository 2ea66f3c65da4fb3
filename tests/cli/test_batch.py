"""`neuroexplain batch` against a batch service, whatever that does to the batches."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.testing import Answer, Batches, Response, Server, serve
from tests.lives import answer, content
from tests.offline import WAITING, Offline
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps, error_of

NEURONS = 25


class Service:
    """A sweep by batches beside the server that answers them.

    Attributes:
        asked: messages of the requests that were answered, and how often.
    """

    def __init__(
        self, sweeps: Sweeps, folder: Path, batches: Batches, reply: Answer = answer
    ) -> None:
        self.asked: Counter[str] = Counter()

        def counting(body: dict[str, Any]) -> Any:
            self.asked[json.dumps(body["messages"])] += 1
            return reply(body)

        self._serving = serve(counting, batches=batches)
        self.server: Server = self._serving.__enter__()
        self.offline = Offline(sweeps, folder, self.server.base_url)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *error: Any) -> None:
        self._serving.__exit__(*error)

    def batch(self, command: str, *more: str, key: str = "k") -> Result:
        """A command of the group."""
        server = ("--base-url", self.server.base_url)
        folder = str(self.offline.folder)
        return neuroexplain("batch", command, folder, *server, *more, OPENAI_API_KEY=key)

    def through(self, *more: str) -> Result:
        """The whole sweep, with every step given twice."""
        for _ in range(12):
            done = self.offline.sweep(*more)
            if done.code != WAITING:
                return done
            assert self.offline.sweep(*more).code == WAITING
            for command in ("submit", "submit", "status", "fetch", "fetch"):
                wait = ("--wait", "0.1") if command == "fetch" else ()
                result = self.batch(command, *wait)
                assert result.code == 0, result.err
        raise AssertionError("the sweep never ends")

    @property
    def failed(self) -> list[tuple[int, str]]:
        """Neurons and reasons of failed explanations in the catalogue."""
        rows = content(self.offline.catalogue)["explanations"]
        return sorted({(row[0], row[5]) for row in rows if row[4] == "failed"})


@pytest.fixture
def service(sweeps: Sweeps, tmp_path: Path) -> Callable[..., Service]:
    def made(reply: Answer = answer, **settings: Any) -> Service:
        return Service(sweeps, tmp_path, Batches(**settings), reply)

    return made


@pytest.fixture(scope="module")
def undisturbed(
    sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Any, ...]]]:
    """What the catalogue of a sweep holds that was answered without trouble."""
    offline = Offline(sweeps, tmp_path_factory.mktemp("undisturbed"))
    assert offline.finish().code == 0
    return content(offline.catalogue)


@pytest.mark.parametrize(
    "trouble",
    [
        {"seed": 5},
        {"polls": 1},
        {"expire_after": 20},
        {"fail_upload": 2},
        {"drop_created": 1},
    ],
    ids=str,
)
def test_everything_is_answered_and_paid_for_once(
    service: Callable[..., Service],
    undisturbed: dict[str, list[tuple[Any, ...]]],
    trouble: dict[str, Any],
) -> None:
    with service(**trouble) as running:
        done = running.through()
        batches = running.server.batches
    assert done.code == 0, done.err
    assert content(running.offline.catalogue) == undisturbed
    assert set(running.asked.values()) == {1}
    assert sum(running.asked.values()) == 3 * NEURONS
    assert running.offline.files() == []
    assert len(running.offline.files("answered")) == len(batches)
    totals = [batch["request_counts"]["total"] for batch in batches]
    if "expire_after" in trouble:
        # What is left of one goes into the next, with what its answers have made possible.
        assert (batches[0]["status"], totals[:2]) == ("expired", [NEURONS, 5 + 2 * 20])
    else:
        assert totals == [NEURONS, 2 * NEURONS]


def rejecting(body: dict[str, Any]) -> str | Response:
    """Refuses every third explanation, as OpenAI does."""
    reply = answer(body)
    if reply.startswith("words") and int(reply.rpartition(" ")[2]) % 3 == 0:
        error = {"message": "not this one", "type": "invalid_request_error", "code": "bad"}
        return Response({"error": error}, 400)
    return reply


@pytest.mark.parametrize("place", ["output", "errors"])
def test_rejected_requests_fail_their_neurons_and_no_other(
    service: Callable[..., Service], place: str
) -> None:
    with service(rejecting, rejected=place) as running:
        done = running.through()
        failed = len(running.failed)
        assert done.code == 3, done.err
        assert f"  {failed} failed: llm_refused" in done.err
        assert 3 <= failed <= 15
        assert f"{NEURONS - failed} scored" in done.err
        assert len(content(running.offline.catalogue)["simulations"]) == NEURONS - failed
        assert set(running.asked.values()) == {1}, "a rejection is not asked again"
        calls = content(running.offline.catalogue)["calls"]
        assert len(calls) == NEURONS + 2 * (NEURONS - failed), "and it is one call"
        again = running.offline.sweep()
        assert again.code == WAITING, "unless the sweep that has ended is begun anew"
        assert len(running.offline.lines()) == failed


def test_a_batch_with_nothing_but_errors(service: Callable[..., Service]) -> None:
    error = {"message": "the model does not exist", "code": "model_not_found"}
    with service(lambda _: Response({"error": error}, 404)) as running:
        done = running.through()
        (batch,) = running.server.batches
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert done.code == 3, done.err
    assert f"  {NEURONS} failed: llm_refused" in done.err
    assert set(running.asked.values()) == {1}


def test_a_batch_whose_output_is_missing_is_given_up_after_all_tries(
    service: Callable[..., Service],
) -> None:
    with service(lose_output=True) as running:
        done = running.through("--tries", "2")
        batches = running.server.batches
    assert done.code == 3, done.err
    assert f"  {NEURONS} failed: no_batch_answer" in done.err
    assert [(batch["status"], batch["output_file_id"]) for batch in batches] == [
        ("completed", None)
    ] * 2
    assert set(running.asked.values()) == {2}


def test_a_batch_that_the_service_finds_wrong_says_why(service: Callable[..., Service]) -> None:
    with service(max_lines=10) as running:
        running.offline.sweep()
        running.batch("submit")
        fetched = running.batch("fetch", "--json").json
        assert [(job["status"], job["message"]) for job in fetched] == [
            ("failed", f"{NEURONS} requests, of 10 at most")
        ]
        done = running.offline.sweep("--tries", "1")
    assert done.code == 3, done.err
    assert running.asked == {}
    with closing(sqlite3.connect(running.offline.catalogue)) as connection:
        errors = connection.execute("SELECT DISTINCT error FROM v_llm_calls").fetchall()
    assert errors == [
        (f"no_batch_answer: the batch has no answer: {NEURONS} requests, of 10 at most",)
    ]


def test_a_parameter_that_is_refused_is_left_out_of_the_next_file(
    service: Callable[..., Service], undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    def strict(body: dict[str, Any]) -> str | Response:
        form = body.get("response_format", {}).get("type")
        for name in ("temperature", "seed", "response_format"):
            if name in body and form != "json_object":
                error = {"message": f"Unsupported: {name}", "param": name}
                return Response({"error": error | {"code": "unsupported_parameter"}}, 400)
        accepted.append(form)
        return answer(body)

    accepted: list[str | None] = []

    with service(strict) as running:
        done = running.through()
        batches = running.server.batches
    assert done.code == 0, done.err
    assert content(running.offline.catalogue) == undisturbed
    # Each of three shows one thing that the model does not take; what was learnt of the first two holds for the third.
    assert [batch["request_counts"]["completed"] for batch in batches] == [0, 0, 25, 0, 50]
    assert Counter(accepted) == {None: 25, "json_object": 50}


def test_a_batch_is_not_fetched_or_sent_again_with_another_key(
    service: Callable[..., Service],
) -> None:
    with service() as running:
        running.offline.sweep()
        assert running.batch("submit", key="one").code == 0
        for command in ("submit", "status", "fetch"):
            refused = error_of(running.batch(command, key="two"))
            assert refused.startswith("0001.jsonl was sent to another server or with another key")
        assert running.batch("fetch", "--wait", "0.1", key="one").code == 0
        assert len(running.server.batches) == 1
        assert "25 explained" in running.offline.sweep().err


def test_the_commands_show_how_far_the_batches_are(service: Callable[..., Service]) -> None:
    with service(polls=3) as running:
        empty = running.offline.folder
        empty.mkdir()
        assert (running.batch("submit").code, running.batch("submit").out) == (0, "")
        assert "no request files wait" in running.batch("status").err
        running.offline.sweep()
        before = running.batch("status", "--json").json
        assert [(job["file"], job["status"]) for job in before] == [("0001.jsonl", "not submitted")]
        states = [running.batch("submit", "--json").json]
        states += [running.batch(command, "--json").json for command in ("status", "fetch")]
        assert [job["status"] for (job,) in states] == ["validating", "in_progress", "finalizing"]
        assert running.offline.files("results") == [], "nothing is fetched before it has ended"
        table = running.batch("fetch").out
    assert f"completed  {NEURONS}" in table
    assert len(running.offline.files("results")) == 1


def test_a_refused_key_and_a_server_without_batches_are_one_line(
    service: Callable[..., Service],
) -> None:
    with service() as running:
        running.offline.sweep()
        with serve(answer, batches=None) as other:
            server = ("--base-url", other.base_url)
            result = neuroexplain("batch", "submit", str(running.offline.folder), *server)
        assert "has no batch service" in error_of(result)
        assert running.batch("submit").code == 0, "nothing had arrived there"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--llm", "batch:{folder}"), "--model NAME"),
        (("--llm", "batch:", "--model", "m"), "is no language model"),
        (("--llm", "batch:{file}", "--model", "m"), "cannot be used: "),
        (("--llm", "batch:{file}/below", "--model", "m"), "cannot be used: Not a directory"),
        (("--llm", "batch:{folder}", "--model", "m", "--no-cache"), "leave out --no-cache"),
        (("--llm", "batch:{folder}", "--model", "m", "--max-cost", "1"), "needs the price of m"),
    ],
)
def test_a_sweep_that_cannot_use_batches_says_so_in_one_line(
    sweeps: Sweeps, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_text("")
    catalogue = sweeps.copy(tmp_path / "catalogue.sqlite")
    places = {"folder": tmp_path / "folder", "file": tmp_path / "file"}
    result = neuroexplain(
        "sweep", *sweeps.collecting, "--neurons", "0:0-3", "--explainer", "token-activation", "--simulator", "sparse",
        "--catalogue", str(catalogue), *(a.format(**places) for a in arguments),
    )  # fmt: skip
    assert said in error_of(result)
    assert content(catalogue)["explanations"] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    offline = Offline(sweeps, tmp_path)
    offline.sweep()
    (offline.folder / "requests").chmod(0o500)
    assert "cannot be used: Permission denied" in error_of(offline.sweep())


@pytest.mark.parametrize("command", ["submit", "status", "fetch"])
@pytest.mark.parametrize("kind", ["missing", "file"])
def test_the_commands_want_a_folder(tmp_path: Path, command: str, kind: str) -> None:
    (tmp_path / "file").write_text("")
    result = neuroexplain(
        "batch", command, str(tmp_path / kind), "--base-url", "http://127.0.0.1:9/v1"
    )
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("Error: Invalid value for 'FOLDER': ")
    assert "Traceback" not in result.err


def test_a_server_that_did_not_answer_is_nothing_to_go_on_with(
    service: Callable[..., Service],
) -> None:
    with service() as made:
        assert made.offline.sweep().code == WAITING
        folder = str(made.offline.folder)
        refused = neuroexplain(
            *("batch", "submit", folder, "--base-url", "http://127.0.0.1:1/v1"), OPENAI_API_KEY="k"
        )
        assert "no batch service answers" in error_of(refused)
        assert made.batch("submit").code == 0
        assert len(made.server.batches) == 1


def test_a_refused_parameter_that_the_user_gave_is_not_sent_again_and_again(
    service: Callable[..., Service],
) -> None:
    def strict(body: dict[str, Any]) -> str | Response:
        if "temperature" in body:
            error = {"message": "Unsupported", "param": "temperature"}
            return Response({"error": error | {"code": "unsupported_parameter"}}, 400)
        return answer(body)

    with service(strict) as running:
        done = running.through("--llm-set", "temperature=0.5")
        assert len(running.server.batches) == 1
    assert done.code == 3, done.err
    assert running.failed == [(number, "llm_refused") for number in range(1, NEURONS + 1)]
