from __future__ import annotations

import errno
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.errors import BatchError
from neuroexplain.llm import batch_files
from neuroexplain.llm.batch_files import Answer, BatchFolder, RequestFile, read_results


def line(name: str, **more: Any) -> str:
    made = {"id": "x", "custom_id": name, "response": None, "error": None} | more
    return json.dumps(made) + "\n"


def good(name: str, body: Any = None, status: int = 200) -> str:
    return line(name, response={"status_code": status, "request_id": "r", "body": body or {}})


def all_of(path: Path, start: int = 0, **settings: int) -> tuple[list[Answer], list[str], int]:
    pieces = list(read_results(path, start, **settings))
    return (
        [a for p in pieces for a in p.answers],
        [problem for p in pieces for problem in p.problems],
        pieces[-1].read if pieces else start,
    )


def file_line(path: Path) -> bytes:
    """The first line of a file."""
    with path.open("rb") as file:
        return file.readline()


def test_a_request_file_has_openais_form_and_takes_its_name_when_it_is_whole(
    tmp_path: Path,
) -> None:
    folder = BatchFolder(tmp_path / "b")
    with RequestFile(folder.next_file()) as file:
        assert file.add("a1", b'{"model": "m", "messages": []}')
        assert folder.request_files() == []
        file.finish()
    assert [p.name for p in folder.request_files()] == ["0001.jsonl"]
    assert json.loads(folder.request_files()[0].read_text()) == {
        "custom_id": "a1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": []},
    }
    assert folder.next_file().name == "0002.jsonl"
    folder.put_away(folder.request_files()[0])
    assert folder.next_file().name == "0002.jsonl", "a name is never used again"


def test_the_limits_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fits(bodies: list[bytes]) -> list[bool]:
        with RequestFile(tmp_path / "0001.jsonl") as file:
            return [file.add(str(n), body) for n, body in enumerate(bodies)]

    monkeypatch.setattr(batch_files, "MAX_REQUESTS", 3)
    assert fits([b"{}"] * 5) == [True, True, True, False, False]
    monkeypatch.setattr(batch_files, "MAX_BYTES", 1000)
    assert fits([b"y" * 500] * 2) == [True, False]
    assert fits([b"y" * 2000]) == [True], "one always has room"
    assert list(tmp_path.iterdir()) == [], "what was not finished leaves nothing behind"


def test_a_file_takes_just_what_openai_takes(tmp_path: Path) -> None:
    with RequestFile(tmp_path / "0001.jsonl") as file:
        assert all(file.add(str(n), b"{}") for n in range(50_000))
        assert not file.add("50000", b"{}")
        file.finish()
    with RequestFile(tmp_path / "0002.jsonl") as file:
        empty = len(file_line(tmp_path / "0001.jsonl")) - len(b"{}")
        quarter = b"y" * (50_000_000 - empty)
        assert [file.add(name, quarter) for name in "abc"] == [True] * 3
        assert not file.add("d", quarter + b"y")
        assert file.add("d", quarter)
        assert not file.add("e", b"")
        file.finish()
    assert (tmp_path / "0002.jsonl").stat().st_size == 200_000_000
    (tmp_path / "0002.jsonl").unlink()


def test_two_writers_take_turns(tmp_path: Path) -> None:
    folder, same = BatchFolder(tmp_path / "b"), BatchFolder(tmp_path / "b")
    order: list[str] = []

    def other() -> None:
        with same.alone():
            order.append("other")

    with folder.alone():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(30)
    assert order == ["first", "other"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "b")
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(BatchError, match="b cannot be used: No space left"), folder.alone():
        raise full


def test_every_sort_of_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(
        good("ok", {"choices": []})
        + good("rejected", {"error": {"message": "bad"}}, 400)
        + line("expired", error={"code": "batch_expired", "message": "too late"})
        + line(
            "nested",
            response={"status_code": 500, "body": None},
            error={"error": {"message": "m", "code": 400}},
        )
        + "\n"
        + line("nothing"),
        encoding="utf-8",
    )
    answers, problems, _ = all_of(path)
    assert problems == []
    assert [(a.request_sha256, a.status) for a in answers] == [
        ("ok", 200), ("rejected", 400), ("expired", 0), ("nested", 400), ("nothing", 0),
    ]  # fmt: skip
    assert json.loads(answers[1].body) == {"error": {"message": "bad"}}
    assert json.loads(answers[2].body)["error"]["code"] == "batch_expired"
    assert json.loads(answers[3].body) == {"error": {"message": "m", "code": 400}}


def test_one_bad_line_does_not_void_the_others(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(good("a") + '{"custom_id": "b"\n' + '{"id": 1}\n[1]\n"x"\n' + good("c"))
    answers, problems, read = all_of(path)
    assert [a.request_sha256 for a in answers] == ["a", "c"]
    assert [p.partition("r.jsonl, ")[2] for p in problems] == [
        "line 2: no JSON",
        "line 3: no `custom_id`, `response` and `error`",
        "line 4: no `custom_id`, `response` and `error`",
        "line 5: no `custom_id`, `response` and `error`",
    ]
    assert read == path.stat().st_size


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(good("a") + good("b"))
    _, _, read = all_of(path)
    half = good("d")[:20]
    with path.open("a") as file:
        file.write(good("c") + half)
    answers, problems, again = all_of(path, read)
    assert [a.request_sha256 for a in answers] == ["c"]
    assert problems == [], "a line that is still being written is left for later"
    with path.open("a") as file:
        file.write(good("d")[20:].rstrip("\n"))
    answers, _, _ = all_of(path, again)
    assert [a.request_sha256 for a in answers] == ["d"], "a last line needs no end"
    path.write_text(good("a") + "broken\n")
    assert "line 2" in all_of(path, len(good("a")))[1][0], "lines are counted from the beginning"


def test_large_files_come_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("".join(good(str(n)) for n in range(25)))
    pieces = list(read_results(path, 0, lines=10))
    assert [len(p.answers) for p in pieces] == [10, 10, 5]
    rest, _, _ = all_of(path, pieces[0].read)
    assert [a.request_sha256 for a in rest] == [str(n) for n in range(10, 25)]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BatchError, match="cannot be used"):
        BatchFolder(tmp_path / "file")
