"""What a server that judges clients says of ours: llmock counts every try and its time, and knows what was to be done.

Its verdict names `retry_storm` (more than ten tries), `retry_after_ignored`, `retried_non_retryable`, `no_backoff` (tries at
once, or at even intervals) and `gave_up` (none at all where one might have helped).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llmock.chaos import ChaosSettings
from llmock.pytest_plugin import LLMock
from llmock.testing import LLMockServer

from neuroexplain.errors import (
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
)
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.templates import Message
from tests.program import neuroexplain
from tests.sweeps import Sweeps

Fault = Callable[[LLMock], LLMock]


def ask(url: str, chats: int = 1, *, tries: int = 6) -> list[Reply | LLMError]:
    """Some chats at once, all of them different, with a client whose waits begin at a tenth of a second."""

    async def run() -> list[Any]:
        llm = OpenAIChat("m", base_url=url, tries=tries, wait_initial=0.1)
        requests = [Request((Message("user", f"Hi {n}"),), "explain", 9) for n in range(chats)]
        try:
            return await asyncio.gather(*map(llm.chat, requests), return_exceptions=True)
        finally:
            await llm.close()

    return asyncio.run(run())


FAULTS: dict[str, tuple[Fault, type[object], int]] = {
    "two rate limits": (lambda m: m.rate_limit(times=2, retry_after=0.4), Reply, 3),
    "a bad gateway, and no word of when": (lambda m: m.fail(502, times=5), Reply, 6),
    "down for good": (lambda m: m.fail(503, times=None, retry_after=0.1), LLMUnavailableError, 6),
    "a bad request": (lambda m: m.fail(400), LLMPermanentError, 1),
    "a refused key": (lambda m: m.fail(401), LLMPermanentError, 1),
    "a refused field": (lambda m: m.fail(422), LLMPermanentError, 1),
    "too long a prompt": (lambda m: m.context_overflow(), LLMReplyError, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_finds_nothing_to_blame(fault: str, llmock: LLMock) -> None:
    script, outcome, tries = FAULTS[fault]
    random.seed(0)  # random waits may look even; these do not
    script(llmock)
    (found,) = ask(llmock.base_url())
    assert type(found) is outcome
    assert len(llmock.requests) == tries
    llmock.assert_resilient(strict=True)


def test_hundreds_of_chats_through_a_storm_of_faults(
    llmock: LLMock, llmock_server: LLMockServer
) -> None:
    random.seed(0)
    llmock.rate_limit(times=20, retry_after=0.2)
    llmock_server.state.chaos = ChaosSettings(error_rates={500: 0.1})
    found = ask(llmock.base_url(), chats=200, tries=10)
    assert {type(reply) for reply in found} == {Reply}
    verdict = llmock.verdict()
    assert len(verdict.calls) == 200
    assert verdict.faults > 25
    assert verdict.attempts == 200 + verdict.faults, "nothing is asked again that has been answered"
    llmock.assert_resilient()


def test_a_command_is_not_to_blame_either(llmock: LLMock, tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path)
    llmock.rate_limit(times=3, retry_after=0.3).fail(500, times=5)
    result = neuroexplain(
        "explain", "--neurons", "0:0-39", "--explainer", "token-activation", "--llm", "openai:m", "--no-probe",
        "--catalogue", str(sweeps.collected),
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "40 explained" in result.err
    verdict = llmock.verdict()
    assert (len(verdict.calls), verdict.attempts, verdict.faults) == (40, 48, 8)
    llmock.assert_resilient()


def test_the_verdict_can_be_a_bad_one(llmock: LLMock) -> None:
    """The same server's connections without the policy that decides on tries."""

    async def run() -> None:
        llm = OpenAIChat("m", base_url=llmock.base_url())
        (endpoint,) = llm.endpoints
        try:
            for content, tries in (("stormy", 12), ("refused", 2)):
                for _ in range(tries):
                    with pytest.raises(LLMError):
                        await endpoint.chat(Request((Message("user", content),), "explain", 9))
        finally:
            await llm.close()

    llmock.rate_limit(times=12, retry_after=0.5).fail(401, times=2)
    asyncio.run(run())
    blamed = {finding.code for finding in llmock.verdict().errors}
    assert blamed == {"retry_after_ignored", "retry_storm", "retried_non_retryable"}
