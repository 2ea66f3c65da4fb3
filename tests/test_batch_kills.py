"""Sweeps by offline batches that are killed at any moment."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from neuroexplain.testing import Batches, serve
from tests.lives import answer, content
from tests.offline import (
    Offline,
    life,
)
from tests.sweeps import Sweeps

NEURONS = 25
KILLS = 25


def killed(offline: Offline, url: str, rng: Random, at_most: int) -> int:
    """Lives of one sweep until one ends by itself; returns how many were killed."""
    kills = 0
    while True:
        process = life(offline, url, begin=rng.randrange(3))
        process.join(60 if kills == at_most else rng.uniform(0.03, 0.3 + 0.05 * kills))
        if process.is_alive():
            process.kill()
        process.join(60)
        if process.exitcode == 0:
            return kills
        assert process.exitcode == -signal.SIGKILL
        kills += 1


def test_a_sweep_by_batches_that_is_killed_anywhere_ends_the_same_and_submits_nothing_twice(
    sweeps: Sweeps, tmp_path: Path, by_calls: dict[str, list[tuple[Any, ...]]]
) -> None:
    rng = Random(7)
    asked: Counter[str] = Counter()

    def counting(body: dict[str, Any]) -> str:
        asked[json.dumps(body["messages"])] += 1
        return answer(body)

    kills = rounds = 0
    with serve(counting, batches=Batches(polls=2), latency=0.02) as server:
        while kills < KILLS:
            before = len(server.batches)
            offline = Offline(sweeps, tmp_path / str(rounds), server.base_url)
            kills += killed(offline, server.base_url, rng, KILLS - kills)
            rounds += 1
            batches = server.batches[before:]
            assert content(offline.catalogue) == by_calls
            assert set(asked.values()) == {1}
            assert sum(asked.values()) == 3 * NEURONS
            assert {batch["status"] for batch in batches} == {"completed"}
            assert sum(batch["request_counts"]["total"] for batch in batches) == 3 * NEURONS
            asked.clear()
