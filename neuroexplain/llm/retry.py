"""The only retry policy: which errors are tried again, how often, and how long to wait before."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.wait import wait_base

from neuroexplain.errors import LLMUnavailableError


def policy(
    *,
    tries: int,
    wait_initial: float,
    wait_max: float,
    total: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncRetrying:
    """Retries of one call; not shared between calls, because tenacity keeps state in it.

    Args:
        tries: requests at most, the first included.
        wait_initial: seconds; upper end of the first random wait, which doubles from try to try.
        wait_max: seconds; upper end of any random wait. A server's own `Retry-After` may be longer.
        total: seconds from the first request, after which no other is started.
        sleep: waits so many seconds, or ends the call.
    """
    return AsyncRetrying(
        retry=retry_if_exception_type(LLMUnavailableError),
        wait=_Wait(wait_initial, wait_max),
        stop=stop_after_attempt(tries) | stop_before_delay(total),
        sleep=sleep,
        reraise=True,
    )


def blocking(
    errors: tuple[type[BaseException], ...], *, tries: int, wait_initial: float
) -> Retrying:
    """Retries of one blocking call that may fail with some errors.

    Args:
        errors: those that may pass.
        tries: calls at most, the first included.
        wait_initial: seconds; upper end of the first random wait, which doubles from try to try.
    """
    return Retrying(
        retry=retry_if_exception_type(errors),
        wait=wait_random_exponential(multiplier=wait_initial, max=60.0),
        stop=stop_after_attempt(tries),
        reraise=True,
    )


class _Wait(wait_base):
    """As long as the server asked, plus jitter; else random, with an exponentially growing bound."""

    def __init__(self, initial: float, longest: float) -> None:
        self._initial = initial
        self._backoff = wait_random_exponential(multiplier=initial, max=longest)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.retry_after if isinstance(error, LLMUnavailableError) else None
        backoff = self._backoff(retry_state)
        if asked is None:
            return backoff
        # "At once" is believed the first time only, else a server that always says so is stormed.
        least = backoff if retry_state.attempt_number > 1 else 0.0
        # Many calls are told the same moment; jitter keeps them from returning as one.
        return max(asked, least) + random.uniform(0, self._initial)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait; None where it does not say, or says nonsense.

    Reads `retry-after-ms`, and `retry-after` as seconds or as an HTTP date. `headers` finds names in lower case.

    >>> retry_after({"retry-after-ms": "1500", "retry-after": "7"})
    1.5
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    until = _timestamp(text)
    if until is None:
        return None
    # Against the server's own clock where it shows it: the two clocks need not agree.
    now = _timestamp(headers.get("date"))
    return max(0.0, until - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _timestamp(text: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime.fromtimestamp(0, UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
