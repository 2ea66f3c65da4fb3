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
    scorer = create("scorer", "correlation", {})
    (found,) = score([scorer], simulation, held_out, nulls=(), floor=None, config=ScoreConfig())
    return found


def weighted(held_out: HeldOut, *weights: float) -> HeldOut:
    pairs = zip(held_out.spans, weights, strict=True)
    return HeldOut(held_out.neuron, tuple(replace(s, weight=w) for s, w in pairs))


def test_all_tokens_are_pooled(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    found = scored(build.simulation(held_out, LEVELS), held_out)
    assert found.value == pytest.approx(np.corrcoef(np.ravel(LEVELS), np.ravel(TRUTHS))[0, 1])
    assert found.scorer == "correlation"


def test_spans_are_weighted_by_what_they_stand_for(build: Build) -> None:
    once = weighted(build.held_out(TRUTHS), 1, 3, 1)
    copies = [0, 1, 1, 1, 2]
    thrice = build.held_out([TRUTHS[i] for i in copies])
    found = scored(build.simulation(once, LEVELS), once)
    expected = scored(build.simulation(thrice, [LEVELS[i] for i in copies]), thrice)
    assert found.value == pytest.approx(expected.value)
    assert (found.n_tokens, expected.n_tokens) == (18, 30)


def test_an_opposite_simulation_is_negative(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    found = scored(build.simulation(held_out, [[10 - v for v in t] for t in TRUTHS]), held_out)
    assert found.value == pytest.approx(-1)
