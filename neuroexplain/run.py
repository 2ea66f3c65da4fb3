"""One command's work on a catalogue: its row in `runs`, what it counts and spends, and when it gives up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from neuroexplain.calls import Call, Reply
from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.results.saving import Saver
from neuroexplain.config import as_dict, run_key
from neuroexplain.errors import (
    AwaitedError,
    HeldError,
    LimitError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    NeuroexplainError,
    PostponedError,
    StoppingError,
)
from neuroexplain.llm.budget import Budget
from neuroexplain.locks import held_by, whoami
from neuroexplain.versions import versions
from neuroexplain.workers import Halt, Loop, Turns, run_all

Job = TypeVar("Job")
T = TypeVar("T")

PERMANENT_IN_A_ROW = 3
"""Calls that can never succeed, one after another, before a run gives up: the cause is then not the neuron."""
UNAVAILABLE_IN_A_ROW = 10
"""Calls, each tried several times, that a server leaves unanswered before a run gives up; it can be resumed."""
SIGN_OF_LIFE = 3.0
"""Seconds between two notes in the catalogue of how far a run is."""


class Advance(Protocol):
    """Adds units of a stage that are done."""

    def __call__(self, done: int, note: str = "") -> None:
        """Add some; the note, if any, is shown beside the bar."""


class Progress(Protocol):
    """Shows how far a stage is."""

    def stage(self, name: str, total: int | None) -> AbstractContextManager[Advance]:
        """Begin a stage of so many units; None where nobody knows how many."""


def _unseen(done: int, note: str = "") -> None:
    """Progress that nobody sees."""


class Silent:
    """Progress that nobody sees."""

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Advance]:
        """Count for nobody."""
        yield _unseen


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; none of this changes a result."""

    concurrency: int = 64
    """Requests in flight at each server at most; fewer where it slows down. For plug-ins in process, neurons in flight."""
    batch_size: int = 32
    """Spans per forward pass of the subject."""
    device: str = "cpu"
    """Where the subject and language models in process run."""
    llm_dtype: str = "float32"
    """Number type of language models in process."""
    tries: int = 6
    """Requests at most for one call of a language model."""
    timeout: float = 300.0
    """Seconds for one request to a language model."""
    threads: int | None = None
    """CPU threads of the subject and language models in process; None leaves torch's own choice."""
    allow_pickle: bool = False
    """Read weights that are not safetensors. Pickled weights can run code when read."""
    trust_remote_code: bool = False
    """Run model code that comes with the weights."""
    max_memory: int | None = None
    """Bytes that the collector's state may take beside the subject; None sets no limit."""
    checkpoint: float = 60.0
    """Seconds between two checkpoints of a collection."""
    progress: Progress = field(default_factory=Silent)
    use_ledger: bool = True
    """Take a reply that the catalogue's ledger holds instead of asking again."""
    retry: frozenset[str] = frozenset()
    """Reasons of failed simulations that are tried again, beside those in which no answer came."""
    processes: int | None = None
    """Processes that compute scores beside this one; None starts one where it is worth it."""
    servers: tuple[str, ...] = ()
    """Servers of an `openai:` model, see `llm.addresses`; without any, the configuration's base URL."""
    probe: bool = True
    """Find out what a server can do before the first call of a run."""
    max_cost: float | None = None
    """Dollars that a run and those that it resumes may spend together; None sets no limit."""
    max_calls: int | None = None
    """Calls that they may make."""
    prices: tuple[Path, ...] = ()
    """TOML files of prices that add to the table that is shipped, or replace rows of it."""

    @property
    def in_flight(self) -> int:
        """Requests in flight at all servers together."""
        return self.concurrency * max(1, len(self.servers))


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    run_id: int
    finished: bool
    """False when it was interrupted."""
    counts: dict[str, int]
    """Done, reused and failed units, and failures by reason."""
    waiting: int = 0
    """Requests that wait for the answer of an offline batch."""

    @property
    def failed(self) -> int:
        """Neurons that ended in a failure."""
        return self.counts.get("failed", 0)


