"""`correlation_random`: the random spans alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.records import HeldOut, Kind
from neuroexplain.scorers.base import score
from neuroexplain.scorers.correlation_random import CorrelationRandom

Build = Any  # of conftest.py, which cannot be imported

TRUTHS = [[0, 9, 0, 0, 1, 0], [1, 0, 0, 2, 0, 0], [0, 0, 3, 0, 0, 1]]
LEVELS = [[5, 0, 5, 5, 0, 5], [1, 0, 0, 2, 0, 0], [0, 0, 3, 0, 0, 1]]
KINDS: list[set[Kind]] = [{"top"}, {"random"}, {"top", "random"}]


def with_kinds(held_out: HeldOut, kinds: list[set[Kind]]) -> HeldOut:
    spans = [
        replace(s, kinds=frozenset(k), weight=1.0 if "top" in k else 50.0)
        for s, k in zip(held_out.spans, kinds, strict=True)
    ]
    return replace(held_out, spans=tuple(spans))


def test_only_random_spans_count_and_each_once(build: Build) -> None:
    held_out = with_kinds(build.held_out(TRUTHS), KINDS)
    simulation = build.simulation(held_out, LEVELS)
    given: dict[str, Any] = {"nulls": (), "floor": None, "config": ScoreConfig(bootstrap=0)}
    (found,) = score([CorrelationRandom()], simulation, held_out, **given)
    # The strongest span, on which everything is wrong, is not looked at.
    assert found.value == pytest.approx(1)
    assert found.n_tokens == 12


def test_without_random_spans_there_is_none(build: Build) -> None:
    held_out = with_kinds(build.held_out(TRUTHS), [{"top"}, {"quantile"}, {"top"}])
    simulation = build.simulation(held_out, LEVELS)
    given: dict[str, Any] = {"nulls": (), "floor": None, "config": ScoreConfig(bootstrap=0)}
    (found,) = score([CorrelationRandom()], simulation, held_out, **given)
    assert (found.value, found.reason) == (None, "too_few_tokens")
