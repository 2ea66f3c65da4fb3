"""A fixed pool of workers over an iterator of jobs: never a task per job, so memory does not grow with their number."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from neuroexplain.errors import ConfigError

log = logging.getLogger(__name__)

Job = TypeVar("Job")
T = TypeVar("T")

SWITCH = 0.0005
"""Seconds after which a busy thread lets others have the interpreter, while a loop runs."""
CYCLES = (20_000, 20, 20)
"""New objects before Python looks for cycles among them, while a loop runs: a sweep makes hardly any, and looking for them
as often as usual takes a fifteenth of its time."""


class Loop:
    """An event loop that stays the same from call to call, also where one is running already, as in a notebook.

    There it lives in a thread of its own. The notebook's interrupt comes to the other thread, and is passed on: the first has
    what is in flight finished, the second ends it.

    Args:
        on_interrupt: called in the loop at the first one.
    """

    def __init__(self, on_interrupt: Callable[[], None] = lambda: None) -> None:
        self._on_interrupt = on_interrupt
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._thread: ThreadPoolExecutor | None = None
        else:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="neuroexplain")
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        with busy():
            if self._thread is None:
                return self._runner.run(work)
            return self._in_thread(self._thread, work)

    def _in_thread(self, thread: ThreadPoolExecutor, work: Coroutine[Any, Any, T]) -> T:
        cancelled = False
        tasks: list[asyncio.Task[T]] = []

        async def whole() -> T:
            tasks.append(asyncio.ensure_future(work))
            if cancelled:
                tasks[0].cancel()
            return await tasks[0]

        running = thread.submit(self._runner.run, whole())
        try:
            return running.result()
        except KeyboardInterrupt:
            try:
                self.soon(self._on_interrupt)
                wait([running])
            except KeyboardInterrupt:
                cancelled = True
                self.soon(lambda: [task.cancel() for task in tasks])
                wait([running])
            raise

    def soon(self, act: Callable[[], object]) -> None:
        """Have something called in the loop, from any thread."""
        self._runner.get_loop().call_soon_threadsafe(act)

    def close(self) -> None:
        """End the loop."""
        if self._thread is None:
            self._runner.close()
        else:
            self._thread.submit(self._runner.close).result()
            self._thread.shutdown()


@contextmanager
def busy() -> Iterator[None]:
    """Sets Python's interpreter for work that takes long, and sets it back."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    # The thread that writes needs the interpreter's lock for moments only, and often; it should not wait long for it.
    sys.setswitchinterval(min(interval, SWITCH))
    if 0 < threshold[0] < CYCLES[0]:  # 0: somebody wants no such looks at all
        gc.set_threshold(*CYCLES)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)


class Turns:
    """Lets work that keeps the event loop busy have it a few pieces at a time, with a look at the network in between.

    Dozens of neurons may become able to go on at one moment; without this, nobody else would have a turn until all have.

    Args:
        at_once: pieces of work between two looks.
    """

    def __init__(self, at_once: int = 8) -> None:
        self._at_once = at_once
        self._left = at_once
        self._line: deque[asyncio.Future[None]] = deque()

    async def __call__(self) -> None:
        """Wait for a turn; it lasts until the caller waits for something else."""
        if self._left == self._at_once:
            asyncio.get_running_loop().call_soon(self._look)
        if self._left > 0:
            self._left -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(future)
        await future

    def _look(self) -> None:
        """Called by the loop after it has looked at the network: the next few may go on."""
        self._left = self._at_once
        while self._line and self._left > 0:
            future = self._line.popleft()
            if not future.done():
                future.set_result(None)
                self._left -= 1
        if self._left < self._at_once:
            asyncio.get_running_loop().call_soon(self._look)


class Halt:
    """Says that no new job is to begin, and tells others who can begin something: requests to a server, for example."""

    def __init__(self) -> None:
        self.called = False
        self._others: list[Callable[[], None]] = []

    def call(self) -> None:
        """Begin nothing new; what is under way goes on to its end."""
        if not self.called:
            self.called = True
            for other in self._others:
                other()

    def tell(self, other: Callable[[], None]) -> None:
        """Have something called at that moment, or at once where it has passed."""
        self._others.append(other)
        if self.called:
            other()


async def run_all(
    jobs: Iterable[Job],
    work: Callable[[Job], Awaitable[None]],
    *,
    concurrency: int,
    halt: Halt | None = None,
) -> bool:
    """Do all jobs, a few at a time.

    The first Ctrl-C or SIGTERM takes no new jobs and waits for those in flight, whose replies are paid for;
    the second stops at once.

    Args:
        jobs: taken one by one, as workers become free.
        work: does one.
        concurrency: workers.
        halt: called at the first signal and at the first error; when somebody else calls it, no new job is taken either.

    Returns:
        True when all jobs were done; False when a signal came, even if nothing but the last jobs was left by then.

    Raises:
        ConfigError: the concurrency is below 1.
        Exception: what the first failing job raised, once the others in flight have ended.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {concurrency}")
    halt = halt or Halt()
    pending = iter(jobs)
    interrupted = False

    async def worker() -> None:
        failed = True
        try:
            while not halt.called:
                try:
                    job = next(pending)
                except StopIteration:
                    break
                await work(job)
                # A job that never waits would keep out signals and the other workers.
                await asyncio.sleep(0)
            failed = False
        finally:
            if failed:
                halt.call()

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        log.warning("stopping: what is in flight is finished first; the second time stops at once")
        halt.call()

    with _on_first_signal(interrupt):
        workers = [asyncio.create_task(worker()) for _ in range(concurrency)]
        try:
            await asyncio.gather(*workers)  # raises the first error as soon as it happens
        finally:
            await asyncio.gather(*workers, return_exceptions=True)
    return not interrupted


@contextmanager
def _on_first_signal(act: Callable[[], None]) -> Iterator[None]:
    """Act at the first SIGINT or SIGTERM; after it, and after the block, the handlers are those of before again."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            loop.remove_signal_handler(number)  # leaves Python's default behind
            # None was set outside Python and cannot be set again; a background job of a shell ignores Ctrl-C, and
            # its second signal must stop it all the same.
            if handler not in (None, signal.SIG_IGN):
                signal.signal(number, handler)

    def first() -> None:
        restore()
        act()

    try:
        for number in before:
            loop.add_signal_handler(number, first)
    except (NotImplementedError, ValueError, RuntimeError):
        # Windows, or not in the main thread: Python's own KeyboardInterrupt has to do.
        yield
        return
    try:
        yield
    finally:
        restore()
