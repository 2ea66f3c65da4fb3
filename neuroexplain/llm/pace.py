"""When a server may be sent the next request: how many at a time, how many a minute, and not while it asks to wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from neuroexplain.errors import StoppingError

Clock = Callable[[], float]


class Adaptive:
    """How many requests may be in flight: additive increase, multiplicative decrease.

    It begins low and doubles from round to round; a round is as many answers as there may be requests in flight. Overload
    takes a third off, once for all requests that were sent before the cut, and from then on it grows by one a round. So it
    does where growth brings nothing: `limit / latency` is the number of answers a second (Little 1961), and where that does
    not rise with the limit, the requests wait in the server instead of here.

    Args:
        most: never more than this.
        start: to begin with.
    """

    LEAST = 1.0
    DECREASE = 0.7
    STEP = 1.25
    """Growth after which is looked whether it was worth it."""
    WORTH = 0.3
    """Share of the growth that has to come out as more answers a second."""
    SLOWER = 2.0
    """Latency, in terms of what it was, that takes a part off by itself."""
    HOLD = 20
    """Rounds for which it stays where it was found to be enough."""

    def __init__(self, most: int, start: int = 8) -> None:
        self.most = most
        self.limit = float(min(start, most))
        self.cuts = 0
        """Cuts so far. A request remembers how many there were when it was sent."""
        self._doubling = True
        self._mark: tuple[float, float] | None = None  # a limit, and the mean latency at it
        self._hold = 0
        self._settling = False  # answers still come from before the last change
        self._seen = 0
        self._waited = 0.0

    def answered(self, latency: float, in_flight: int) -> None:
        """Take note of an answer that came after `latency` seconds, while `in_flight` requests were out."""
        if in_flight < 0.8 * int(self.limit):
            self._seen, self._waited = 0, 0.0  # says nothing about what more would do
            return
        self._seen += 1
        self._waited += latency
        if self._seen < max(16, self.limit):
            return
        mean = self._waited / self._seen
        self._seen, self._waited = 0, 0.0
        if self._settling:
            self._settling = False
        else:
            self._end_round(mean)

    def overloaded(self, cuts: int) -> None:
        """Take note that the server had too much; `cuts` is what it was when the request was sent."""
        if cuts == self.cuts:
            self._cut(self.limit * self.DECREASE, hold=0)

    def _end_round(self, latency: float) -> None:
        if self._hold:
            self._hold -= 1
            return
        if self._mark is None:
            self._mark = (self.limit, latency)
        at, before = self._mark
        growth = self.limit / at
        if growth >= self.STEP:
            gain = growth * before / latency
            if gain < 1 + self.WORTH * (growth - 1):
                self._cut(at, hold=self.HOLD)
                return
            self._mark = (self.limit, latency)
        elif latency > self.SLOWER * growth * before:
            self._cut(self.limit * self.DECREASE, hold=0)
            return
        self._grow()

    def _grow(self) -> None:
        if self.limit < self.most:
            wanted = 2 * self.limit if self._doubling else self.limit + 1
            self.limit = min(float(self.most), wanted)
            self._settling = True

    def _cut(self, limit: float, *, hold: int) -> None:
        self.limit = max(self.LEAST, limit)
        self.cuts += 1
        self._doubling = False
        self._mark = None
        self._hold = hold
        self._settling = True
        self._seen, self._waited = 0, 0.0


class Bucket:
    """So many units a minute, evenly, with a little saved up for bursts.

    Args:
        per_minute: units.
        clock: seconds.
    """

    BURST = 3.0
    """Seconds' worth of units that can be saved up."""

    def __init__(self, per_minute: float, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._rate = per_minute / 60
        self._full = max(1.0, self._rate * self.BURST)
        self._level = self._full
        self._at = clock()

    def wait(self, units: float) -> float:
        """Seconds until so many units may be taken; more than the bucket holds may be taken when it is full."""
        self._fill()
        return max(0.0, (min(units, self._full) - self._level) / self._rate)

    def take(self, units: float) -> None:
        """Take units, or give back what was taken too much with a negative number."""
        self._fill()
        self._level = min(self._full, self._level - units)

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._full, self._level + (now - self._at) * self._rate)
        self._at = now


