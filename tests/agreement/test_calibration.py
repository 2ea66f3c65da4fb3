"""Scores against verdicts: other formulas for the same, and coverage by simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from neuroexplain.agreement.calibration import auc, bins, curve, spearman


def judged(
    neurons: int, each: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, verdicts and neurons, where explanations of a neuron are alike."""
    neuron = np.repeat(np.arange(neurons), each)
    common = rng.normal(size=neurons)[neuron]
    quality = common + rng.normal(size=len(neuron))
    score = np.round(quality + rng.normal(size=len(neuron)), 1)
    return score, (quality > 0.3).astype(float), neuron


def test_auc_is_the_statistic_of_mann_and_whitney() -> None:
    score, correct, neuron = judged(60, 3, np.random.default_rng(0))
    right, wrong = score[correct == 1], score[correct == 0]
    expected = mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong))
    assert auc(score, correct, neuron).value == pytest.approx(expected)


def test_an_explanation_on_which_reviewers_differ_counts_as_both() -> None:
    score, correct = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 1.0])
    # right: half of 2 and 3; wrong: 1 and half of 2
    above = 0.5 * (1 + 0.25) + 1 * 1.5
    found = auc(score, correct, np.arange(3))
    assert found.value == pytest.approx(above / (1.5 * 1.5))


def test_spearman_is_that_of_scipy() -> None:
    score, correct, neuron = judged(60, 3, np.random.default_rng(1))
    grade = correct + (score > 0)
    expected = spearmanr(score, grade).statistic
    assert spearman(score, grade, neuron).value == pytest.approx(expected)


def test_bins_have_equal_counts_and_part_no_equal_scores() -> None:
    score = np.repeat(np.arange(8.0), 20)
    found = bins(score, (score > 3).astype(float))
    assert sum(b.correct.n for b in found) == 160
    assert all(a.high < b.low for a, b in pairwise(found))
    assert [b.correct.value for b in found] == [float(b.low > 3) for b in found]
    assert [b.correct.n for b in bins(np.arange(100.0), np.ones(100))] == [10] * 10
    assert len(bins(np.zeros(500), np.ones(500))) == 1
    assert len(bins(np.arange(12.0), np.ones(12))) == 1


def test_the_curve_is_monotone_and_pools_what_falls() -> None:
    found = curve(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert [(s.score, s.correct) for s in found] == [(1.0, 0.0), (2.0, 0.5), (4.0, 1.0)]
    assert [s.correct for s in curve(np.zeros(4), np.array([1.0, 1, 0, 0]))] == [0.5]


def test_undefined_values_say_why() -> None:
    none, one = np.zeros(0), np.ones(5)
    index = np.arange(5)
    assert auc(none, none, index[:0]).reason == "no explanations"
    assert auc(np.arange(5.0), one, index).reason == "all are of one kind: correct, or not"
    assert (
        auc(np.arange(5.0), one / 2, index).reason == "reviewers differ on all explanations alike"
    )
    assert spearman(one, np.arange(5.0), index).reason == "all scores, or all verdicts, are alike"
    assert auc(np.arange(4.0), np.array([0, 0, 1, 1.0]), np.zeros(4, dtype=int)).low is None
    perfect = auc(np.arange(9.0), (np.arange(9) > 4).astype(float), np.arange(9))
    assert (perfect.value, perfect.low) == (1, None)
    assert perfect.reason == "all are in perfect order: the spread cannot be told"
    assert spearman(one[:2], one[:2], index[:2]).reason == "too few explanations: 2"


@pytest.mark.parametrize("statistic", ["auc", "spearman"])
def test_95_of_100_intervals_hold_the_truth(statistic: str) -> None:
    rng = np.random.default_rng(7)
    measure = {"auc": auc, "spearman": spearman}[statistic]
    score, correct, _ = judged(400_000, 1, rng)
    everything = {"auc": 0.0, "spearman": spearmanr(score, correct).statistic}
    right, wrong = np.sort(score[correct == 1]), score[correct == 0]
    below = np.searchsorted(right, wrong, "left") + np.searchsorted(right, wrong, "right")
    everything["auc"] = 1 - below.mean() / 2 / len(right)
    held, times = 0, 500
    for n in range(times):
        found = measure(*judged(120, 2, rng), seed=n)
        assert found.low is not None and found.high is not None
        held += found.low <= everything[statistic] <= found.high
    assert 0.93 <= held / times <= 0.97
