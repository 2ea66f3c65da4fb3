"""`neuroexplain runs`: how far, how fast, what failed and what it cost; and doing again what failed."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.testing import Server, serve
from tests.lives import answer, content
from tests.program import neuroexplain, start
from tests.sweeps import CALLS, Sweeps, asked, bought, error_of

Body = dict[str, Any]
NEURONS = 40
SELECTED = ("--neurons", f"0:0-{NEURONS - 1}")
ALONE = ("--neurons", "0:300", "--null", "0")
"""A neuron that is compared with no other."""
PRICE = '["test-model"]\ndate = 2026-01-01\ninput = 1\noutput = 10\n'
WAIT = 60.0


def catalogue_of(path: Path) -> tuple[str, str]:
    return "--catalogue", str(path)


def runs(path: Path) -> list[Any]:
    """All runs, the newest first."""
    found: list[Any] = neuroexplain("runs", *catalogue_of(path), "--json").json
    return found


def shown(path: Path, run: int) -> Any:
    return neuroexplain("runs", "show", str(run), *catalogue_of(path), "--json").json


def lines(*arguments: str) -> list[str]:
    """What a command prints, for a terminal that is wide enough."""
    result = neuroexplain(*arguments, COLUMNS="200")
    assert result.code == 0, result.err
    return [line.rstrip() for line in result.out.splitlines()]


class Moody:
    """Explains a fifth of the neurons with nothing and simulates a fifth of the spans in words, until it is well."""

    def __init__(self) -> None:
        self.well = False

    def __call__(self, body: Body) -> str:
        simulates = "JSON list" in body["messages"][1]["content"]
        question = body["messages"][:2] if simulates else body["messages"]  # without the repair
        kind = zlib.crc32(json.dumps(question).encode()) % 10
        if self.well or kind > 1:
            return answer(body)
        # Unlike all others, so that a bad reply is told from another by its text.
        return f"no numbers today {zlib.crc32(json.dumps(body).encode())}" if simulates else " \n"


@contextmanager
def swept(
    sweeps: Sweeps, path: Path, answer: Callable[[Body], str], *more: str
) -> Iterator[Server]:
    """A catalogue after a sweep with a price, and the server while it runs."""
    sweeps.copy(path)
    prices = path.with_name("prices.toml")
    prices.write_text(PRICE, encoding="utf-8")
    with serve(answer) as server:
        result = sweeps.run(path, server.base_url, *SELECTED, "--prices", str(prices), *more)
        assert result.code in (0, 3), result.err
        yield server


def test_what_a_run_cost_by_stage_and_by_neuron(sweeps: Sweeps, tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with swept(sweeps, path, answer):
        pass
    (run, collected) = runs(path)
    assert (collected["command"], collected["llm_calls"], collected["cost_usd"]) == (
        "collect",
        0,
        None,
    )
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT purpose, count(*), sum(prompt_tokens), sum(completion_tokens) FROM v_llm_calls GROUP BY purpose"
        ).fetchall()
    wanted = {
        purpose: {
            "llm_calls": n,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "cached_tokens": None,
            "cost_usd": pytest.approx((prompt + 10 * completion) / 1e6),
        }
        for purpose, n, prompt, completion in rows
    }
    assert run["stages"] == wanted
    assert [wanted[stage]["llm_calls"] for stage in ("explain", "simulate")] == [
        NEURONS,
        2 * NEURONS,
    ]
    cost = run["cost_usd"]
    assert cost == pytest.approx(sum(stage["cost_usd"].expected for stage in wanted.values()))
    (line,) = [line for line in lines("runs", *catalogue_of(path)) if "sweep" in line]
    tokens = f"{run['prompt_tokens']:,} + {run['completion_tokens']:,} tokens"
    assert line.endswith(
        f"{NEURONS * CALLS} calls, {tokens}, ${cost:.4f} (${cost / NEURONS:.6f} a neuron)"
    )
    told = lines("runs", "show", str(run["run_id"]), *catalogue_of(path))
    for name, stage in (*run["stages"].items(), ("all", run)):
        (row,) = [line for line in told if line.startswith(f"{name} ")]
        assert row.split() == [
            name,
            f"{stage['llm_calls']:,}",
            f"{stage['prompt_tokens']:,}",
            "?",
            f"{stage['completion_tokens']:,}",
            f"${stage['cost_usd']:.4f}",
            f"${stage['cost_usd'] / NEURONS:.6f}",
        ]


def of(purpose: str, found: Counter[str]) -> Counter[str]:
    """Of questions, those to explain, to simulate, or to repair, which is the last word on a simulation."""

    def wanted(text: str) -> bool:
        if "JSON list" not in text:
            return purpose == "explain"
        return purpose == ("repair" if len(json.loads(text)) > 2 else "simulate")

    return Counter({text: n for text, n in found.items() if wanted(text)})


def retry(path: Path, server: Server, *more: str) -> Any:
    arguments = (
        "runs",
        "retry",
        "2",
        *catalogue_of(path),
        "--base-url",
        f"{server.base_url},name=here",
    )
    return neuroexplain(*arguments, "--no-probe", "--json", *more, OPENAI_API_KEY="none")


def test_failures_are_counted_and_exactly_they_are_bought_again(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    path, server_is = tmp_path / "c.sqlite", Moody()
    with swept(sweeps, path, server_is) as server:
        run = runs(path)[0]
        empty, unread = run["failures"]["empty_reply"], run["failures"]["parse_failed"]
        assert run["failures"].keys() == {"empty_reply", "parse_failed"}
        (line,) = [line for line in lines("runs", *catalogue_of(path)) if "sweep" in line]
        assert f" {empty} empty_reply, {unread} parse_failed " in line
        told = lines("runs", "show", "2", *catalogue_of(path))
        assert {f"{empty} failed: empty_reply", f"{unread} failed: parse_failed"} <= set(told)

        first = asked(server)
        bad = of("repair", first)
        assert 0 < bad.total() <= unread, "spans fail by the call"
        server_is.well = True
        assert sweeps.run(path, server.base_url, *SELECTED).code == 3
        assert asked(server) == first, "the same command buys no failure again"

        result = retry(path, server, "--reason", "parse_failed")
        assert result.code == 3, "the explanations that failed still do"
        assert result.json["retried"] == bad.total()
        assert asked(server) - first == bad
        assert result.json["counts"]["failed: empty_reply"] == empty
        assert "failed: parse_failed" not in result.json["counts"]
        second = asked(server)

        result = retry(path, server)
        assert result.code == 0, result.err
        assert result.json["retried"] == empty
        again = asked(server) - second
        assert of("explain", again).keys() <= of("explain", first).keys()
        assert of("explain", again).total() == empty
        assert of("simulate", again).total() == empty * (CALLS - 1), "what they explain is new"
        assert again == of("explain", again) + of("simulate", again)
    with closing(sqlite3.connect(path)) as connection:
        retired = connection.execute("SELECT count(*) FROM llm_call WHERE retired").fetchone()
        assert retired == (bad.total() + empty,), "what came first is kept"
        unscored = "SELECT count(*) FROM v_scores WHERE simulator = 'sparse' AND value IS NOT NULL"
        assert connection.execute(unscored).fetchone()[0] >= 2 * NEURONS


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "no such run to show": (
        ("show", "99"),
        "no run 99 in this catalogue; `neuroexplain runs` lists them",
    ),
    "no such run to retry": (
        ("retry", "99"),
        "no run 99 in this catalogue; `neuroexplain runs` lists them",
    ),
    "no such reason": (
        ("retry", "2", "--reason", "parse_faild"),
        'run 2: unknown reason "parse_faild"; known: empty_reply, parse_failed; did you mean "parse_failed"?',
    ),
    "no such command": (
        ("retry", "1"),
        "run 1 is collect: only sweep, explain, score can be retried",
    ),
}


@pytest.fixture(scope="module")
def moody(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with failures; not to be written to."""
    path = tmp_path_factory.mktemp("moody") / "c.sqlite"
    with swept(sweeps, path, Moody()):
        return path


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_told_with_what_there_is(moody: Path, kind: str) -> None:
    arguments, message = MISTAKES[kind]
    assert error_of(neuroexplain("runs", *arguments, *catalogue_of(moody))) == message
    assert len(runs(moody)) == 2, "and nothing was begun"


