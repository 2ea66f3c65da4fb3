"""Request files sent to a batch service and their results fetched, with the openai client.

What is known about a file's batch lies beside it. It is noted that a batch is about to be made before it is made, with a
name of its own that the service keeps: so a batch that was made and then lost sight of is found again, not paid for twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import openai
from openai.types import Batch

from neuroexplain.errors import BatchError
from neuroexplain.llm import retry
from neuroexplain.llm.addresses import Address
from neuroexplain.llm.batch_files import BatchFolder, state_file

T = TypeVar("T")

ENDED = ("completed", "failed", "expired", "cancelled")
_METADATA = "neuroexplain_job"
_TRANSIENT = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)


@dataclass(frozen=True)
class Job:
    """What is known about the batch of one request file."""

    file: str
    """Name of the request file."""
    job: str
    """Name that the service keeps with the batch."""
    account: str
    """Hash of the server and the key: a batch can be fetched by whom it was made for alone."""
    sha256: str
    """Of the request file."""
    input_file_id: str | None = None
    batch_id: str | None = None
    status: str = "not submitted"
    total: int = 0
    """Requests that the service has counted."""
    completed: int = 0
    failed: int = 0
    message: str = ""
    """What the service says is wrong."""


class BatchService:
    """The batch service of one server.

    Args:
        address: where it is; its key comes from the environment.
        tries: requests at most for each step.

    Raises:
        LLMPermanentError: there is no key.
    """

    def __init__(self, address: Address, *, tries: int = 6, wait_initial: float = 1.0) -> None:
        key = address.secret() or "none"
        self._url = address.url
        self._account = hashlib.sha256(f"{address.url} {key}".encode()).hexdigest()[:16]
        self._client = openai.OpenAI(api_key=key, base_url=address.url, max_retries=0)
        self._tries = tries
        self._wait = wait_initial

    def __enter__(self) -> BatchService:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def submit(self, folder: BatchFolder) -> list[Job]:
        """Send every request file that has not been sent.

        Raises:
            BatchError: the service refuses; what was sent before stays sent.
        """
        with folder.alone():
            return [self._submit(path) for path in folder.request_files()]

    def status(self, folder: BatchFolder) -> list[Job]:
        """How far the batches are.

        Raises:
            BatchError: the service refuses.
        """
        with folder.alone():
            return [self._look(path) for path in folder.request_files()]

    def fetch(self, folder: BatchFolder) -> list[Job]:
        """Fetch the results of the batches that have ended, and put their request files away.

        Raises:
            BatchError: the service refuses.
        """
        with folder.alone():
            jobs = [self._look(path) for path in folder.request_files()]
            for job in jobs:
                if job.status in ENDED:
                    self._fetch(folder, job)
                    folder.put_away(folder.requests / job.file)
        return jobs

    def _submit(self, path: Path) -> Job:
        job = self._job(path)
        if job.batch_id is not None:
            return job
        data = path.read_bytes()
        # With a file that was sent before, a batch may have been made too, and the answer lost.
        asked = job.input_file_id is not None
        job = _save(path, replace(job, sha256=hashlib.sha256(data).hexdigest()))
        if job.input_file_id is None:
            made = self._insist(
                lambda: self._client.files.create(file=(path.name, data), purpose="batch")
            )
            job = _save(path, replace(job, input_file_id=made.id))
        batch = self._insist(self._maker(job, asked))
        return _save(path, replace(job, batch_id=batch.id, status=batch.status))

    def _maker(self, job: Job, asked: bool) -> Callable[[], Batch]:
        """Makes a job's batch, however often it is called; where it was asked for before, it looks for it first."""

        def make() -> Batch:
            nonlocal asked
            found = self._find(job.job) if asked else None
            asked = True
            if found is not None:
                return found
            assert job.input_file_id is not None
            return self._client.batches.create(
                input_file_id=job.input_file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_METADATA: job.job},
            )

        return make

    def _look(self, path: Path) -> Job:
        job = self._job(path)
        if job.batch_id is None:
            return job
        batch_id = job.batch_id
        batch = self._insist(lambda: self._client.batches.retrieve(batch_id))
        counts = batch.request_counts
        errors = (batch.errors.data or []) if batch.errors else []
        return _save(
            path,
            replace(
                job,
                status=batch.status,
                total=counts.total if counts else 0,
                completed=counts.completed if counts else 0,
                failed=counts.failed if counts else 0,
                message="; ".join(
                    f"{e.message}{f' (line {e.line})' if e.line else ''}" for e in errors[:3]
                ),
            ),
        )

    def _fetch(self, folder: BatchFolder, job: Job) -> None:
        batch_id = job.batch_id
        assert batch_id is not None
        batch = self._insist(lambda: self._client.batches.retrieve(batch_id))
        # A batch without a single success has no output, and one without a failure has no errors.
        for kind, file_id in (("output", batch.output_file_id), ("errors", batch.error_file_id)):
            if file_id is None:
                continue
            content = self._insist(partial(self._content, file_id))
            path = folder.results / f"{Path(job.file).stem}-{kind}-{job.job[:8]}.jsonl"
            draft = path.with_suffix(".tmp")
            draft.write_bytes(content)
            draft.replace(path)

    def _content(self, file_id: str) -> bytes:
        return self._client.files.content(file_id).read()

    def _find(self, job: str) -> Batch | None:
        """The batch of a job's name, among those of the account."""
        for batch in self._client.batches.list(limit=100):
            if (batch.metadata or {}).get(_METADATA) == job:
                return batch
        return None

    def _job(self, path: Path) -> Job:
        """What is noted about a request file.

        Raises:
            BatchError: it was sent with another key or to another server, or the note is broken.
        """
        note = state_file(path)
        if not note.exists():
            return Job(path.name, str(uuid.uuid4()), self._account, "")
        try:
            job = Job(**json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise BatchError(
                f"{note} is broken; restore it, or delete it to send {path.name} again"
            ) from None
        if job.account != self._account and job.input_file_id is None:
            return replace(job, account=self._account)  # nothing had arrived there
        if job.account != self._account:
            raise BatchError(
                f"{path.name} was sent to another server or with another key than {self._url} is asked with now"
            )
        return job

    def _insist(self, call: Callable[[], T]) -> T:
        """Make a call, and again where that may help.

        Raises:
            BatchError: it did not help.
        """
        try:
            return retry.blocking(_TRANSIENT, tries=self._tries, wait_initial=self._wait)(call)
        except openai.APIStatusError as error:
            raise BatchError(_refused(self._url, error)) from None
        except openai.APIConnectionError:
            raise BatchError(f"no batch service answers at {self._url}") from None


def _refused(url: str, error: openai.APIStatusError) -> str:
    words = " ".join(str(error.message).split())[:300]
    if error.status_code == 401:
        return f"the key was refused by {url} (401)"
    if error.status_code == 404:
        return f"{url} has no batch service, or not this batch (404)"
    return f"the batch service at {url} refused ({error.status_code}): {words}"


def _save(path: Path, job: Job) -> Job:
    """Note a job; the note is whole at every moment."""
    note = state_file(path)
    draft = note.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(job), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(note)
    return job
