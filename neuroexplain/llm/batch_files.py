"""Request and result files of offline batches, in OpenAI's batch format: a JSON object a line, answers in any order.

    DIR/requests/0001.jsonl    what is to be answered; at most 50,000 requests and 200 MB a file
    DIR/results/*.jsonl        answers and errors, under any name
    DIR/answered/0001.jsonl    request files that have come back

Any program that answers such files serves: a batch service, a cluster's offline inference, `vllm run-batch`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from neuroexplain.errors import BatchError

MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000
_ENDPOINT = "/v1/chat/completions"


class BatchFolder:
    """The folder of some batches.

    Raises:
        BatchError: it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.requests, self.results, self.answered = (
            self.path / name for name in ("requests", "results", "answered")
        )
        try:
            for folder in (self.requests, self.results, self.answered):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise self._useless(error) from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other process writes into the folder; waits for its turn.

        Raises:
            BatchError: the folder cannot be read or written.
        """
        try:
            with FileLock(self.path / ".lock"):
                yield
        except OSError as error:
            raise self._useless(error) from error

    def _useless(self, error: OSError) -> BatchError:
        return BatchError(f"folder {self.path} cannot be used: {error.strerror or error}")

    def request_files(self) -> list[Path]:
        """Request files that have not come back, in order."""
        return sorted(self.requests.glob("*.jsonl"))

    def result_files(self) -> list[Path]:
        """Files with answers or errors."""
        return sorted(self.results.glob("*.jsonl"))

    def next_file(self) -> Path:
        """A name for another request file, that none has had before."""
        numbers = [
            int(path.stem)
            for folder in (self.requests, self.answered)
            for path in folder.glob("*.jsonl")
            if path.stem.isdigit()
        ]
        return self.requests / f"{max(numbers, default=0) + 1:04d}.jsonl"

    def is_put_away(self, request_file: Path) -> bool:
        """Whether a request file of this folder has come back."""
        here = request_file.parent == self.requests
        return here and not request_file.exists() and (self.answered / request_file.name).exists()

    def put_away(self, request_file: Path) -> None:
        """Move a request file that has come back, with what is noted about it."""
        for path in (request_file, state_file(request_file)):
            if path.exists():
                path.replace(self.answered / path.name)


class RequestFile:
    """Writes one request file; it takes its name only when it is whole. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._bytes = 0
        self._draft = path.with_suffix(".tmp")
        self._file = self._draft.open("wb")

    def __enter__(self) -> RequestFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def add(self, request_sha256: str, body: bytes) -> bool:
        """Add a request with its body, which is JSON on one line; False where the file has no room for it."""
        head = {"custom_id": request_sha256, "method": "POST", "url": _ENDPOINT}
        data = f'{json.dumps(head)[:-1]}, "body": '.encode() + body + b"}\n"
        if self.count == MAX_REQUESTS or (self.count and self._bytes + len(data) > MAX_BYTES):
            return False
        self._file.write(data)
        self.count += 1
        self._bytes += len(data)
        return True

    def finish(self) -> None:
        """Give the file its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self.path)


def state_file(request_file: Path) -> Path:
    """Where it is noted what became of a request file at a batch service."""
    return request_file.with_suffix(".state.json")


@dataclass(frozen=True)
class Answer:
    """One line of a result file."""

    request_sha256: str
    status: int
    """HTTP status of the answer; 0 where there is none."""
    body: str
    """Of the answer, as JSON."""
    error: str = ""
    """Why there is no answer."""


@dataclass(frozen=True)
class Piece:
    """Some lines of a result file."""

    answers: tuple[Answer, ...]
    problems: tuple[str, ...]
    """Lines that cannot be read: file, line and why."""
    read: int
    """Bytes from the file's beginning to the end of the piece."""


def first_line(path: Path) -> str:
    """Hash of a file's first line, in which no two files of answers are alike; empty where it has no whole one yet."""
    with path.open("rb") as lines:
        line = lines.readline()
    return hashlib.sha256(line).hexdigest()[:16] if line.endswith(b"\n") else ""


def read_results(path: Path, start: int, *, lines: int = 500) -> Iterator[Piece]:
    """The lines of a result file, some at a time. A last line that is still being written is left for later.

    Args:
        path: of the file.
        start: bytes that have been read before.
        lines: at most, in one piece.
    """
    with path.open("rb") as file:
        number = sum(chunk.count(b"\n") for chunk in _blocks(file, start))
        answers: list[Answer] = []
        problems: list[str] = []
        read = start
        for line in file:
            if not line.endswith(b"\n") and not _whole(line):
                break
            number, read = number + 1, read + len(line)
            try:
                if line.strip():
                    answers.append(_answer(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                problems.append(f"{path}, line {number}: {_why(error)}")
            if len(answers) + len(problems) == lines:
                yield Piece(tuple(answers), tuple(problems), read)
                answers, problems = [], []
        if answers or problems or read > start:
            yield Piece(tuple(answers), tuple(problems), read)


def _blocks(file: Any, until: int) -> Iterator[bytes]:
    while until > 0 and (block := file.read(min(until, 2**20))):
        until -= len(block)
        yield block


def _whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _why(error: Exception) -> str:
    unread = isinstance(error, (ValueError, RecursionError))
    return "no JSON" if unread else "no `custom_id`, `response` and `error`"


def _answer(line: bytes) -> Answer:
    """Read a line. A rejected request has its error in the answer's body, and `error: null`."""
    found = json.loads(line)
    name = str(found["custom_id"])
    response, error = found.get("response") or {}, found.get("error")
    status, body = response.get("status_code"), response.get("body")
    if not isinstance(status, int):
        status = 0 if body is None else 200
    if body is None and error is not None:
        # One program nests it twice, and gives a status of its own.
        inner = error.get("error", error) if isinstance(error, dict) else {"message": str(error)}
        code = inner.get("code") if isinstance(inner, dict) else None
        status = code if isinstance(code, int) and code >= 400 else status if status >= 400 else 0
        return Answer(name, status, json.dumps({"error": inner}), json.dumps(inner))
    return Answer(name, status, json.dumps(body), "" if error is None else json.dumps(error))
