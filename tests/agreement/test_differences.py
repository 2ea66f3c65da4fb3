"""Differences of paired scores."""

from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.agreement import differences as module
from neuroexplain.agreement.differences import differences, mean_of_groups


def test_numbers_of_a_few_pairs() -> None:
    first = np.array([0.5, 0.75, 0.25, 0.5, 1.0])
    second = np.array([0.25, 0.25, 0.5, 0.5, 0.25])
    found = differences(first, second, np.arange(5))
    assert found.n == 5
    assert found.mean.value == pytest.approx(0.25)
    assert found.median == 0.25
    assert (found.better.value, found.worse.value) == (0.6, 0.2)
    assert found.sign_p == 0.625  # of four that differ three are higher: 2 * (4 + 1) / 16
    assert found.rank_p is not None and 0 < found.rank_p < 1


def test_without_pairs_nothing_is_defined() -> None:
    none = np.zeros(0)
    found = differences(none, none, np.zeros(0, np.int64))
    assert (found.n, found.median, found.sign_p, found.rank_p) == (0, None, None, None)
    assert found.mean.value is None
    assert found.mean.reason == "no observations"
    same = differences(np.ones(3), np.ones(3), np.arange(3))
    assert (same.mean.value, same.sign_p, same.rank_p) == (0.0, None, None)


def test_intervals_cover_and_many_groups_give_what_the_bootstrap_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        neurons = rng.normal(0.2, 1, 60)
        values = np.repeat(neurons, 2) + rng.normal(0, 0.5, 120)
        found = mean_of_groups(values, np.repeat(np.arange(60), 2))
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.2 <= found.high
    assert covered >= 180
    values, group = rng.normal(0, 1, 4_000), np.repeat(np.arange(2_000), 2)
    drawn = mean_of_groups(values, group)
    monkeypatch.setattr(module, "MOST_RESAMPLED", 100)
    normal = mean_of_groups(values, group)
    assert normal.low == pytest.approx(drawn.low, abs=0.005)
    assert normal.high == pytest.approx(drawn.high, abs=0.005)


def test_one_group_has_no_interval() -> None:
    found = mean_of_groups(np.array([1.0, 2.0]), np.array([7, 7]))
    assert (found.value, found.low, found.reason) == (1.5, None, "all are of one neuron")
