"""Admission to a server: the controller against simulated servers, the buckets and the line against a clock of their own."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable

import pytest

from neuroexplain.errors import StoppingError
from neuroexplain.llm.pace import Adaptive, Bucket, Pace


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def serve(
    adaptive: Adaptive,
    requests: int,
    *,
    slots: int,
    seconds: float,
    refuse_above: int | None = None,
) -> list[float]:
    """Send requests to a server that works on so many at a time; returns the limit after each."""
    now, sent, out, limits = 0.0, 0, 0, []
    free = [0.0] * slots  # when each slot has done its work
    under_way: list[tuple[float, float, int, bool]] = []
    while sent < requests or under_way:
        while sent < requests and out < int(adaptive.limit):
            refused = refuse_above is not None and out >= refuse_above
            start = now if refused else max(now, heapq.heappop(free))
            done = now + 0.01 if refused else start + seconds
            if not refused:
                heapq.heappush(free, done)
            heapq.heappush(under_way, (done, now, adaptive.cuts, refused))
            sent, out = sent + 1, out + 1
        now, began, cuts, refused = heapq.heappop(under_way)
        if refused:
            adaptive.overloaded(cuts)
        else:
            adaptive.answered(now - began, out)
        out -= 1
        limits.append(adaptive.limit)
    return limits


def test_a_server_that_takes_all_is_soon_given_all() -> None:
    limits = serve(Adaptive(64), 400, slots=1000, seconds=0.1)
    assert list(dict.fromkeys(limits)) == [8, 16, 32, 64], "doubles"
    assert limits.index(64.0) < 150


def test_it_never_begins_above_the_most() -> None:
    assert Adaptive(3).limit == 3
    assert max(serve(Adaptive(3), 100, slots=50, seconds=0.1)) == 3


def test_refusals_keep_it_near_what_the_server_takes() -> None:
    limits = serve(Adaptive(64), 5000, slots=1000, seconds=0.1, refuse_above=20)
    settled = limits[1000:]
    assert min(settled) > 12 and max(settled) <= 22
    assert sum(settled) / len(settled) > 16


def test_refusals_of_one_moment_are_one_cut() -> None:
    adaptive = Adaptive(64, start=50)
    for _ in range(50):
        adaptive.overloaded(0)
    assert (adaptive.limit, adaptive.cuts) == (35.0, 1)
    adaptive.overloaded(1)
    assert adaptive.limit == 24.5
    for cut in range(2, 30):
        adaptive.overloaded(cut)
    assert adaptive.limit == 1.0


def test_longer_waits_without_more_answers_are_not_asked_for() -> None:
    """Ten slots of work: with 64 requests the server answers as many a second as with ten, only later."""
    limits = serve(Adaptive(64), 8000, slots=10, seconds=0.1)
    assert max(limits[1000:]) <= 32
    assert min(limits[1000:]) >= 10, "and no fewer than it can work on"


def test_slower_answers_that_are_more_are_welcome() -> None:
    """A batching server: twice the requests take 1.2 times as long."""
    adaptive = Adaptive(64)
    for _ in range(400):
        batch = int(adaptive.limit)
        seconds = 0.1 * batch**0.26
        for _ in range(batch):
            adaptive.answered(seconds, batch)
    assert adaptive.limit > 55


def test_requests_that_do_not_fill_the_limit_do_not_raise_it() -> None:
    adaptive = Adaptive(64)
    for _ in range(1000):
        adaptive.answered(0.1, 3)
    assert adaptive.limit == 8


def test_a_bucket_lets_so_many_through_a_minute() -> None:
    clock = Clock()
    bucket = Bucket(600, clock)
    taken = 0
    for _ in range(60_000):
        clock.now += 0.001
        if bucket.wait(1) == 0:
            bucket.take(1)
            taken += 1
    assert 600 <= taken <= 600 + 10 * Bucket.BURST + 1


def test_a_bucket_says_how_long_to_wait() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    for _ in range(3):
        assert bucket.wait(1) == 0
        bucket.take(1)
    assert bucket.wait(1) == pytest.approx(1.0)
    clock.now += 0.75
    assert bucket.wait(1) == pytest.approx(0.25)
    bucket.take(-2)
    assert bucket.wait(1) == 0


def test_more_than_a_bucket_holds_waits_for_a_full_one() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    assert bucket.wait(50) == 0
    bucket.take(50)
    assert bucket.wait(1) == pytest.approx(48.0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_first_come_first_served_within_the_limit() -> None:
    async def work() -> None:
        pace = Pace(2)
        order: list[int] = []
        active = most = 0

        async def request(number: int) -> None:
            nonlocal active, most
            turn = await pace.enter()
            active += 1
            most = max(most, active)
            order.append(number)
            await asyncio.sleep(0.001)
            active -= 1
            pace.leave(turn, answered=True)

        await asyncio.gather(*(request(n) for n in range(20)))
        assert order == list(range(20))
        assert (most, pace.in_flight, pace.load) == (2, 0, 0)

    run(work)


def test_a_wish_to_wait_holds_everybody() -> None:
    async def work() -> None:
        pace = Pace(8)
        loop = asyncio.get_running_loop()
        turn = await pace.enter()
        pace.leave(turn, overloaded=True, wait=0.1)
        start = loop.time()
        turns = await asyncio.gather(*(pace.enter() for _ in range(3)))
        assert 0.09 < loop.time() - start < 1.0
        for turn in turns:
            pace.leave(turn)

    run(work)


def test_tokens_a_minute_are_settled_by_what_was_used() -> None:
    async def work() -> None:
        clock = Clock()
        pace = Pace(8, tpm=6000, clock=clock)
        assert pace.counts_tokens
        turn = await pace.enter(300)
        pace.leave(turn, tokens=100, answered=True)
        turn = await asyncio.wait_for(pace.enter(200), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pace.enter(1), 0.05)
        pace.leave(turn, tokens=0, answered=True)
        await asyncio.wait_for(pace.enter(1), 1)

    run(work)


def test_limits_that_a_server_tells_do_not_replace_those_given() -> None:
    async def work() -> None:
        pace = Pace(8, rpm=60)
        pace.limit(rpm=6000, tpm=100)
        for _ in range(3):
            pace.leave(await pace.enter())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pace.enter(), 0.05)
        assert pace.counts_tokens

    run(work)


def test_stopping_gives_up_those_in_line_and_lets_nobody_in() -> None:
    async def work() -> None:
        pace = Pace(1)
        turn = await pace.enter()
        waiting = [asyncio.create_task(pace.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        pace.stop()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(f) for f in found] == [StoppingError] * 3
        with pytest.raises(StoppingError):
            await pace.enter()
        pace.leave(turn, answered=True)
        assert pace.in_flight == 0

    run(work)


def test_who_leaves_the_line_takes_nobodys_turn() -> None:
    async def work() -> None:
        pace = Pace(1)
        turn = await pace.enter()
        first, second = (asyncio.create_task(pace.enter()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        pace.leave(turn)
        assert await asyncio.wait_for(second, 1)
        assert pace.in_flight == 1
        # Leave that was granted at the very moment of a cancellation comes back.
        third = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        pace.leave(second.result())
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        assert pace.in_flight == 0

    run(work)