def test_a_run_without_failures_has_nothing_to_retry(sweeps: Sweeps, tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with swept(sweeps, path, answer) as server:
        assert error_of(retry(path, server)) == "nothing failed in run 2"
        assert error_of(retry(path, server, "--reason", "parse_failed")) == (
            'run 2: unknown reason "parse_failed"; known: none'
        )


@contextmanager
def another_process(
    sweeps: Sweeps, path: Path, server: Server, *more: str
) -> Iterator[subprocess.Popen[str]]:
    """A sweep in a process of its own, of which the catalogue has had a sign of life."""
    arguments = sweeps.arguments(path, server.base_url, *SELECTED, *more)
    with start(*arguments, OPENAI_API_KEY="none") as process:
        try:
            give_up = time.monotonic() + WAIT
            while not any((run["progress"] or {}).get("done") for run in runs(path)):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < give_up
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


def test_a_living_run_is_seen_and_left_alone_and_a_dead_one_taken_over(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    slow = ("--concurrency", "2")
    with serve(answer, latency=0.2) as server:
        with another_process(sweeps, path, server, *slow) as process:
            run = runs(path)[0]
            here = socket.gethostname()
            assert (run["state"], run["host"], run["pid"]) == ("running", here, process.pid)
            done, total, rate = (run["progress"][name] for name in ("done", "total", "rate"))
            assert 0 < done < total == NEURONS
            assert 0 < rate < 2 / 0.2 / CALLS + 2, "two calls at a time, three for each neuron"
            assert run["progress"]["seconds_left"] == pytest.approx((total - done) / rate)
            line = lines("runs", *catalogue_of(path))[-1]
            assert re.fullmatch(
                rf"run 2: \d+ of {NEURONS} neurons, \d+\.\d/s, \d+ min left, process {process.pid} on {here}",
                line,
            )

            refused = error_of(sweeps.run(path, server.base_url, *SELECTED))
            assert re.fullmatch(
                rf"process {process.pid} on {here} \(this machine\) works on this very run \(run 2, sweep, "
                r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\); wait until it is done, or end it",
                refused,
            )
            other = sweeps.run(path, server.base_url, *ALONE)
            assert other.code == 0, "another run of the same catalogue goes on beside it"
            before = asked(server)
            process.send_signal(signal.SIGKILL)
            process.wait(WAIT)
        assert [run["state"] for run in runs(path)] == ["done", "killed", "done"]
        assert sweeps.run(path, server.base_url, *SELECTED).code == 0
        states = [(run["state"], run["message"]) for run in runs(path)]
        assert states == [("done", ""), ("done", ""), ("interrupted", "killed"), ("done", "")]
        twice = asked(server) - Counter(dict.fromkeys(asked(server), 1))
        assert twice.total() <= 2 * 2 and twice <= before, "only what was under way"
        assert bought(path) <= asked(server)
    undisturbed = sweeps.copy(tmp_path / "undisturbed.sqlite")
    with serve(answer) as server:
        assert sweeps.run(undisturbed, server.base_url, *ALONE).code == 0
        assert sweeps.run(undisturbed, server.base_url, *SELECTED).code == 0
    for table in ("explanations", "simulations", "scores"):
        assert content(path)[table] == content(undisturbed)[table]
    assert list(tmp_path.glob("*.lock")) == []
