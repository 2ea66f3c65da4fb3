"""One batch, from its making to its files; it moves on whenever its client asks for it."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from neuroexplain.testing.backend import Backend
from neuroexplain.testing.batch_files import File, Files
from neuroexplain.testing.batch_input import Line, check
from neuroexplain.testing.replies import Body, Response, failure

Status = Literal[
    "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
_OVER = ("failed", "completed", "expired", "cancelled")
_LEFT = {
    "expired": ("batch_expired", "The completion window ended before this request was answered."),
    "cancelled": ("batch_cancelled", "The batch was cancelled before this request was answered."),
}
_AT_ONCE = 500


@dataclass(frozen=True)
class Batches:
    """How batches proceed; `serve(answer, batches=Batches(polls=5))`."""

    polls: int = 3
    """A batch is done when it is asked after for this many-th time; from one time to the next it answers its share."""
    expire_after: int | None = None
    """Lines that are answered before the batch expires."""
    rejected: Literal["output", "errors"] = "output"
    """The file that holds requests which were answered with a status of 400 or more; the error file if none succeeded."""
    lose_output: bool = False
    """Batches complete without an output file."""
    fail_upload: int = 0
    """Uploads that fail with a 500 before one succeeds."""
    drop_created: int = 0
    """Batches that are made without the client being told: the connection ends instead."""
    max_lines: int = 50_000
    max_bytes: int = 200 * 2**20
    seed: int = 0
    """Decides the order of lines in output and error files."""


class Job:
    """A batch.

    Attributes:
        record: the batch as the server shows it.
        owner: the account that made it.
    """

    def __init__(
        self, made: Body, source: File, settings: Batches, backend: Backend, files: Files
    ) -> None:
        now = int(time.time())
        self.owner = source.owner
        self.record: Body = {
            "id": f"batch_{uuid.uuid4().hex}",
            "object": "batch",
            "endpoint": made["endpoint"],
            "errors": None,
            "input_file_id": source.id,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + 86_400,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": made.get("metadata"),
        }
        self._source = source
        self._settings = settings
        self._backend = backend
        self._files = files
        self._lines: list[Line] = []
        self._outcomes: list[Body] = []
        self._polls = 0
        self._lock = asyncio.Lock()

    async def poll(self) -> Response:
        """`GET /v1/batches/{id}`: move on, and tell."""
        async with self._lock:
            if self.record["status"] not in _OVER:
                self._polls += 1
                if self.record["status"] == "cancelling":
                    self._end("cancelled")
                elif await self._valid():
                    await self._proceed()
            return Response(dict(self.record))

    def cancel(self) -> Response:
        """`POST /v1/batches/{id}/cancel`."""
        status = self.record["status"]
        if status in _OVER:
            return failure(f"Cannot cancel a batch with status '{status}'.", 409)
        if status != "cancelling":
            self._move("cancelling")
        return Response(dict(self.record))

    async def _valid(self) -> bool:
        """Whether the input file is in order; the batch fails if not."""
        if self.record["status"] != "validating":
            return True
        limits = {"max_lines": self._settings.max_lines, "max_bytes": self._settings.max_bytes}
        endpoint = self.record["endpoint"]
        # Large files take seconds: other requests are answered meanwhile.
        lines, problems = await asyncio.to_thread(check, self._source.content, endpoint, **limits)
        if problems:
            self.record["errors"] = {"object": "list", "data": problems}
            self._move("failed")
            return False
        self._lines = lines
        self.record["model"] = lines[0].body["model"]
        return True

    async def _proceed(self) -> None:
        goal = len(self._lines)
        if self._settings.expire_after is not None:
            goal = min(goal, self._settings.expire_after)
        left = self._settings.polls - self._polls
        share = goal if left < 2 else goal * self._polls // (self._settings.polls - 1)
        await self._answer(share)
        if self.record["status"] == "cancelling":
            return
        if left > 0:
            self._move("in_progress" if left > 1 else "finalizing")
        else:
            self._end("completed" if goal == len(self._lines) else "expired")

    async def _answer(self, share: int) -> None:
        """Answer lines until so many are answered."""
        while len(self._outcomes) < share:
            done = len(self._outcomes)
            chunk = self._lines[done : min(share, done + _AT_ONCE)]
            self._outcomes += await asyncio.gather(*map(self._outcome, chunk))
        good = sum(map(_succeeded, self._outcomes))
        self.record["request_counts"] = {
            "total": len(self._lines),
            "completed": good,
            "failed": len(self._outcomes) - good,
        }

    async def _outcome(self, line: Line) -> Body:
        made = self._backend.reply(self.record["endpoint"], line.body)
        response = made if isinstance(made, Response) else await made
        body = _object(response)
        if body is None and response.status < 400:
            return _outcome(line, error=("server_error", "The request could not be answered."))
        sent = {
            "status_code": response.status,
            "request_id": f"req_{uuid.uuid4().hex}",
            "body": body or {},
        }
        return _outcome(line, response=sent)

    def _end(self, status: Status) -> None:
        """Write the files."""
        left = self._lines[len(self._outcomes) :]
        lost = [_outcome(line, error=_LEFT[status]) for line in left]
        good = [o for o in self._outcomes if _succeeded(o)]
        bad = [o for o in self._outcomes if not _succeeded(o)]
        if good and self._settings.rejected == "output":
            good += [o for o in bad if o["response"] is not None]
            bad = [o for o in bad if o["response"] is None]
        if not self._settings.lose_output:
            self.record["output_file_id"] = self._write("output", good)
        self.record["error_file_id"] = self._write("error", bad + lost)
        self.record["request_counts"]["failed"] += len(lost)
        self.record["usage"] = _usage(good)
        self._move(status)

    def _write(self, kind: str, outcomes: Sequence[Body]) -> str | None:
        if not outcomes:
            return None
        shuffled = Random(self._settings.seed).sample(outcomes, len(outcomes))
        content = "".join(json.dumps(outcome) + "\n" for outcome in shuffled)
        name = f"{self.record['id']}_{kind}.jsonl"
        return self._files.add(self.owner, name, "batch_output", content.encode()).id

    def _move(self, status: Status) -> None:
        self.record["status"] = status
        self.record.setdefault(f"{status}_at", int(time.time()))


def _outcome(
    line: Line, *, response: Body | None = None, error: tuple[str, str] | None = None
) -> Body:
    """A line of an output or error file."""
    return {
        "id": f"batch_req_{uuid.uuid4().hex}",
        "custom_id": line.custom_id,
        "response": response,
        "error": None if error is None else {"code": error[0], "message": error[1]},
    }


def _succeeded(outcome: Body) -> bool:
    return outcome["response"] is not None and outcome["response"]["status_code"] < 400


def _object(response: Response) -> Body | None:
    """The JSON object that an answer holds, if it holds one."""
    if response.cut is not None:
        return None
    try:
        body: Any = json.loads(response.encoded())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _usage(outcomes: Iterable[Body]) -> Body:
    used = [o["response"]["body"].get("usage") or {} for o in outcomes]
    prompt = sum(u.get("prompt_tokens", 0) for u in used)
    written = sum(u.get("completion_tokens", 0) for u in used)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + written,
    }
