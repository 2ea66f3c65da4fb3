"""One command's work on a catalogue: its row in `runs`, what it counts, and when it gives up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from neuroexplain.catalogue import Catalogue
from neuroexplain.config import as_dict, run_key
from neuroexplain.errors import LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.versions import versions
from neuroexplain.workers import Loop, run_all

Job = TypeVar("Job")
T = TypeVar("T")

PERMANENT_IN_A_ROW = 3
"""Calls that can never succeed, one after another, before a run gives up: the cause is then not the neuron."""
UNAVAILABLE_IN_A_ROW = 10
"""Calls, each tried several times, that a server leaves unanswered before a run gives up; it can be resumed."""


class Advance(Protocol):
    """Adds units of a stage that are done."""

    def __call__(self, done: int, note: str = "") -> None:
        """Add some; the note, if any, is shown beside the bar."""


class Progress(Protocol):
    """Shows how far a stage is."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Begin a stage of so many units."""


def _unseen(done: int, note: str = "") -> None:
    """Progress that nobody sees."""


class Silent:
    """Progress that nobody sees."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Advance]:
        """Count for nobody."""
        yield _unseen


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; none of this changes a result."""

    concurrency: int = 8
    """Neurons in flight."""
    batch_size: int = 32
    """Spans per forward pass of the subject."""
    device: str = "cpu"
    """Where the subject and language models in process run."""
    llm_dtype: str = "float32"
    """Number type of language models in process."""
    tries: int = 6
    """Requests at most for one call of a language model."""
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


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    run_id: int
    finished: bool
    """False when it was interrupted."""
    counts: dict[str, int]
    """Done, reused and failed units, and failures by reason."""

    @property
    def failed(self) -> int:
        """Neurons that ended in a failure."""
        return self.counts.get("failed", 0)


class Run:
    """One command's work on a catalogue, with its row in `runs` and its event loop.

    Use as a context manager: leaving it records how the run ended.
    """

    def __init__(
        self, catalogue: Catalogue, command: str, config: Any, execution: Execution | None = None
    ) -> None:
        self.catalogue = catalogue
        self.execution = execution or Execution()
        self.counts: Counter[str] = Counter()
        self.finished = True
        """False once a stage was interrupted; later stages are then left out."""
        self._loop = Loop()
        self.id = catalogue.begin_run(
            run_key(command, config), command, as_dict(config), versions()
        )
        self._permanent = 0
        self._unavailable = 0

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        self._loop.close()
        state, message = "done" if self.finished else "interrupted", ""
        if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
            state = "interrupted"
        elif error is not None:
            state, message = "failed", str(error)
        self.catalogue.finish_run(self.id, state, dict(self.counts), message)

    @property
    def result(self) -> RunResult:
        """How the run stands."""
        return RunResult(self.id, self.finished, dict(self.counts))

    def work(self, stage: str, jobs: Sequence[Job], do: Callable[[Job], Awaitable[None]]) -> None:
        """Do a stage's jobs, a few at a time, showing progress; nothing if an earlier stage was interrupted."""
        if not self.finished:
            return
        with self.execution.progress.stage(stage, len(jobs)) as advance:

            async def one(job: Job) -> None:
                await do(job)
                advance(1)

            self.finished = self.drive(run_all(jobs, one, concurrency=self.execution.concurrency))

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
        return any(self.counts[name] for name in ("explained", "simulated", "reused"))

    def permanent(self, error: LLMPermanentError) -> None:
        """Note a call that can never succeed.

        Raises:
            LLMPermanentError: it is the first call of the run, or one of several in a row.
        """
        self._permanent += 1
        if self._permanent >= PERMANENT_IN_A_ROW or not self._answered:
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
