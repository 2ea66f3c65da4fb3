"""`explained_variance` and `absolute_deviation`: predictions in the subject's units, fitted on spans that are not scored."""

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

CONFIG = ScoreConfig(bootstrap=0)
SCORERS = ("explained_variance", "absolute_deviation")
TRUTHS = [[0, 0, 3, 0, 1, 0], [2, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 5]]


def both(build: Build, truths: Any, levels: Any, **given: Any) -> dict[str, Score]:
    """Scored on spans that are the calibration's once more, under other numbers."""
    held_out, other = build.held_out(truths), build.held_out(given.pop("select", truths))
    test = build.simulation(held_out, levels)
    select = build.simulation(other, given.pop("select_levels", levels))
    whole = Simulation("any", (*test.spans, *select.spans))
    given = {"nulls": (), "floor": None, "config": CONFIG, "calibration": other, **given}
    scorers = [create("scorer", name, {}) for name in SCORERS]
    return {s.scorer: s for s in score(scorers, whole, held_out, **given)}


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.25, 3.0), (1e-3, -2.0)])
def test_levels_in_other_units_explain_everything(
    build: Build, slope: float, offset: float
) -> None:
    levels = [[slope * t + offset for t in row] for row in TRUTHS]
    found = both(build, TRUTHS, levels)
    assert [found[n].value for n in SCORERS] == pytest.approx([1, 1])
    assert [found[n].coverage for n in SCORERS] == [1, 1]


def test_what_is_exactly_wrong_explains_nothing(build: Build) -> None:
    """A line of any slope, fitted on the scored spans, would give it 1."""
    found = both(build, TRUTHS, [[10 - t for t in row] for row in TRUTHS])
    assert found["explained_variance"].value == pytest.approx(0)
    value = found["absolute_deviation"].value
    assert value is not None and value < 0  # the mean is no good guess of what is mostly 0


def test_the_line_is_fitted_on_the_other_spans(build: Build) -> None:
    """There a level is worth twice as much as here."""
    twice = [[2 * t for t in row] for row in TRUTHS]
    found = both(build, TRUTHS, TRUTHS, select=twice)
    t = np.concatenate([np.array(row, float) for row in TRUTHS])
    variance = 1 - float((t**2).sum() / ((t - t.mean()) ** 2).sum())
    assert found["explained_variance"].value == pytest.approx(variance)
    assert found["absolute_deviation"].value == pytest.approx(0)  # |t - 2t| over |t - 0|


def test_two_projects_formulas_are_apart(build: Build) -> None:
    """True 1, 2, 3 and predicted 2, 2, 2 is 0.857 where the total is not centred, and 0 where it is."""
    truth = [[1, 2, 3] * 4]
    found = both(build, truth, [[2] * 12])
    assert found["explained_variance"].value == pytest.approx(0)
    assert found["absolute_deviation"].value == pytest.approx(0)


def test_without_other_spans_there_is_no_score(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    simulation = build.simulation(held_out, TRUTHS)
    scorer = create("scorer", "explained_variance", {})
    (found,) = score(
        [scorer], simulation, held_out, nulls=(), floor=None, config=CONFIG, calibration=None
    )
    assert (found.value, found.reason, found.null_reason) == (
        None,
        "not_calibrated",
        "not_calibrated",
    )
    elsewhere: HeldOut = build.held_out([[1, 2, 3]])  # which the simulation does not cover
    (found,) = score(
        [scorer], simulation, held_out, nulls=(), floor=None, config=CONFIG, calibration=elsewhere
    )
    assert (found.value, found.reason) == (None, "not_calibrated")


def test_a_neuron_that_never_varies_has_no_score(build: Build) -> None:
    found = both(build, [[2.0] * 6] * 2, [[1, 0, 0, 5, 0, 0]] * 2)
    assert {(s.value, s.reason) for s in found.values()} == {(None, "dead_neuron")}


def test_floor_and_null_are_calibrated_too(build: Build) -> None:
    held_out, other = build.held_out(TRUTHS), build.held_out(TRUTHS)
    random = np.random.default_rng(0)

    def predicting(levels: Any) -> Simulation:
        test, select = build.simulation(held_out, levels), build.simulation(other, levels)
        return Simulation("any", (*test.spans, *select.spans))

    nulls = [predicting(random.uniform(0, 10, (3, 6)).tolist()) for _ in range(20)]
    half = [[t / 2 for t in row] for row in TRUTHS]
    (found,) = score(
        [create("scorer", "explained_variance", {})],
        *(predicting(TRUTHS), held_out),
        nulls=nulls,
        floor=predicting(half),
        config=ScoreConfig(bootstrap=200),
        calibration=other,
    )
    assert [found.value, found.floor] == pytest.approx([1, 1])
    assert found.null_n == 20
    assert found.null_mean is not None and 0 <= found.null_mean < 0.5
    assert found.p_value == pytest.approx(1 / 21)
    assert found.ci_low == pytest.approx(1)


def test_a_slope_is_never_negative(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    down = build.simulation(held_out, [[10 - t for t in row] for row in TRUTHS])
    fitted = calibrated(predictions(down), held_out)
    assert fitted is not None
    mean = np.mean(TRUTHS)
    assert all(np.allclose(levels, mean) for levels in fitted.values())
