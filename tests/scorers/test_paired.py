"""Differences of two explanations: of the statistic itself, and resampled together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.records import HeldOut, Simulation
from neuroexplain.registry import create
from neuroexplain.scorers.base import score
from neuroexplain.scorers.paired import Difference, differences

Build = Any  # of conftest.py, which cannot be imported
CONFIG = ScoreConfig(null=0, bootstrap=300, seed=5)
CORRELATION = create("scorer", "correlation", {})


@pytest.fixture
def three(build: Build) -> tuple[HeldOut, Simulation, Simulation]:
    """A truth of eight spans, what tells it badly, and what tells it well."""
    rng = np.random.default_rng(0)
    truths = [rng.gamma(1, 1, 12).astype(np.float32) for _ in range(8)]
    held_out = build.held_out(truths, weight=3.0)
    poor = [np.clip(t + rng.normal(0, 2, 12), 0, 10).astype(np.float32) for t in truths]
    good = [np.clip(t + rng.normal(0, 0.3, 12), 0, 10).astype(np.float32) for t in truths]
    return held_out, build.simulation(held_out, poor), build.simulation(held_out, good)


def pearson(held_out: HeldOut, simulation: Simulation, times: Sequence[int]) -> float:
    """Of tokens in spans that come so many times."""
    spans = zip(simulation.spans, held_out.spans, times, strict=False)
    drawn = [(s.expected, t.truth) for s, t, n in spans for _ in range(n)]
    x, y = (np.concatenate([pair[side] for pair in drawn]) for side in (0, 1))
    return float(np.corrcoef(x, y)[0, 1])


def test_it_is_the_difference_of_the_scores_with_a_paired_interval(
    three: tuple[HeldOut, Simulation, Simulation],
) -> None:
    held_out, poor, good = three
    (found,) = differences([CORRELATION], poor, good, held_out, config=CONFIG)
    values = [
        score([CORRELATION], each, held_out, nulls=(), floor=None, config=CONFIG)[0].value
        for each in (poor, good)
    ]
    assert values[0] is not None and values[1] is not None
    assert found.value == pytest.approx(values[1] - values[0])
    drawn = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=300).tolist()
    changed = [pearson(held_out, good, t) - pearson(held_out, poor, t) for t in drawn]
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(np.quantile(changed, [0.025, 0.975])))  # fmt: skip
    assert (found.reason, found.n_spans) == (None, 8)


def test_a_simulation_beside_itself_differs_by_nothing(
    three: tuple[HeldOut, Simulation, Simulation],
) -> None:
    held_out, _, good = three
    (found,) = differences([CORRELATION], good, good, held_out, config=CONFIG)
    assert (found.value, found.ci_low, found.ci_high) == (0.0, 0.0, 0.0)


def test_what_is_undefined_has_a_reason(
    build: Build, three: tuple[HeldOut, Simulation, Simulation]
) -> None:
    held_out, _, good = three
    silent = build.simulation(held_out, [np.zeros(12, np.float32)] * 8)
    nothing = Simulation("made", ())
    cases = [
        ((silent, good), "before_undefined", 8),
        ((good, silent), "after_undefined", 8),
        ((good, nothing), "too_few_tokens", 0),
    ]
    for (before, after), reason, n in cases:
        (found,) = differences([CORRELATION], before, after, held_out, config=CONFIG)
        assert found == Difference("correlation", None, reason, None, None, n)


def test_spans_that_one_of_them_lacks_count_for_neither(
    three: tuple[HeldOut, Simulation, Simulation],
) -> None:
    held_out, poor, good = three
    part = Simulation("made", good.spans[:5])
    (found,) = differences([CORRELATION], poor, part, held_out, config=CONFIG)
    once = [1] * 5
    expected = pearson(held_out, part, once) - pearson(
        held_out, Simulation("made", poor.spans[:5]), once
    )
    assert found.n_spans == 5
    assert found.value == pytest.approx(expected)


def test_units_of_the_neuron_take_a_calibration(
    three: tuple[HeldOut, Simulation, Simulation],
) -> None:
    held_out, poor, good = three
    variance = create("scorer", "explained_variance", {})
    (found,) = differences([variance], poor, good, held_out, config=CONFIG)
    assert (found.value, found.reason) == (None, "not_calibrated")
    (found,) = differences([variance], poor, good, held_out, config=CONFIG, calibration=held_out)
    assert found.value is not None and found.value > 0


def test_without_resamples_there_is_no_interval(
    three: tuple[HeldOut, Simulation, Simulation],
) -> None:
    held_out, poor, good = three
    config = ScoreConfig(null=0, bootstrap=0)
    (found,) = differences([CORRELATION], poor, good, held_out, config=config)
    assert found.value is not None
    assert (found.ci_low, found.ci_high) == (None, None)
