"""`absolute_deviation` beyond what it shares with `explained_variance`: medians, and few large activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.records import HeldOut, Score, Simulation
from neuroexplain.registry import create
from neuroexplain.scorers.alignment import predictions
from neuroexplain.scorers.base import score
from neuroexplain.scorers.calibration import calibrated

Build = Any  # of conftest.py, which cannot be imported


def scored(name: str, whole: Simulation, held_out: HeldOut, other: HeldOut) -> Score:
    (found,) = score(
        *([create("scorer", name, {})], whole, held_out),
        nulls=(),
        floor=None,
        config=ScoreConfig(bootstrap=0),
        calibration=other,
    )
    return found


def test_one_missed_peak_costs_less_than_in_variance(build: Build) -> None:
    truths = [[1, 2, 3, 1, 2, 3, 1, 2], [2, 3, 1, 2, 3, 1, 2, 90]]
    levels = [[1, 2, 3, 1, 2, 3, 1, 2], [2, 3, 1, 2, 3, 1, 2, 0]]
    held_out, other = build.held_out(truths), build.held_out(levels)
    spans = (*build.simulation(held_out, levels).spans, *build.simulation(other, levels).spans)
    whole = Simulation("any", spans)
    deviation = scored("absolute_deviation", whole, held_out, other).value
    # 15 tokens are right, one is wrong by 90; all are 97 from their median, 2, together.
    assert deviation == pytest.approx(1 - 90 / 97)
    variance = scored("explained_variance", whole, held_out, other).value
    assert variance is not None and deviation is not None and variance < 0 < deviation


def test_absolute_deviation_bootstraps_its_median(build: Build) -> None:
    """By hand for every resample."""
    random = np.random.default_rng(1)
    truths = np.abs(random.normal(size=(8, 5))).round(2).tolist()
    levels = np.abs(random.normal(size=(8, 5))).round(2).tolist()
    held_out, other = build.held_out(truths), build.held_out(truths)
    whole = Simulation(
        "any", (*build.simulation(held_out, levels).spans, *build.simulation(other, levels).spans)
    )
    config = ScoreConfig(bootstrap=50)
    (found,) = score(
        [create("scorer", "absolute_deviation", {})],
        *(whole, held_out),
        nulls=(),
        floor=None,
        config=config,
        calibration=other,
    )
    fitted = calibrated(predictions(whole), other)
    assert fitted is not None
    p = np.array([fitted[s.span.span] for s in held_out.spans])
    t = np.array(truths)
    counts = np.random.default_rng(config.seed).multinomial(8, np.full(8, 1 / 8), size=50)
    values = []
    for count in counts:
        rows = np.repeat(np.arange(8), count)
        median = np.sort(t[rows].ravel())[(len(rows) * 5 - 1) // 2]
        values.append(1 - np.abs(t[rows] - p[rows]).sum() / np.abs(t[rows] - median).sum())
    assert (found.ci_low, found.ci_high) == pytest.approx(
        tuple(np.quantile(values, [0.025, 0.975])), abs=1e-6
    )
