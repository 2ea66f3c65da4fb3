"""A fixed pool of workers over an iterator of jobs: never a task per job, so memory does not grow with their number."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Job = TypeVar("Job")


async def run_all(
    jobs: Iterable[Job], work: Callable[[Job], Awaitable[None]], *, concurrency: int
) -> bool:
    """Do all jobs, a few at a time.

    The first Ctrl-C or SIGTERM takes no new jobs and waits for those in flight, whose replies are paid for;
    the second stops at once.

    Returns:
        Whether all jobs were done.

    Raises:
        Exception: what the first failing job raised, once the others in flight have ended.
    """
    pending = iter(jobs)
    stop = asyncio.Event()
    ended = False

    async def worker() -> None:
        nonlocal ended
        while not stop.is_set():
            try:
                job = next(pending)
            except StopIteration:
                ended = True
                return
            try:
                await work(job)
            except BaseException:
                stop.set()
                raise

    restore = _on_signals(stop)
    try:
        results = await asyncio.gather(
            *(worker() for _ in range(concurrency)), return_exceptions=True
        )
    finally:
        restore()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return ended


def _on_signals(stop: asyncio.Event) -> Callable[[], None]:
    """Make SIGINT and SIGTERM set the event; undone by the returned function, or by the first signal itself."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def restore() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    def first() -> None:
        restore()
        stop.set()

    try:
        for number in numbers:
            loop.add_signal_handler(number, first)
    except (NotImplementedError, ValueError, RuntimeError):
        # Windows, or not in the main thread: Python's own KeyboardInterrupt has to do.
        return lambda: None
    return restore
