"""Work that outlasts a request: one worker, a bounded queue, and states that the page polls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Queue
from threading import Lock, Thread
from typing import Any, Literal

from neuroexplain.errors import NeuroexplainError

State = Literal["queued", "running", "done", "failed"]
Report = Callable[[str], None]
"""Says in a few words what a job is doing now."""
Work = Callable[[Report], Any]
"""What a job does: gets a way to report, returns a result that JSON can hold."""

WAITING = 32
"""Jobs that may wait; more are refused."""
REMEMBERED = 256
"""Finished jobs that can still be asked for; older ones are forgotten."""


class JobError(NeuroexplainError):
    """A job cannot be taken, or is not known."""


@dataclass(frozen=True)
class Job:
    """One piece of work as it stands."""

    uuid: str
    """Given by whoever asked: asking again with it is the same job."""
    kind: str
    state: State = "queued"
    note: str = ""
    """What it does now, for the reader."""
    result: Any = None
    """What came out, when it is done."""
    reason: str | None = None
    """Why it failed, in one line."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed")


class Jobs:
    """Runs jobs one after the other in a thread of its own.

    Nothing here survives the server: after a restart an old job is unknown, and the error says so.
    """

    def __init__(self, *, waiting: int = WAITING, remembered: int = REMEMBERED) -> None:
        self._lock = Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._queue: Queue[tuple[str, Work] | None] = Queue()
        self._waiting = waiting
        self._remembered = remembered
        self._closed = False
        self._thread: Thread | None = None

    def submit(self, uuid: str, kind: str, work: Work) -> Job:
        """Queue work, or find the job that already has this uuid.

        Raises JobError if it is the uuid of another kind of job, if too many wait, or after close.
        """
        with self._lock:
            known = self._jobs.get(uuid)
            if known is not None:
                if known.kind != kind:
                    raise JobError(f"job {uuid} is a {known.kind}, not a {kind}: give a new uuid")
                return known
            self._check_room()
            job = Job(uuid, kind)
            self._jobs[uuid] = job
            self._queue.put((uuid, work))
            if self._thread is None:
                # A daemon: a model that hangs must not keep the server from ending.
                self._thread = Thread(target=self._work, name="review-jobs", daemon=True)
                self._thread.start()
        return job

    def find(self, uuid: str) -> Job:
        """The job as it stands. Raises JobError if it is not known."""
        with self._lock:
            job = self._jobs.get(uuid)
        if job is None:
            raise JobError(
                f"job {uuid} is not known: jobs are forgotten when the server restarts; ask again"
            )
        return job

    def under_way(self) -> list[Job]:
        """Jobs that wait or run, the oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if not job.over]

    def close(self, *, seconds: float = 5.0) -> None:
        """Take no more, fail what waits, and give the running job so many seconds to end."""
        with self._lock:
            self._closed = True
            for uuid, job in self._jobs.items():
                if job.state == "queued":
                    self._jobs[uuid] = replace(
                        job, state="failed", reason="the server was stopped before it began"
                    )
            thread = self._thread
        self._queue.put(None)
        if thread is not None:
            thread.join(seconds)

    def _check_room(self) -> None:
        if self._closed:
            raise JobError("the server is stopping: nothing more is begun")
        waiting = sum(job.state == "queued" for job in self._jobs.values())
        if waiting >= self._waiting:
            raise JobError(f"{waiting} jobs are waiting already: try again when some have ended")

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            uuid, work = item
            if self._begin(uuid):
                self._run(uuid, work)

    def _begin(self, uuid: str) -> bool:
        """Mark it running, unless close() has failed it."""
        with self._lock:
            job = self._jobs.get(uuid)
            if job is None or job.state != "queued":
                return False
            self._jobs[uuid] = replace(job, state="running")
        return True

    def _run(self, uuid: str, work: Work) -> None:
        ended = False
        try:
            result = work(lambda note: self._change(uuid, note=note))
            self._change(uuid, state="done", note="", result=result)
            ended = True
        except NeuroexplainError as error:
            self._change(uuid, state="failed", note="", reason=str(error))
            ended = True
        finally:
            # Anything else is a defect: the thread's traceback goes to the log, the page hears of it,
            # and the next job gets a new thread.
            if not ended:
                self._change(
                    uuid, state="failed", note="", reason="an unexpected error; see the log"
                )
                self._replace_thread()

    def _replace_thread(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._thread = Thread(target=self._work, name="review-jobs", daemon=True)
            self._thread.start()

    def _change(self, uuid: str, **changes: Any) -> None:
        with self._lock:
            self._jobs[uuid] = replace(self._jobs[uuid], **changes)
            over = [each for each, job in self._jobs.items() if job.over]
            for old in over[: max(0, len(over) - self._remembered)]:
                del self._jobs[old]
