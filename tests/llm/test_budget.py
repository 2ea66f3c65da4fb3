from __future__ import annotations

import asyncio

import pytest

from neuroexplain.errors import LimitError, StoppingError
from neuroexplain.llm.budget import Budget


def test_calls_under_way_together_never_exceed_the_limit() -> None:
    async def main() -> None:
        budget = Budget(max_cost_nano=1000)
        worst = 0

        async def call(number: int) -> bool:
            nonlocal worst
            try:
                reserved = await budget.reserve(100)
            except LimitError:
                return False
            await asyncio.sleep(0.001)
            budget.settle(reserved, 30 + number % 7)
            worst = max(worst, budget.spent_nano)
            return True

        made = await asyncio.gather(*(call(n) for n in range(100)))
        assert worst <= 1000
        assert budget.spent_nano > 900, "what came out cheaper is there for others"
        assert sum(made) == budget.calls < 100

    asyncio.run(main())


def test_the_message_says_what_was_spent_and_what_to_do() -> None:
    async def main() -> None:
        budget = Budget(max_cost_nano=2_000_000_000, spent_nano=1_500_000_000)
        with pytest.raises(LimitError, match=r"--max-cost 2: \$1.5000 were spent.*higher limit"):
            await budget.reserve(600_000_000)
        budget.settle(await budget.reserve(500_000_000), None)
        assert budget.spent_nano == 2_000_000_000, "where nobody knows, the worst is assumed"

    asyncio.run(main())


def test_calls_are_counted_with_those_of_earlier_runs() -> None:
    async def main() -> None:
        budget = Budget(max_calls=3, calls=1)
        budget.settle(await budget.reserve(0), None)
        budget.settle(await budget.reserve(0), None, bought=False)  # was not made after all
        budget.settle(await budget.reserve(0), None)
        with pytest.raises(LimitError, match="--max-calls 3"):
            await budget.reserve(0)

    asyncio.run(main())


def test_what_batches_owe_counts_and_nobody_waits_for_it() -> None:
    async def main() -> None:
        budget = Budget(max_cost_nano=1_000_000_000, spent_nano=200_000_000)
        budget.owe(700_000_000)  # by an earlier run
        claimed = budget.claim(100_000_000)
        message = (
            r"--max-cost 1: \$0.2000 were spent, up to \$0.8000 are owed for batches, and the next"
        )
        with pytest.raises(LimitError, match=message):
            budget.claim(1)
        budget.settle(claimed, 40_000_000)
        budget.claim(60_000_000)
        budget.owe(500_000_000)  # asked for under a higher limit
        with pytest.raises(LimitError):
            budget.claim(0)

    asyncio.run(main())


def test_closing_ends_those_who_wait_too() -> None:
    async def main() -> None:
        budget = Budget(max_cost_nano=100)
        await budget.reserve(100)
        waiting = asyncio.create_task(budget.reserve(50))
        await asyncio.sleep(0)
        budget.close(StoppingError("stop"))
        budget.close(LimitError("the first reason stays"))
        with pytest.raises(StoppingError):
            await waiting
        with pytest.raises(StoppingError):
            await budget.reserve(0)

    asyncio.run(main())
