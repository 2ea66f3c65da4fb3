"""Statistics of verdicts: weighted average precision, confusions, deviation round the median."""

from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.scorers.statistics import (
    accuracy,
    around_median,
    average_precision,
    balanced_accuracy,
    confusions,
    f1,
    spread,
)

BOTH = np.array([True, False, True, False])


def precision(scores: list[float], positive: list[int], weights: list[float]) -> float:
    (found,) = average_precision(
        np.array([scores]), np.array(positive, bool), np.array(weights, float)[:, None]
    )
    return float(found[0])


@pytest.mark.parametrize(
    ("scores", "positive", "weights", "expected"),
    [
        ([9, 8, 2, 1], [1, 1, 0, 0], [1, 1, 1, 1], 1.0),
        ([9, 8, 2, 1], [0, 0, 1, 1], [1, 1, 1, 1], (1 / 3 + 2 / 4) / 2),
        ([9, 8, 2, 1], [1, 0, 1, 0], [1, 1, 1, 1], (1 + 2 / 3) / 2),
        ([5, 5, 5, 5], [1, 0, 0, 0], [1, 1, 1, 1], 0.25),  # ties: the prevalence
        ([9, 8, 2, 1], [1, 0, 1, 0], [1, 10, 1, 1], (1 + 2 / 12) / 2),
        ([9, 8, 2, 1], [1, 0, 1, 0], [1, 0, 1, 1], 1.0),  # without weight it is not there
        ([0, 0, 9, 9], [1, 0, 1, 0], [1, 3, 2, 2], (2 / 4 * 2 + 3 / 8 * 1) / 3),
    ],
)
def test_average_precision_by_hand(
    scores: list[float], positive: list[int], weights: list[float], expected: float
) -> None:
    assert precision(scores, positive, weights) == pytest.approx(expected)


def test_average_precision_without_a_positive_is_undefined() -> None:
    assert np.isnan(precision([1, 2], [0, 0], [1, 1]))
    assert np.isnan(precision([1, 2], [1, 0], [0, 1]))


def test_average_precision_of_many_weightings_and_rankings_at_once() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 4, (3, 12)).astype(float)
    positive, weights = random.random(12) < 0.4, random.integers(0, 3, (12, 7)).astype(float)
    found = average_precision(scores, positive, weights)
    assert found.shape == (3, 7)
    for row in range(3):
        for column in range(7):
            alone = precision(
                scores[row].tolist(), positive.astype(int).tolist(), weights[:, column].tolist()
            )
            assert found[row, column] == pytest.approx(alone, nan_ok=True)


def test_confusions_of_several_predictions() -> None:
    predicted = np.array([[True, True, False, False], [False, False, False, False]])
    weights = np.array([[1.0, 2], [1, 0], [1, 1], [1, 5]])
    cells = confusions(predicted, BOTH, weights)
    assert cells.tolist() == [[[1, 1, 1, 1], [2, 0, 1, 5]], [[0, 0, 2, 2], [0, 0, 3, 5]]]
    assert f1(cells)[0].tolist() == pytest.approx([0.5, 0.8])
    assert accuracy(cells)[0].tolist() == pytest.approx([0.5, 7 / 8])
    assert balanced_accuracy(cells)[1].tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("values", "weights", "expected"),
    [
        ([1, 2, 3], [1, 1, 1], 2.0),
        ([3, 1, 2, 10], [1, 1, 1, 1], 1 + 0 + 1 + 8),  # of two medians either gives the same
        ([0, 0, 0, 7], [1, 1, 1, 2], 14.0),
        ([0, 7], [1, 3], 7.0),
        ([4, 4], [1, 1], 0.0),
        ([1, 2], [0, 0], 0.0),
        ([], [], 0.0),
    ],
)
def test_deviation_round_the_weighted_median(
    values: list[float], weights: list[float], expected: float
) -> None:
    w = np.array(weights, float)[:, None]
    assert around_median(np.array(values, float), w).tolist() == pytest.approx([expected])


def test_spread_of_a_constant_is_nothing() -> None:
    assert float(spread(np.array([3.0, 0.3, 0.03]))) == 0
    assert float(spread(np.array([2.0, 3.0, 5.0]))) == pytest.approx(0.5)
