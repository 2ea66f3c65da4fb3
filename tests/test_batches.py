"""Sweeps by offline batches: from request files and answers to the same catalogue as by direct calls."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.batches import Batches as Batches_
from neuroexplain.llm import batch_files
from neuroexplain.llm.ledger import MARGIN
from neuroexplain.llm.tokens import estimate_chat
from neuroexplain.templates import Message
from neuroexplain.testing.batch_input import Line
from tests.lives import answer, content
from tests.offline import (
    EXPENSIVE,
    WAITING,
    Offline,
    outcome,
    respond,
    strictly,
    write,
)
from tests.sweeps import Sweeps, error_of

NEURONS = 25
KILLS = 25


@pytest.fixture
def offline(sweeps: Sweeps, tmp_path: Path) -> Offline:
    return Offline(sweeps, tmp_path)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(EXPENSIVE, encoding="utf-8")
    return path


def worst(line: Line) -> int:
    """What a request of a batch may cost at worst, in billionths of a dollar."""
    messages = [Message(turn["role"], turn["content"]) for turn in line.body["messages"]]
    prompt = int(MARGIN * estimate_chat(messages)) + 20
    # Half of a thousand and of ten thousand dollars for a million tokens.
    return prompt * 500_000 + int(line.body["max_completion_tokens"]) * 5_000_000


def test_a_sweep_by_batches_ends_like_one_by_calls(
    offline: Offline, by_calls: dict[str, list[tuple[Any, ...]]]
) -> None:
    first = offline.sweep()
    assert first.code == WAITING, first.err
    assert f"{NEURONS} requests wait in the folder of batches" in first.err
    assert respond(offline, seed=1) == NEURONS
    second = offline.sweep()
    assert second.code == WAITING, second.err
    assert f"{NEURONS} explained" in second.err
    assert respond(offline, seed=2) == 2 * NEURONS, "both calls of a simulation wait in one batch"
    third = offline.sweep("--json")
    assert third.code == 0, third.err
    assert third.json["counts"]["scored"] == NEURONS
    assert content(offline.catalogue) == by_calls
    assert offline.files() == [], "what has come back is put away"
    assert len(offline.files("answered")) == 2
    states = [run["state"] for run in offline.runs()]
    assert states == ["done", "interrupted", "interrupted", "done"]


def test_a_sweep_that_is_done_or_waits_does_nothing_more(offline: Offline) -> None:
    assert offline.sweep().code == WAITING
    (file,) = offline.files()
    before = file.read_bytes()
    assert offline.sweep().code == WAITING
    assert [f.read_bytes() for f in offline.files()] == [before]
    respond(offline)
    assert offline.finish().code == 0
    done = content(offline.catalogue)
    again = offline.sweep()
    assert again.code == 0, again.err
    assert (content(offline.catalogue), offline.files()) == (done, [])


def test_without_a_server_the_model_stands_by_itself(
    sweeps: Sweeps, tmp_path: Path, by_calls: dict[str, list[tuple[Any, ...]]]
) -> None:
    offline = Offline(sweeps, tmp_path, url=None)
    assert offline.finish().code == 0
    found = content(offline.catalogue)
    assert {row[2] for row in found["explanations"]} == {"batch:test-model"}
    assert found["scores"] == by_calls["scores"]


# Limits


def test_files_hold_what_the_calls_limit_allows(offline: Offline) -> None:
    stopped = error_of(offline.sweep("--max-calls", "10"))
    assert stopped == (
        "stopped at --max-calls 10: so many calls were made or asked for; "
        "the same command with a higher limit goes on"
    )
    assert len(offline.lines()) == 10
    assert error_of(offline.sweep("--max-calls", "10")) == stopped
    assert len(offline.lines()) == 10, "those in files count in the next run too"
    error_of(offline.sweep("--max-calls", "12"))
    assert [len(strictly(file)) for file in offline.files()] == [10, 2]
    respond(offline)
    error_of(offline.sweep("--max-calls", "12"))
    assert offline.lines() == [], "so do those that were answered"
    assert offline.sweep("--max-calls", str(3 * NEURONS)).code == WAITING
    assert offline.finish("--max-calls", str(3 * NEURONS)).code == 0


def test_files_hold_what_the_money_allows_at_worst(
    sweeps: Sweeps, tmp_path: Path, prices: Path
) -> None:
    unlimited = Offline(sweeps, tmp_path / "unlimited")
    assert unlimited.sweep().code == WAITING
    lines = sorted(unlimited.lines(), key=lambda line: line.custom_id)
    enough = sum(map(worst, lines[:7]))
    for limit, written in ((enough - 1, 6), (enough, 7)):
        offline = Offline(sweeps, tmp_path / str(written))
        priced = ("--prices", str(prices), "--max-cost", f"{limit / 1e9:.9f}")
        stopped = error_of(offline.sweep(*priced))
        assert [line.custom_id for line in offline.lines()] == [
            line.custom_id for line in lines[:written]
        ]
        assert stopped.startswith(
            f"stopped at --max-cost {limit / 1e9:g}: $0.0000 were spent, up to"
        )
        assert error_of(offline.sweep(*priced)) == stopped
        assert len(offline.lines()) == written


def test_a_limit_holds_through_all_batches_and_a_higher_one_goes_on(
    offline: Offline, prices: Path, by_calls: dict[str, list[tuple[Any, ...]]]
) -> None:
    limit = 12.0
    settings = ("--prices", str(prices), "--simulator-set", "max_tokens=100", "--max-cost")
    answered = 0
    while True:
        stopped = error_of(offline.sweep(*settings, str(limit)))
        owed = sum(map(worst, offline.lines())) / 1e9
        assert offline.spent + owed <= limit
        if not owed:
            break
        answered += respond(offline)
    assert 0 < answered < 3 * NEURONS
    assert f"${offline.spent:.4f} were spent, and the next call" in stopped
    assert offline.spent > limit - 2, "one more would not have fitted"
    assert offline.finish(*settings, "1000").code == 0
    found = content(offline.catalogue)
    assert found["scores"] == by_calls["scores"]
    tokens = [(row[2], len(row[3].split())) for row in found["calls"]]
    half_price = sum(prompt * 0.0005 + words * 0.005 for prompt, words in tokens)
    assert offline.spent == pytest.approx(half_price, abs=1e-9)


def test_no_money_writes_no_file(offline: Offline, prices: Path) -> None:
    error_of(offline.sweep("--prices", str(prices), "--max-cost", "0"))
    error_of(offline.sweep("--max-calls", "0"))
    assert list((offline.folder / "requests").iterdir()) == []
    assert [run["state"] for run in offline.runs()][:2] == ["interrupted", "interrupted"]


def test_what_a_run_was_stopped_before_is_not_asked_by_another(offline: Offline) -> None:
    error_of(offline.sweep("--max-calls", "0"))
    other = offline.sweep("--neurons", "0:0-2")
    assert other.code == WAITING
    assert "3 requests wait" in other.err
    assert len(offline.lines()) == 3


# Files


def test_requests_go_into_as_many_files_as_they_need(
    offline: Offline, monkeypatch: pytest.MonkeyPatch, by_calls: dict[str, list[tuple[Any, ...]]]
) -> None:
    monkeypatch.setattr(batch_files, "MAX_REQUESTS", 10)
    assert offline.sweep().code == WAITING
    assert [len(strictly(file)) for file in offline.files()] == [10, 10, 5]
    names = [line.custom_id for line in offline.lines()]
    assert len(set(names)) == NEURONS
    monkeypatch.undo()
    largest = max(map(len, offline.files()[0].read_bytes().splitlines(keepends=True)))
    respond(offline)
    monkeypatch.setattr(batch_files, "MAX_BYTES", 5 * largest)
    assert offline.sweep().code == WAITING
    files = offline.files()
    assert all(0 < file.stat().st_size <= 5 * largest for file in files)
    assert sum(len(strictly(file)) for file in files) == 2 * NEURONS
    # No file has room for the next one's first request.
    for file, later in pairwise(files):
        first = later.read_bytes().splitlines(keepends=True)[0]
        assert file.stat().st_size + len(first) > 5 * largest
    assert offline.finish().code == 0
    assert content(offline.catalogue) == by_calls


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_naming_of_a_file_doubles_no_request(
    offline: Offline, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    finish = batch_files.RequestFile.finish

    def dying(file: batch_files.RequestFile) -> None:
        if moment == "after":
            finish(file)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(batch_files.RequestFile, "finish", dying)
        with pytest.raises(KilledError):
            offline.sweep()
    assert offline.sweep().code == WAITING
    names = [line.custom_id for line in offline.lines()]
    assert len(names) == len(set(names)) == NEURONS


def test_a_deleted_request_file_is_written_again(offline: Offline) -> None:
    offline.sweep()
    (file,) = offline.files()
    before = file.read_bytes()
    file.unlink()
    assert offline.sweep().code == WAITING
    assert [f.read_bytes() for f in offline.files()] == [before]


def test_reading_a_result_file_again_changes_nothing(offline: Offline) -> None:
    offline.sweep()
    respond(offline)
    offline.sweep()
    before, calls = content(offline.catalogue), offline.lines()
    (results,) = offline.files("results")
    results.with_name("copy.jsonl").write_bytes(results.read_bytes())
    assert offline.sweep().code == WAITING
    assert content(offline.catalogue) == before
    assert offline.lines() == calls


def test_lines_that_say_nothing_cost_nothing(
    offline: Offline, caplog: pytest.LogCaptureFixture
) -> None:
    offline.sweep()
    first, second, *_ = lines = offline.lines()
    good = [outcome(line.custom_id, answer(line.body), line.body) for line in lines]
    write(
        offline,
        good[0],
        outcome(first.custom_id, "another reply to the same", first.body),  # the first one counts
        outcome("task-1", "a name that is no hash", first.body),
        outcome("ab" * 32, "a request that nobody made", first.body),
        json.dumps(good[1])[:40],
        *good[2:],
    )
    found = offline.sweep()
    assert found.code == WAITING
    assert [record.getMessage().partition(", ")[2] for record in caplog.records] == [
        "line 5: no JSON"
    ]
    assert f"{NEURONS - 1} explained" in found.err
    assert f"{1 + 2 * (NEURONS - 1)} requests wait" in found.err
    assert second.custom_id in {line.custom_id for line in strictly(offline.files()[0])}
    texts = {row[3] for row in content(offline.catalogue)["explanations"]}
    assert answer(first.body) in texts
    assert "another reply to the same" not in texts
    write(offline, good[1])
    offline.sweep()
    assert offline.finish().code == 0


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(
    offline: Offline, caplog: pytest.LogCaptureFixture
) -> None:
    offline.sweep()
    lines = offline.lines()
    whole = "".join(
        json.dumps(outcome(line.custom_id, answer(line.body), line.body)) + "\n" for line in lines
    )
    path = write(offline)
    path.write_text(whole[: len(whole) // 2])
    assert offline.sweep().code == WAITING
    assert caplog.records == []
    path.write_text(whole)
    assert f"{NEURONS} requests" not in offline.sweep().err
    assert len(content(offline.catalogue)["explanations"]) == NEURONS


def test_two_models_may_share_a_folder(offline: Offline) -> None:
    offline.sweep("--neurons", "0:0-2")
    offline.sweep("--neurons", "0:0-2", "--model", "other")
    assert [{line.body["model"] for line in strictly(file)} for file in offline.files()] == [
        {"test-model"}, {"other"},
    ]  # fmt: skip
    respond(offline)
    for model in ("test-model", "other"):
        found = offline.sweep("--neurons", "0:0-2", "--model", model)
        assert "3 explained" in found.err, "each reads its own answers out of the same file"


def test_two_catalogues_may_share_a_folder(
    offline: Offline, sweeps: Sweeps, tmp_path: Path
) -> None:
    other = Offline(sweeps, tmp_path / "other", batches=offline.folder)
    offline.sweep("--neurons", "0:0-2")
    other.sweep("--neurons", "0:3-4")
    assert [len(strictly(file)) for file in offline.files()] == [3, 2], "none puts away the other's"
    respond(offline)
    assert "3 explained" in offline.sweep("--neurons", "0:0-2").err
    assert "2 explained" in other.sweep("--neurons", "0:3-4").err


def test_answers_may_be_written_under_the_same_name_again(offline: Offline) -> None:
    """As by a program that is given the same command for every wave."""
    waves = 0
    while (done := offline.sweep()).code == WAITING:
        waves += 1
        lines = [outcome(line.custom_id, answer(line.body), line.body) for line in offline.lines()]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (offline.folder / "results" / "out.jsonl").write_text(text, encoding="utf-8")
    assert (done.code, waves) == (0, 2), done.err


def test_answers_that_come_while_a_sweep_works_are_not_asked_for_again(
    offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`batch fetch` puts a file away between the moments at which a sweep looks for answers and writes requests."""
    assert offline.sweep().code == WAITING
    (file,) = offline.files()
    inner = Batches_.write_out

    def later(batches: Batches_) -> None:
        respond(offline)
        batches.folder.put_away(file)
        inner(batches)

    monkeypatch.setattr(Batches_, "write_out", later)
    assert offline.sweep().code == WAITING
    assert offline.files() == []
    monkeypatch.undo()
    assert "explained" in offline.sweep().err
