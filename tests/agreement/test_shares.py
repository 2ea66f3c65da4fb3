"""Share correct: against exhaustive enumeration, and coverage of its interval by simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t

from neuroexplain.agreement.estimates import proportion, wilson
from neuroexplain.agreement.shares import Sample, Share, share, unweighted


def drawn(
    truth: list[np.ndarray], sizes: list[int], rng: np.random.Generator, response: float = 1.0
) -> Sample:
    """A sample of some members of every stratum, of which a share answers."""
    answers = [rng.choice(t, n, replace=False) for t, n in zip(truth, sizes, strict=True)]
    stratum = np.repeat(np.arange(len(truth)), sizes)
    weight = np.repeat([len(t) / n for t, n in zip(truth, sizes, strict=True)], sizes)
    answered = rng.random(len(stratum)) < response
    return Sample(np.concatenate(answers).astype(float), answered, weight, stratum)


def plain(answers: list[float], weight: float = 1000.0) -> Sample:
    n = len(answers)
    return Sample(
        np.array(answers), np.ones(n, bool), np.full(n, weight), np.zeros(n, dtype=np.int64)
    )


def test_wilson_is_that_of_the_textbook() -> None:
    # Newcombe 1998, Statistics in Medicine 17: 81 of 263, and 0 of 20
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_weighted_mean_of_strata() -> None:
    sample = Sample(
        answer=np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
        answered=np.ones(6, bool),
        weight=np.array([10.0, 10.0, 100.0, 100.0, 100.0, 100.0]),
        stratum=np.array([0, 0, 1, 1, 1, 1]),
    )
    found = share(sample)
    assert found.estimate.value == pytest.approx((20 * 1 + 400 * 0.25) / 420)
    assert found.population == 420
    assert found.lowest == found.highest == pytest.approx(120 / 420)


def test_the_variance_is_that_of_all_possible_samples() -> None:
    """Of every sample that could have been drawn: none has an interval that is narrower than its variance says."""
    truth = [np.array([1, 0, 0, 1, 0]), np.array([1, 1, 1, 0])]
    whole = np.concatenate(truth).mean()
    values, variances, exact = [], [], 0
    for first in combinations(range(5), 2):
        for second in combinations(range(4), 2):
            answer = np.concatenate([truth[0][list(first)], truth[1][list(second)]]).astype(float)
            stratum, weight = np.array([0, 0, 1, 1]), np.array([2.5] * 2 + [2.0] * 2)
            value = float(np.average(answer, weights=weight))
            v = (5 / 9) ** 2 * (1 - 2 / 5) * answer[:2].var(ddof=1) / 2
            v += (4 / 9) ** 2 * (1 - 2 / 4) * answer[2:].var(ddof=1) / 2
            estimate = share(Sample(answer, np.ones(4, bool), weight, stratum)).estimate
            assert estimate.value == pytest.approx(value)
            assert estimate.low is not None and estimate.high is not None
            if v:
                low, high = wilson(value, value * (1 - value) / v, float(t.ppf(0.975, 2)))
                assert estimate.low <= low + 1e-9 and estimate.high >= high - 1e-9
                exact += (estimate.low, estimate.high) == pytest.approx((low, high))
            values.append(value)
            variances.append(v)
    assert np.mean(values) == pytest.approx(whole)
    assert np.mean(variances) == pytest.approx(np.var(values))
    assert exact >= 18  # wherever both strata are of two minds


def test_a_heavy_stratum_of_one_mind_makes_no_certainty() -> None:
    answer = np.array([1.0] + [0.0] * 60)
    stratum = np.array([0] * 21 + [1] * 40)
    weight = np.where(stratum == 0, 3.0, 90.0)
    found = share(Sample(answer, np.ones(61, bool), weight, stratum)).estimate
    assert found.value == pytest.approx(3 / (63 + 3600))
    assert found.high is not None and found.high > 0.05  # 0 of 40 leaves room for 1 in 20


@pytest.mark.parametrize(
    ("shares", "populations", "sizes", "response"),
    [
        ([0.5], [100_000], [100], 1.0),
        ([0.2], [800], [160], 1.0),
        ([0.2, 0.5, 0.9], [5000, 1000, 200], [40, 40, 40], 1.0),
        ([0.2, 0.5, 0.9], [300, 100, 60], [60, 50, 40], 0.8),
        ([0.05, 0.3, 0.6, 0.8, 0.9, 0.95], [9000, 4000, 2000, 800, 300, 100], [20] * 6, 1.0),
        ([0.4, 0.03], [300, 3000], [20, 60], 1.0),
        ([0.9, 0.95, 0.85, 0.8] * 3, [400, 900, 100, 2000] * 3, [12] * 12, 0.9),
    ],
    ids=["plain", "small", "unequal", "silent", "steep", "rare", "many"],
)
def test_95_of_100_intervals_hold_the_truth(
    shares: list[float], populations: list[int], sizes: list[int], response: float
) -> None:
    rng = np.random.default_rng(3)
    held = 0
    times = 1500
    truth = [np.arange(n) < round(p * n) for p, n in zip(shares, populations, strict=True)]
    whole = float(np.concatenate(truth).mean())
    for _ in range(times):
        found = share(drawn(truth, sizes, rng, response)).estimate
        assert found.low is not None and found.high is not None
        held += found.low <= whole <= found.high
    assert 0.93 <= held / times <= 0.97


def test_a_part_that_cuts_through_strata_is_covered_too() -> None:
    rng = np.random.default_rng(4)
    populations, sizes, times, held = [4000, 1000, 500], [60, 60, 60], 1500, 0
    truth = [rng.random(n) < p for n, p in zip(populations, (0.3, 0.6, 0.8), strict=True)]
    parts = [rng.random(n) < p for n, p in zip(populations, (0.7, 0.4, 0.5), strict=True)]
    right = sum(int((t & p).sum()) for t, p in zip(truth, parts, strict=True))
    whole = right / sum(int(p.sum()) for p in parts)
    stratum = np.repeat(np.arange(3), sizes)
    weight = np.repeat([n / m for n, m in zip(populations, sizes, strict=True)], sizes)
    for _ in range(times):
        places = [rng.choice(n, m, replace=False) for n, m in zip(populations, sizes, strict=True)]
        answer = np.concatenate([t[p] for t, p in zip(truth, places, strict=True)]).astype(float)
        within = np.concatenate([t[p] for t, p in zip(parts, places, strict=True)])
        sample = Sample(answer, np.ones(len(answer), bool), weight, stratum)
        found = share(sample, within).estimate
        assert found.low is not None and found.high is not None
        held += found.low <= whole <= found.high
    assert 0.93 <= held / times <= 0.97


def test_bounds_hold_whatever_the_missing_answers_are() -> None:
    sample = plain([1, 1, 0, 0])
    sample = Sample(
        sample.answer, np.array([True, True, True, False]), sample.weight, sample.stratum
    )
    found = share(sample)
    assert (found.lowest, found.highest) == (0.5, 0.75)
    assert found.estimate.value == pytest.approx(2 / 3)
    assert (found.estimate.n, found.items) == (3, 4)


def test_a_stratum_without_answers_is_left_out_and_said_so() -> None:
    sample = Sample(
        answer=np.array([1.0, 0.0, 1.0, 0.0]),
        answered=np.array([True, True, False, False]),
        weight=np.array([10.0, 10.0, 30.0, 30.0]),
        stratum=np.array([0, 0, 1, 1]),
    )
    found = share(sample)
    assert found.estimate.value == 0.5
    assert found.left_out == 60
    assert (found.lowest, found.highest) == pytest.approx((10 / 80, 70 / 80))


def test_when_everybody_was_asked_there_is_nothing_to_estimate() -> None:
    found = share(plain([1, 0, 1, 1], weight=1.0)).estimate
    assert found.value == found.low == found.high == 0.75


def test_all_correct_is_not_certain() -> None:
    found = share(plain([1.0] * 20)).estimate
    assert found.value == found.high == 1
    assert found.low is not None
    assert 0.8 < found.low < 0.85
    # strata that are each of one mind do not make it certain either
    sample = Sample(
        np.array([1.0] * 5 + [0.0] * 5), np.ones(10, bool), np.full(10, 50.0), np.repeat([0, 1], 5)
    )
    split = share(sample).estimate
    assert split.low is not None and split.high is not None
    assert split.low < 0.4 and split.high > 0.6


def test_what_has_no_interval_says_why() -> None:
    assert share(plain([1.0])).estimate.reason == "too few answers for an interval: 1 in 1 strata"
    nobody = Sample(np.zeros(3), np.zeros(3, bool), np.ones(3), np.zeros(3, dtype=np.int64))
    assert share(nobody).estimate.reason == "no answers"
    assert share(plain([1.0]), np.zeros(1, bool)).estimate.reason == "no items"
    chosen = unweighted(np.array([1.0, 0.0, 0.5]), np.array([True, True, True]), "chosen by hand")
    assert chosen == Share(chosen.estimate, 0.5, 0.5, 3, None)
    assert (chosen.estimate.value, chosen.estimate.low) == (0.5, None)
    assert chosen.estimate.reason == "chosen by hand"
    assert unweighted(np.zeros(2), np.zeros(2, bool), "").estimate.reason == "no answers"
    assert proportion(0, 0).reason == "no observations"


def test_items_of_unequal_weight_in_a_stratum_are_covered() -> None:
    """Rows are drawn, and rows of one text are one item with their weight: some texts are of two methods."""
    rng = np.random.default_rng(9)
    populations, sizes, times, held = [3000, 900], [70, 70], 1500, 0
    owner = [rng.integers(0, int(n * 0.7), n) for n in populations]
    truth = [rng.random(n) < p for n, p in zip(populations, (0.3, 0.7), strict=True)]
    right = sum(int(a[o].sum()) for a, o in zip(truth, owner, strict=True))
    whole = right / sum(populations)
    for _ in range(times):
        answers, weights, strata = [], [], []
        for h, (n, m) in enumerate(zip(populations, sizes, strict=True)):
            texts, rows = np.unique(owner[h][rng.choice(n, m, replace=False)], return_counts=True)
            answers.append(truth[h][texts].astype(float))
            weights.append(rows * n / m)
            strata.append(np.full(len(texts), h))
        answer = np.concatenate(answers)
        sample = Sample(
            answer, np.ones(len(answer), bool), np.concatenate(weights), np.concatenate(strata)
        )
        found = share(sample).estimate
        assert found.low is not None and found.high is not None
        held += found.low <= whole <= found.high
    assert 0.93 <= held / times <= 0.97
