"""Krippendorff's alpha: his own examples, brute force, and coverage by simulation."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from neuroexplain.agreement.alpha import alpha

# Krippendorff 2011, Computing Krippendorff's alpha-reliability; 0 for a missing answer
A = [[1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3], [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0]]  # fmt: skip
BINARY = [[1, 2, 1, 1, 1, 1, 1, 1, 2, 1], [2, 2, 2, 1, 1, 2, 1, 1, 1, 1]]
NOMINAL = [[1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1], [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4]]


def counts(answers: list[list[int]] | np.ndarray, categories: int) -> np.ndarray:
    """[item, category] of [reviewer, item], where 0 is no answer."""
    given = np.asarray(answers)
    return np.stack([(given == c).sum(0) for c in range(1, categories + 1)], axis=1)


def brute(table: np.ndarray) -> float:
    """By its definition, over all ordered pairs of answers."""
    units = [np.repeat(np.arange(len(c)), c) for c in table if c.sum() > 1]
    everything = np.concatenate(units)
    found = np.mean(
        np.repeat(
            [np.mean([a != b for a, b in permutations(u, 2)]) for u in units],
            [len(u) for u in units],
        )
    )
    expected = np.mean([a != b for a, b in permutations(everything, 2)])
    return float(1 - found / expected)


def test_the_examples_of_krippendorff_2011() -> None:
    assert alpha(counts(BINARY, 2)).value == pytest.approx(0.095, abs=5e-4)
    assert alpha(counts(NOMINAL, 5)).value == pytest.approx(0.692, abs=5e-4)
    assert alpha(counts(A, 5)).value == pytest.approx(0.743, abs=5e-4)
    assert alpha(counts(A, 5), "ordinal").value == pytest.approx(0.815, abs=5e-4)


def test_nominal_alpha_is_that_of_its_definition() -> None:
    given = np.random.default_rng(1).integers(0, 4, (5, 30))
    assert alpha(counts(given, 3)).value == pytest.approx(brute(counts(given, 3)))


def test_items_of_one_reviewer_count_for_nothing() -> None:
    with_one = np.vstack([counts(A, 5), [[1, 0, 0, 0, 0]] * 9])
    assert alpha(with_one) == alpha(counts(A, 5))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.zeros((0, 2), dtype=np.int64), "too few items that two or more judged: 0"),
        (np.array([[1, 0], [0, 1]]), "too few items that two or more judged: 0"),
        (np.array([[2, 0], [3, 0]]), "one category only was given"),
    ],
)
def test_undefined_alpha_says_why(table: np.ndarray, reason: str) -> None:
    found = alpha(table)
    assert found.value is found.low is None
    assert found.reason is not None and reason in found.reason


def test_95_of_100_intervals_hold_the_truth() -> None:
    """Three reviewers, of whom each sees the true class with chance .8 and skips with chance .2."""
    rng = np.random.default_rng(6)

    def answers(items: int) -> np.ndarray:
        true = rng.integers(1, 4, items)
        guess = rng.integers(1, 4, (3, items))
        given = np.where(rng.random((3, items)) < 0.8, true, guess)
        return counts(np.where(rng.random((3, items)) < 0.2, 0, given), 3)

    whole = alpha(answers(1_000_000), resamples=20).value
    assert whole is not None
    held, times = 0, 600
    for n in range(times):
        found = alpha(answers(150), resamples=400, seed=n)
        assert found.low is not None and found.high is not None
        held += found.low <= whole <= found.high
    assert 0.93 <= held / times <= 0.97
