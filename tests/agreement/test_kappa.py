"""Agreement of two reviewers: published examples, other formulas for the same, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.agreement.kappa import confusion, kappa, percent

COHEN = np.array([[88, 10, 2], [14, 40, 6], [18, 10, 12]])
"""Cohen 1960, Educational and Psychological Measurement 20: 200 patients, two psychologists, three diagnoses."""


def test_the_example_of_cohen_1960() -> None:
    assert kappa(COHEN).value == pytest.approx(0.492, abs=5e-4)
    assert percent(COHEN).value == pytest.approx(0.70)


def test_confusion_counts_pairs() -> None:
    first, second = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 2])
    assert confusion(first, second, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_quadratic_weights_give_the_concordance_of_lin() -> None:
    """Weighted kappa with squared steps is Lin's concordance correlation of the numbered categories."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 300)
    b = np.clip(a + rng.integers(-1, 2, 300), 0, 3)
    lin = 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    assert kappa(confusion(a, b, 4), "quadratic").value == pytest.approx(lin)


def test_with_two_categories_all_weights_are_alike() -> None:
    table = np.array([[20, 5], [10, 15]])
    values = [kappa(table, w).value for w in ("nominal", "linear", "quadratic")]
    assert values == pytest.approx([0.4] * 3)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert kappa(COHEN, seed=1) == kappa(COHEN, seed=1)
    assert kappa(COHEN, seed=1) != kappa(COHEN, seed=2)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.zeros((3, 3), dtype=np.int64), "too few items that both judged: 0"),
        (np.array([[1, 0], [0, 0]]), "too few items that both judged: 1"),
        (np.array([[9, 0], [0, 0]]), "both gave one and the same category only"),
    ],
)
def test_undefined_kappa_says_why(table: np.ndarray, reason: str) -> None:
    found = kappa(table)
    assert found.value is found.low is found.high is None
    assert found.reason is not None and reason in found.reason


def test_an_interval_that_few_resamples_define_is_none() -> None:
    found = kappa(np.array([[19, 0], [0, 1]]))
    assert found.value == 1 and found.low is None
    assert found.reason is not None and "resamples: too few items" in found.reason


@pytest.mark.parametrize("weights", ["nominal", "linear"])
def test_95_of_100_intervals_hold_the_truth(weights: str) -> None:
    rng = np.random.default_rng(5)
    truth = COHEN / COHEN.sum()
    whole = kappa(COHEN, weights).value  # type: ignore[arg-type]
    held, times = 0, 1000
    for n in range(times):
        table = rng.multinomial(200, truth.ravel()).reshape(3, 3)
        found = kappa(table, weights, resamples=500, seed=n)  # type: ignore[arg-type]
        assert found.low is not None and found.high is not None and whole is not None
        held += found.low <= whole <= found.high
    assert 0.93 <= held / times <= 0.97