@dataclass(frozen=True)
class Turn:
    """Leave to send one request."""

    tokens: int
    """That were reckoned with."""
    cuts: int
    began: float
    """Seconds on the pace's clock."""


class Pace:
    """Lets requests to one server through, first come first served; belongs to one event loop.

    Args:
        most: requests in flight at most.
        rpm: requests a minute; None sets no limit.
        tpm: tokens a minute, of prompts and replies; None sets no limit.
        clock: seconds, not affected by changes of the time of day.
    """

    def __init__(
        self,
        most: int,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.adaptive = Adaptive(most)
        self.in_flight = 0
        self._clock = clock
        self._requests = Bucket(rpm, clock) if rpm else None
        self._tokens = Bucket(tpm, clock) if tpm else None
        self._line: deque[tuple[int, asyncio.Future[Turn]]] = deque()
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def load(self) -> int:
        """Requests in flight or in line."""
        return self.in_flight + len(self._line)

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens a minute are limited, so that they have to be known before."""
        return self._tokens is not None

    def limit(self, *, rpm: float | None = None, tpm: float | None = None) -> None:
        """Set limits that were not given: servers tell theirs."""
        if rpm and self._requests is None:
            self._requests = Bucket(rpm, self._clock)
        if tpm and self._tokens is None:
            self._tokens = Bucket(tpm, self._clock)

    async def enter(self, tokens: int = 0) -> Turn:
        """Wait for leave to send a request of about so many tokens.

        Raises:
            StoppingError: nothing new may begin.
        """
        if self._stopped:
            raise StoppingError("the run is being stopped")
        if not self._line and self._free(tokens):
            return self._grant(tokens)
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._line.append((tokens, future))
        self._admit()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.leave(future.result())  # leave was given, and nobody is there to use it
            raise

    def leave(
        self,
        turn: Turn,
        *,
        tokens: int | None = None,
        answered: bool = False,
        overloaded: bool = False,
        wait: float | None = None,
    ) -> None:
        """A request has ended.

        Args:
            turn: what `enter` gave.
            tokens: that it took, where the server said.
            answered: whether the server did its work.
            overloaded: whether it had too much to do.
            wait: seconds that it asks everybody to wait.
        """
        now = self._clock()
        if answered:
            self.adaptive.answered(now - turn.began, self.in_flight)
        if overloaded:
            self.adaptive.overloaded(turn.cuts)
        if wait:
            self._paused_until = max(self._paused_until, now + wait)
        if self._tokens is not None and tokens is not None:
            self._tokens.take(tokens - turn.tokens)
        self.in_flight -= 1
        self._admit()

    def stop(self) -> None:
        """Let nobody through any more."""
        self._stopped = True
        while self._line:
            _, future = self._line.popleft()
            if not future.done():
                future.set_exception(StoppingError("the run is being stopped"))
        if self._timer is not None:
            self._timer.cancel()

    def _free(self, tokens: int) -> bool:
        return self.in_flight < int(self.adaptive.limit) and self._wait(tokens) <= 0

    def _wait(self, tokens: int) -> float:
        """Seconds until pauses and limits a minute allow a request."""
        waits = [self._paused_until - self._clock() if self._paused_until else 0.0]
        if self._requests is not None:
            waits.append(self._requests.wait(1))
        if self._tokens is not None:
            waits.append(self._tokens.wait(tokens))
        return max(waits)

    def _grant(self, tokens: int) -> Turn:
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)
        return Turn(tokens, self.adaptive.cuts, self._clock())

    def _admit(self) -> None:
        """Let through whoever may; wake again when time alone is what is missing."""
        while self._line and self.in_flight < int(self.adaptive.limit):
            tokens, future = self._line[0]
            if future.done():  # cancelled while in line
                self._line.popleft()
                continue
            wait = self._wait(tokens)
            if wait > 0:
                self._wake_in(wait)
                return
            self._line.popleft()
            future.set_result(self._grant(tokens))

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._admit)
