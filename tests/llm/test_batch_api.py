"""Sending request files and fetching results with OpenAI's client, step by step and torn anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from neuroexplain.errors import BatchError
from neuroexplain.llm.addresses import Address, addresses
from neuroexplain.llm.batch_api import BatchService, Job
from neuroexplain.llm.batch_files import BatchFolder, RequestFile, read_results, state_file
from neuroexplain.testing import Batches, Response, Server, serve

NAMES = [f"{n:064x}" for n in range(5)]


def echo(body: dict[str, Any]) -> str:
    return f"said {body['messages'][0]['content']}"


@pytest.fixture
def folder(tmp_path: Path) -> BatchFolder:
    """A folder with one request file."""
    made = BatchFolder(tmp_path / "batches")
    add_file(made)
    return made


def add_file(folder: BatchFolder) -> Path:
    with RequestFile(folder.next_file()) as file:
        for name in NAMES:
            turns = [{"role": "user", "content": name}]
            file.add(name, json.dumps({"model": "m", "messages": turns}).encode())
        file.finish()
    return file.path


@contextmanager
def service(server: Server, *, tries: int = 4) -> Iterator[BatchService]:
    (address,) = addresses(server.base_url)
    with BatchService(address, tries=tries, wait_initial=0.01) as made:
        yield made


def submitted(server: Server, folder: BatchFolder, *, tries: int = 4) -> list[Job]:
    with service(server, tries=tries) as made:
        return made.submit(folder)


def fetched(server: Server, folder: BatchFolder) -> list[Job]:
    with service(server) as made:
        return made.fetch(folder)


def posts(server: Server, path: str) -> int:
    return sum(r.method == "POST" and r.path == f"/v1/{path}" for r in server.requests)


def forget_batch(folder: BatchFolder) -> None:
    """Leave the note of the only file as it was before its batch was known: its writer was killed there."""
    note = state_file(folder.request_files()[0])
    known = json.loads(note.read_text()) | {"batch_id": None, "status": "not submitted"}
    note.write_text(json.dumps(known))


def test_results_come_whole_and_the_request_file_is_put_away(folder: BatchFolder) -> None:
    with serve(echo, batches=Batches(polls=2)) as server:
        (job,) = submitted(server, folder)
        assert (job.file, job.status) == ("0001.jsonl", "validating")
        assert submitted(server, folder) == [job]
        (early,) = fetched(server, folder)
        assert (early.status, folder.result_files()) == ("finalizing", [])
        (late,) = fetched(server, folder)
        assert fetched(server, folder) == []
    assert (late.status, late.total, late.completed, late.failed) == ("completed", 5, 5, 0)
    (path,) = folder.result_files()
    (piece,) = read_results(path, 0)
    assert sorted(answer.request_sha256 for answer in piece.answers) == NAMES
    assert folder.request_files() == []
    assert sorted(p.name for p in folder.answered.iterdir()) == ["0001.jsonl", "0001.state.json"]


def test_outputs_and_errors_are_files_of_their_own(folder: BatchFolder) -> None:
    def reply(body: dict[str, Any]) -> str | Response:
        refused = body["messages"][0]["content"] == NAMES[0]
        return Response({"error": {"message": "no"}}, 400) if refused else echo(body)

    with serve(reply, batches=Batches(polls=1, rejected="errors")) as server:
        (job,) = submitted(server, folder)
        fetched(server, folder)
    assert [path.name for path in folder.result_files()] == [
        f"0001-{kind}-{job.job[:8]}.jsonl" for kind in ("errors", "output")
    ]


def test_a_kill_before_a_made_batch_was_noted_makes_no_second_one(folder: BatchFolder) -> None:
    with serve(echo) as server:
        (job,) = submitted(server, folder)
        forget_batch(folder)
        assert submitted(server, folder) == [job]
        assert len(server.batches) == 1


def test_a_batch_is_found_among_hundreds(folder: BatchFolder) -> None:
    with serve(echo) as server:
        (job,) = submitted(server, folder)
        with OpenAI(base_url=server.base_url, api_key="none") as client:
            for _ in range(210):
                client.batches.create(
                    input_file_id=str(job.input_file_id),
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                )
        forget_batch(folder)
        (again,) = submitted(server, folder)
        assert again.batch_id == job.batch_id
        assert len(server.batches) == 211


@pytest.mark.parametrize(("dropped", "tries"), [(1, 4), (1, 1), (3, 2)])
def test_a_batch_whose_making_was_not_confirmed_is_not_made_again(
    folder: BatchFolder, dropped: int, tries: int
) -> None:
    with serve(echo, batches=Batches(drop_created=dropped)) as server:
        if tries == 1:
            with pytest.raises(BatchError, match="no batch service answers"):
                submitted(server, folder, tries=tries)
        (job,) = submitted(server, folder, tries=tries)
        assert [batch["id"] for batch in server.batches] == [job.batch_id]
        assert posts(server, "batches") == 1


def test_a_failed_upload_is_tried_again_and_then_left_for_the_next_time(
    folder: BatchFolder,
) -> None:
    with serve(echo, batches=Batches(fail_upload=3)) as server:
        with pytest.raises(BatchError, match=r"refused \(500\): .*The server had an error"):
            submitted(server, folder, tries=2)
        assert (posts(server, "files"), server.batches) == (2, [])
        submitted(server, folder, tries=2)
        assert (posts(server, "files"), len(server.batches)) == (4, 1)


def test_what_was_sent_before_a_failure_stays_sent(folder: BatchFolder) -> None:
    add_file(folder)
    with serve(echo) as server:
        state_file(folder.request_files()[1]).write_text("{")
        with pytest.raises(BatchError, match=r"0002\.state\.json is broken; restore it, or delete"):
            submitted(server, folder)
        state_file(folder.request_files()[1]).unlink()
        assert len(submitted(server, folder)) == 2
        assert len(server.batches) == 2


def test_two_who_submit_at_once_make_one_batch_of_a_file(folder: BatchFolder) -> None:
    add_file(folder)
    with serve(echo, latency=0.02) as server, ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: submitted(server, folder), range(4)))
        assert len(server.batches) == 2
    assert all([job.batch_id for job in jobs] == [job.batch_id for job in made[0]] for jobs in made)


def test_a_kill_between_the_results_and_putting_away_changes_nothing(folder: BatchFolder) -> None:
    with serve(echo, batches=Batches(polls=1)) as server:
        submitted(server, folder)
        fetched(server, folder)
        (path,) = folder.result_files()
        before = path.read_bytes()
        for file in folder.answered.iterdir():
            file.replace(folder.requests / file.name)
        fetched(server, folder)
    assert [p.read_bytes() for p in folder.result_files()] == [before]
    assert folder.request_files() == []


def test_only_whoever_sent_a_batch_asks_for_it(
    folder: BatchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1")
    with serve(echo) as server, serve(echo) as other:
        submitted(server, folder)
        with pytest.raises(BatchError, match="another server or with another key"):
            submitted(other, folder)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-2")
        with pytest.raises(BatchError, match="another server or with another key"):
            fetched(server, folder)
        assert (other.requests, len(server.requests)) == ([], 2)
    assert "secret" not in state_file(folder.request_files()[0]).read_text()


def test_a_service_that_is_not_there(folder: BatchFolder) -> None:
    with serve(echo) as server:
        url = server.base_url
    with (
        BatchService(Address(url), tries=2, wait_initial=0.01) as gone,
        pytest.raises(BatchError, match=f"no batch service answers at {url}"),
    ):
        gone.submit(folder)
