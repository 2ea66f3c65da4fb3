"""Calls of a model in process that wait for their turn, and the one thread that answers them, many at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from neuroexplain.llm.local_batches import Batches, Call, Chat, Marked

T = TypeVar("T")

STEPS = 8
"""Tokens of the replies under way between two groups of marked texts: about as long as such a group takes."""
GRACE = (0.05, 0.001, 0.05)
"""Share of a group's time to wait for its callers to come back, and the shortest and longest wait in seconds."""


class Calls:
    """Hands waiting calls to one worker thread, so that forward passes never overlap."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._news = threading.Condition()
        self._chats: deque[Chat] = deque()
        self._marked: deque[Marked] = deque()
        self._refusal: Callable[[], Exception] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="local-llm")

    async def answer(self, call: Call[T]) -> T:
        """Wait for a call's turn and its answer. Who is cancelled meanwhile gives up the turn and disturbs nobody."""
        with self._news:
            if self._refusal is not None:
                raise self._refusal()
            self._queue(call).append(call)
            self._news.notify()
        try:
            # Calls that are made in the same turn of the event loop are taken together.
            await asyncio.sleep(0)
            with self._news:
                if self._refusal is None:
                    self._worker.submit(self._work)
            return await asyncio.wrap_future(call.answer)
        finally:
            call.left = True

    def refuse(self, error: Callable[[], Exception]) -> None:
        """Begin nothing new: calls that wait, or come from now on, raise an error; those under way are answered."""
        with self._news:
            self._refusal = self._refusal or error
            waiting: list[Call[Any]] = [*self._chats, *self._marked]
            self._chats.clear()
            self._marked.clear()
            self._news.notify()
        for call in waiting:
            if _begins(call):
                call.answer.set_exception(error())

    async def close(self) -> None:
        """Wait for the calls under way, and end the thread; to be refused first."""
        await asyncio.to_thread(self._worker.shutdown)

    def _queue(self, call: Call[Any]) -> deque[Any]:
        return self._chats if isinstance(call, Chat) else self._marked

    def _work(self) -> None:
        """Answer until nobody waits. Each call brings one run of this, so that none is left behind."""
        import torch

        with torch.inference_mode():
            while self._chats or self._marked or self._batches.chats:
                self._judge()
                self._write()

    def _judge(self) -> None:
        """Answer one group of marked texts."""
        start = time.perf_counter()
        group = self._take_marked()
        if group:
            with ExitStack() as stack:
                stack.push(partial(self._failed, group))
                self._batches.judge(group)
            self._gather(len(group), time.perf_counter() - start)

    def _write(self) -> None:
        """Some tokens of the replies under way, which others join."""
        for _ in range(STEPS):
            joining = self._take_chats()
            with ExitStack() as stack:
                stack.push(partial(self._failed, [*self._batches.chats, *joining]))
                self._batches.begin(joining)
                self._batches.step()
            if not self._batches.chats:
                return

    def _gather(self, answered: int, seconds: float) -> None:
        """Wait a moment for those just answered: most ask again at once, and one full group costs less than two."""
        share, shortest, longest = GRACE
        with self._news:
            wanted = min(self._batches.size, len(self._marked) + answered)
            self._news.wait_for(
                lambda: (
                    len(self._marked) >= wanted
                    or bool(self._chats or self._batches.chats)
                    or self._refusal is not None
                ),
                timeout=min(max(share * seconds, shortest), longest),
            )

    def _take_chats(self) -> list[Chat]:
        taken: list[Chat] = []
        with self._news:
            while self._chats and self._batches.fits([*taken, self._chats[0]]):
                chat = self._chats.popleft()
                if _begins(chat):
                    taken.append(chat)
        return taken

    def _take_marked(self) -> list[Marked]:
        """The call that has waited longest, and others with the same prefix."""
        taken: list[Marked] = []
        with self._news:
            rest: deque[Marked] = deque()
            for call in self._marked:
                same = not taken or call.prefix == taken[0].prefix
                if not same or len(taken) == self._batches.size:
                    rest.append(call)
                elif _begins(call):
                    taken.append(call)
            self._marked = rest
        return taken

    def _failed(
        self,
        calls: Sequence[Chat] | Sequence[Marked],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """After an error of several calls together they start again, fewer at a time; that of a single one is its answer.

        It may have been too little memory for all of them, or one of them that the model cannot take.
        """
        if error is None:
            return False
        undone: list[Call[Any]] = [call for call in calls if not call.answer.done()]
        if len(undone) == 1:
            undone[0].answer.set_exception(error)
        elif undone:
            self._batches.size = max(1, len(undone) // 2)
            with self._news:
                for call in reversed(undone):
                    self._queue(call).appendleft(call)
        if isinstance(calls[0], Chat):
            self._batches.drop()
        return True


def _begins(call: Call[Any]) -> bool:
    """Whether somebody still waits for a call that is about to be answered, which can no longer be called off."""
    return not call.left and (call.answer.running() or call.answer.set_running_or_notify_cancel())
