"""Statistics at the numbers that can be worked out by hand: see each test's name for the case."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import pearsonr

from neuroexplain.scorers.statistics import (
    Array,
    balanced_accuracy,
    confusion,
    f1,
    iou,
    pearson,
    pearson_sums,
    quantile,
    variances,
)

PREDICTED = np.array([True, True, False, False])
TRUE = np.array([True, False, True, False])
TOKENS = 100_000
POSITIVE = 1_000  # a unit that fires on 1 % of the tokens


def scores(tp: float, fp: float, fn: float, tn: float) -> tuple[float, float, float, float]:
    """F1, IoU, Pearson's r and balanced accuracy of labels against an ideal unit, from cell counts."""
    counts = np.array([tp, fp, fn, tn], dtype=np.float64)
    cells = confusion(PREDICTED, TRUE, counts)
    assert cells.tolist() == counts.tolist()
    r = pearson(pearson_sums(PREDICTED.astype(float), TRUE.astype(float), counts))
    return float(f1(cells)), float(iou(cells)), float(r), float(balanced_accuracy(cells))


def test_an_ideal_label() -> None:
    assert scores(POSITIVE, 0, 0, TOKENS - POSITIVE) == pytest.approx((1, 1, 1, 1))


def test_half_of_the_labels_kept() -> None:
    half = POSITIVE / 2
    found = scores(half, 0, half, TOKENS - POSITIVE)
    assert found[:3] == pytest.approx((0.667, 0.50, 0.705), abs=5e-4)


def test_twice_as_many_labels_as_positives() -> None:
    found = scores(POSITIVE, POSITIVE, 0, TOKENS - 2 * POSITIVE)
    assert found == pytest.approx((0.667, 0.50, 0.704, 1 - 0.005), abs=5e-4)


def test_balanced_samples_are_blind_to_broad_labels() -> None:
    too_broad = POSITIVE / (TOKENS - POSITIVE)  # share of the negatives that are labelled
    balanced = scores(50, 50 * too_broad, 0, 50 * (1 - too_broad))[0]
    natural = scores(POSITIVE, POSITIVE, 0, TOKENS - 2 * POSITIVE)[0]
    assert (balanced, natural) == pytest.approx((0.995, 0.667), abs=5e-4)


@pytest.mark.parametrize(("prevalence", "expected"), [(0.5, 0.7071), (0.1, 0.5145), (0.01, 0.1952)])
def test_two_gaussians_two_sigma_apart(prevalence: float, expected: float) -> None:
    n = 20_000
    normal = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    values = np.concatenate([normal, normal + 2])
    labels = np.repeat([0.0, 1.0], n)
    weights = np.repeat([1 - prevalence, prevalence], n)
    assert float(pearson(pearson_sums(values, labels, weights))) == pytest.approx(
        expected, abs=1e-4
    )


def random_pair(seed: int = 0, n: int = 500) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return x, 0.5 * x + random.normal(size=n), random.uniform(0.1, 5, n)


def test_pearson_is_the_textbooks() -> None:
    x, y, w = random_pair()
    assert float(pearson(pearson_sums(x, y))) == pytest.approx(np.corrcoef(x, y)[0, 1])
    covariance = np.cov(x, y, aweights=w)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert float(pearson(pearson_sums(x, y, w))) == pytest.approx(expected)


def test_whole_weights_are_copies_and_sums_add_up() -> None:
    x, y, w = random_pair()
    copies = np.ceil(w).astype(int)
    weighted = pearson_sums(x, y, copies)
    np.testing.assert_allclose(weighted, pearson_sums(np.repeat(x, copies), np.repeat(y, copies)))
    parts = pearson_sums(x[:200], y[:200], w[:200]) + pearson_sums(x[200:], y[200:], w[200:])
    np.testing.assert_allclose(parts, pearson_sums(x, y, w))


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_pearson_has_no_unit(scale: float) -> None:
    x, y, _ = random_pair()
    expected = float(pearson(pearson_sums(x, y)))
    for sign in (1, -1):
        found = float(pearson(pearson_sums(sign * scale * x, y / scale)))
        assert found == pytest.approx(sign * expected)


def test_pearson_of_equals_is_one() -> None:
    x, _, w = random_pair()
    assert float(pearson(pearson_sums(x, x, w))) == pytest.approx(1)
    assert -1 <= float(pearson(pearson_sums(x, -x, w))) <= 1


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 1e-20, 12345.678])
def test_a_constant_has_no_correlation(constant: float) -> None:
    x, _, w = random_pair(n=5000)
    still = np.full_like(x, constant, dtype=np.float32)
    sums = pearson_sums(still, x, w)
    assert np.isnan(pearson(sums))
    first, second = variances(sums)
    assert first == 0
    assert second > 0


def test_statistics_take_many_rows() -> None:
    rows = np.stack([pearson_sums(*random_pair(seed)) for seed in range(3)] + [np.zeros(6)])
    found = pearson(rows)
    np.testing.assert_allclose(found[:3], [float(pearson(row)) for row in rows[:3]])
    assert np.isnan(found[3])
    counts = np.array([[1, 0, 0, 1], [0, 0, 0, 5], [0, 2, 1, 1]])
    np.testing.assert_allclose(f1(counts), [1, np.nan, 0])
    np.testing.assert_allclose(iou(counts), [1, np.nan, 0])
    np.testing.assert_allclose(balanced_accuracy(counts), [1, np.nan, 1 / 6])


def test_weighted_correlation_is_scipys_with_tokens_repeated() -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(2, 40))
    times = random.integers(1, 9, 40)
    theirs = pearsonr(np.repeat(x, times), np.repeat(y, times)).statistic
    ours = pearson(pearson_sums(x, y, times.astype(np.float64)))
    assert float(ours) == pytest.approx(float(theirs), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 41, 200, 999, 1000])
def test_quantiles_are_numpys(n: int) -> None:
    values = np.sort(np.random.default_rng(n).normal(size=n))
    for share in (0.0, 0.025, 0.3, 0.5, 0.975, 1.0):
        assert quantile(values, share) == np.quantile(values, share)