class Run:
    """One command's work on a catalogue, with its row in `runs`, its lock and its event loop.

    Use as a context manager: leaving it records how the run ended.

    Args:
        catalogue: takes the results.
        command: name for `runs`.
        config: everything that decides the result.
        execution: how.

    Raises:
        HeldError: another process works on a run of the same command and settings.
    """

    def __init__(
        self, catalogue: Catalogue, command: str, config: Any, execution: Execution | None = None
    ) -> None:
        self.catalogue = catalogue
        self.execution = execution or Execution()
        self.counts: Counter[str] = Counter()
        self.finished = True
        """False once a stage was interrupted; later stages are then left out."""
        self.waiting = 0
        """Requests that wait for the answer of an offline batch."""
        self.halt = Halt()
        self.turn = Turns()
        """Waited for before work that keeps the event loop busy."""
        self.key = run_key(command, config)
        claim = catalogue.claim(self.key)
        if claim is None:
            raise HeldError(held_by(catalogue.newest_run(self.key)))
        self._claim = claim
        try:
            host, pid = whoami()
            self.id = catalogue.begin_run(
                self.key, command, as_dict(config), versions(), host=host, pid=pid
            )
            self.budget = self._budget()
        except BaseException:
            self._claim.release()
            raise
        self._loop = Loop(self.halt.call)
        self.halt.tell(lambda: self.budget.close(StoppingError("the run is being stopped")))
        self._saver: Saver | None = None
        self._trouble: NeuroexplainError | None = None
        self._permanent = 0
        self._unavailable = 0

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        try:
            if self._saver is not None:
                self.drive(self._saver.close())
            self._loop.close()
            state, message = "done" if self.finished and not self.waiting else "interrupted", ""
            if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
                state = "interrupted"
            elif error is not None:
                state = "interrupted" if isinstance(error, LimitError) else "failed"
                message = str(error)
            counts = dict(self.counts)
            self.catalogue.finish_run(self.id, state, counts, message, waiting=self.waiting)
        finally:
            self._claim.release()  # also where the disk has no room for how it ended

    @property
    def result(self) -> RunResult:
        """How the run stands."""
        return RunResult(self.id, self.finished, dict(self.counts), self.waiting)

    @property
    def saver(self) -> Saver:
        """Saves results; for use while `drive` runs."""
        if self._saver is None:
            self._saver = self.catalogue.saver(self.id, self.key[:12], self._disk_is_full)
        return self._saver

    def work(
        self,
        stage: str,
        jobs: Iterable[Job],
        do: Callable[[Job], Awaitable[None]],
        *,
        finish: Callable[[], Awaitable[None]],
        total: int,
        workers: int,
    ) -> None:
        """Do a stage's jobs, a few at a time, showing progress; nothing if an earlier stage was interrupted.

        A job that is left for later (`PostponedError`) is not counted as done.

        Args:
            stage: its name.
            jobs: taken one by one.
            do: does one.
            finish: waits for what the jobs have left under way.
            total: how many jobs there are.
            workers: jobs under way.
        """
        if not self.finished:
            return
        with self.execution.progress.stage(stage, total) as advance:
            meter = _Meter(total)

            async def one(job: Job) -> None:
                try:
                    await do(job)
                except AwaitedError:
                    self.counts["awaiting a batch"] += 1
                except PostponedError:
                    return
                meter.done += 1
                advance(1, self._note())

            async def whole() -> bool:
                signs = asyncio.create_task(self._signs_of_life(meter))
                try:
                    ended = await run_all(jobs, one, concurrency=workers, halt=self.halt)
                    await finish()
                    return ended
                except LimitError:
                    await finish()  # what has been paid for is scored
                    raise
                finally:
                    signs.cancel()
                    last = self.saver.sign_of_life(self.counts, meter.progress())
                    await asyncio.gather(signs, last, return_exceptions=True)

            self.finished = self.drive(whole())
        if self._trouble is not None:
            raise self._trouble

    def drive(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, on the one event loop of this run."""
        return self._loop.run(work)

    def failed(self, reason: str) -> None:
        """Count a failure. A neuron that never fires is none: there is nothing to explain."""
        if reason == "dead_neuron":
            self.counts["dead"] += 1
            return
        self.counts["failed"] += 1
        self.counts[f"failed: {reason}"] += 1

    @property
    def _answered(self) -> bool:
        """Whether anything has come of this run yet, or of an earlier one: then the language model does answer."""
        return any(self.counts[name] for name in ("explained", "simulated", "texts", "reused"))

    def permanent(self, error: LLMPermanentError) -> None:
        """Note a call that can never succeed.

        Raises:
            LLMPermanentError: it is the first call of the run, or one of several in a row.
        """
        self._permanent += 1
        if self._permanent >= PERMANENT_IN_A_ROW or error.whole_server or not self._answered:
            raise error

    def unanswered(self, error: LLMReplyError | LLMUnavailableError) -> None:
        """Note a call that got no usable answer, retries included.

        Raises:
            LLMUnavailableError: the server has never answered in this run, or no longer does.
        """
        if isinstance(error, LLMReplyError):
            return
        self._unavailable += 1
        if self._unavailable >= UNAVAILABLE_IN_A_ROW or not self._answered:
            raise error

    def succeeded(self, count: str) -> None:
        """Count a unit that was done."""
        self._permanent = self._unavailable = 0
        self.counts[count] += 1

    def _budget(self) -> Budget:
        limit = self.execution.max_cost
        limits = {
            "max_cost_nano": None if limit is None else round(limit * 1e9),
            "max_calls": self.execution.max_calls,
        }
        if all(value is None for value in limits.values()):
            return Budget()
        calls, spent = self.catalogue.spent_on(self.key)
        return Budget(**limits, spent_nano=spent, calls=calls)

    def _disk_is_full(self, error: NeuroexplainError) -> None:
        """Called by the writing thread: what is under way is saved, and then the run ends with this error."""
        self._trouble = error
        self._loop.soon(self.halt.call)

    def _note(self) -> str:
        """What is shown beside the bar: failures, calls and what they cost."""
        parts = []
        if self.counts["failed"]:
            parts.append(f"{self.counts['failed']:,} failed")
        if self.budget.calls:
            parts.append(f"{self.budget.calls:,} calls")
        if self.budget.spent_nano:
            parts.append(f"${self.budget.spent_nano / 1e9:.2f}")
        return " ".join(parts)

    async def _signs_of_life(self, meter: _Meter) -> None:
        """Write now and then how far the run is, so that another process can show it."""
        while True:
            await asyncio.sleep(SIGN_OF_LIFE)
            await self.saver.sign_of_life(self.counts, meter.progress())


class Book:
    """The run's ledger: calls go through the one writer, and are read wherever they are."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def find(self, request_sha256: str) -> Reply | None:
        """The reply to a request, if there is a good one and it may be used."""
        if not self._run.execution.use_ledger:
            return None
        return self._run.catalogue.find_reply(request_sha256)

    async def save(self, call: Call) -> None:
        """Write a call; returns once it is safe."""
        await self._run.saver.call(call)


class _Meter:
    """How far a stage is, and how fast."""

    def __init__(self, total: int) -> None:
        self.done = 0
        self._total = total
        self._marks = [(time.monotonic(), 0)]

    def progress(self) -> dict[str, Any]:
        """Units done and in all, those a second over the last minute, and seconds left."""
        now = time.monotonic()
        since, before = self._marks[0]
        rate = (self.done - before) / max(now - since, 1e-9)
        self._marks = [mark for mark in [*self._marks, (now, self.done)] if mark[0] > now - 60]
        left = (self._total - self.done) / rate if rate else None
        return {"done": self.done, "total": self._total, "rate": rate, "seconds_left": left}
