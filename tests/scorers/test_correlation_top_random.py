from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.records import HeldOut, Score, Simulation
from neuroexplain.registry import create
from neuroexplain.scorers.base import score

Build = Any  # of conftest.py, which cannot be imported

TRUTHS = [[0, 0, 3, 0, 1, 0], [2, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 5]]
LEVELS = [[0, 1, 8, 0, 2, 0], [9, 0, 0, 0, 1, 0], [0, 0, 0, 3, 0, 10]]


def scored(simulation: Simulation, held_out: HeldOut) -> Score:
    scorer = create("scorer", "correlation_top_random", {})
    (found,) = score([scorer], simulation, held_out, nulls=(), floor=None, config=ScoreConfig())
    return found


def weighted(held_out: HeldOut, *weights: float) -> HeldOut:
    pairs = zip(held_out.spans, weights, strict=True)
    return HeldOut(held_out.neuron, tuple(replace(s, weight=w) for s, w in pairs))


def test_weights_do_not_count(build: Build) -> None:
    held_out = weighted(build.held_out(TRUTHS), 1, 30, 7)
    found = scored(build.simulation(held_out, LEVELS), held_out)
    assert found.value == pytest.approx(np.corrcoef(np.ravel(LEVELS), np.ravel(TRUTHS))[0, 1])
    assert found.scorer == "correlation_top_random"


@pytest.mark.parametrize(
    ("kinds", "counts"),
    [({"top"}, True), ({"random"}, True), ({"quantile"}, False), ({"quantile", "random"}, True)],
)
def test_quantile_spans_are_left_out(build: Build, kinds: set[str], counts: bool) -> None:
    held_out = build.held_out(TRUTHS, kinds=kinds)
    found = scored(build.simulation(held_out, LEVELS), held_out)
    assert found.n_tokens == (18 if counts else 0)
    assert found.reason == (None if counts else "too_few_tokens")
