from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest

from neuroexplain.errors import LLMPermanentError, LLMUnavailableError
from neuroexplain.llm.retry import policy, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 +99999999999999999"}, None),
        ({"retry-after-ms": "nan", "retry-after": "2"}, 2.0),
        (
            {
                "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT",
                "date": "Wed, 21 Oct 2015 07:28:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_against_the_own_clock() -> None:
    seconds = retry_after({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert seconds is not None
    assert 98 < seconds <= 100


def tries(error: Exception, most: int = 4, total: float = 60.0, wait: float = 0.0001) -> int:
    """How often a call that always fails is made."""
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise error

    retrying = policy(tries=most, wait_initial=wait, wait_max=wait, total=total)
    with pytest.raises(type(error)) as caught:
        asyncio.run(retrying(call))
    assert caught.value is error
    return calls


def test_only_unavailable_is_tried_again() -> None:
    assert tries(LLMUnavailableError("later")) == 4
    assert tries(LLMPermanentError("never")) == 1
    assert tries(KeyError("a bug of ours")) == 1


def test_total_time_ends_it() -> None:
    assert tries(LLMUnavailableError("later", retry_after=0.05), most=100, total=0.2) < 6


def test_at_once_is_believed_only_once() -> None:
    start = time.monotonic()
    assert tries(LLMUnavailableError("now", retry_after=0.0), wait=0.2) == 4
    assert time.monotonic() - start < 2.0
