"""What a run may spend on language models: reserved before a call is made, settled after it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from neuroexplain.errors import LimitError, NeuroexplainError


@dataclass(frozen=True)
class Reservation:
    """What one call may cost at worst."""

    nano: int
    """Billionths of a dollar."""


class Budget:
    """Leave to make calls, while there is money and nothing has stopped the run; belongs to one event loop.

    Every call first reserves what it may cost at worst, so that no number of calls under way together exceeds the limit.
    Where only that worst case is too much, a call waits for others to come out cheaper.

    Args:
        max_cost_nano: billionths of a dollar; None sets no limit.
        max_calls: calls; None sets no limit.
        spent_nano: what earlier runs of the same settings have spent.
        calls: that these have made.
    """

    def __init__(
        self,
        *,
        max_cost_nano: int | None = None,
        max_calls: int | None = None,
        spent_nano: int = 0,
        calls: int = 0,
    ) -> None:
        self.max_cost_nano = max_cost_nano
        self.max_calls = max_calls
        self.spent_nano = spent_nano
        self.calls = calls
        self._reserved = 0
        self._under_way = 0
        self._closed: NeuroexplainError | None = None
        self._line: deque[asyncio.Future[None]] = deque()

    async def reserve(self, worst_nano: int) -> Reservation:
        """Leave to make a call that may cost so much.

        Raises:
            LimitError: it would cost more than is left.
            NeuroexplainError: what the budget was closed with.
        """
        while True:
            self._check()
            if self._fits(worst_nano):
                return self.owe(worst_nano)
            if not self._under_way:  # those are still to be finished: this error ends the run
                raise self._exceeded()
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._line.append(future)
            await future

    def claim(self, worst_nano: int) -> Reservation:
        """Leave to ask for a call that an offline batch answers; waits for no other, since these end after this run.

        Raises:
            LimitError: it would cost more than is left.
            NeuroexplainError: what the budget was closed with.
        """
        self._check()
        if not self._fits(worst_nano):
            raise self._exceeded()
        return self.owe(worst_nano)

    def owe(self, worst_nano: int) -> Reservation:
        """Reserve for a call that has been asked for, whatever the limit."""
        self._reserved += worst_nano
        self._under_way += 1
        self.calls += 1
        return Reservation(worst_nano)

    def settle(
        self, reservation: Reservation, cost_nano: int | None, *, bought: bool = True
    ) -> None:
        """Say what a call has cost.

        Args:
            reservation: what `reserve` gave.
            cost_nano: None where nobody knows: then the worst is assumed.
            bought: False where the call was not made after all.
        """
        self._reserved -= reservation.nano
        self._under_way -= 1
        if bought:
            self.spent_nano += reservation.nano if cost_nano is None else cost_nano
        else:
            self.calls -= 1
        while self._line:
            future = self._line.popleft()
            if not future.done():
                future.set_result(None)

    def close(self, error: NeuroexplainError) -> None:
        """Let no call be made any more; the first reason stays."""
        if self._closed is None:
            self._closed = error
        while self._line:
            future = self._line.popleft()
            if not future.done():
                future.set_result(None)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.max_cost_nano is not None or self.max_calls is not None

    def _check(self) -> None:
        if self._closed is not None:
            raise self._closed

    @property
    def _at_the_last_call(self) -> bool:
        return self.max_calls is not None and self.calls >= self.max_calls

    def _fits(self, nano: int) -> bool:
        if self._at_the_last_call:
            return False
        if self.max_cost_nano is None:
            return True
        return self.spent_nano + self._reserved + nano <= self.max_cost_nano

    def _exceeded(self) -> LimitError:
        if self._at_the_last_call:
            return LimitError(
                f"stopped at --max-calls {self.max_calls}: so many calls were made or asked for; the same command with a "
                "higher limit goes on"
            )
        assert self.max_cost_nano is not None
        owed = f", up to ${self._reserved / 1e9:.4f} are owed for batches" if self._reserved else ""
        return LimitError(
            f"stopped at --max-cost {self.max_cost_nano / 1e9:g}: ${self.spent_nano / 1e9:.4f} were spent{owed}, and the "
            "next call may cost more than is left; the same command with a higher limit goes on"
        )
