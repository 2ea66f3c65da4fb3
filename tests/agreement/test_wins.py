"""Choices between methods: a published example, other formulas for the same, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from neuroexplain.agreement.wins import Choice, bradley_terry, wins

BASEBALL = np.array([[0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10], [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0]], float)  # fmt: skip
"""Agresti, Categorical Data Analysis: American League 1987, Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore."""


def choices(
    strengths: list[float], neurons: int, rng: np.random.Generator, reviewers: int = 2
) -> list[Choice]:
    """Of reviewers who mostly agree about a neuron, between random pairs of methods."""
    found = []
    for neuron in range(neurons):
        a, b = rng.choice(len(strengths), 2, replace=False).tolist()
        wins_ = rng.random() < 1 / (1 + np.exp(strengths[b] - strengths[a]))
        found += [Choice(neuron, a, b, float(wins_))] * reviewers
    return found


def test_strengths_of_the_baseball_example() -> None:
    found = bradley_terry(BASEBALL[None])[0]
    # against Baltimore: 1.581, 1.436, 1.295, 1.248, 1.108, 0.684
    expected = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0]
    assert found - found[-1] == pytest.approx(expected, abs=2e-3)
    assert found.sum() == pytest.approx(0)


def test_strengths_have_the_largest_likelihood() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(1, 9, (4, 4)).astype(float)
    np.fill_diagonal(table, 0)

    def against(free: np.ndarray) -> float:
        s = np.append(free, -free.sum())
        return float((table * np.logaddexp(0, s[None, :] - s[:, None])).sum())

    best = minimize(against, np.zeros(3)).x
    assert bradley_terry(table[None])[0][:3] == pytest.approx(best, abs=1e-4)


def test_rates_and_pairs_count_ties_half() -> None:
    given = [Choice(0, 0, 1, 1), Choice(1, 1, 0, 0.5), Choice(2, 1, 0, 0), Choice(3, 0, 2, 0)]
    found = wins(given, 3)
    assert [r.value for r in found.rates] == pytest.approx([2.5 / 4, 0.5 / 3, 1])
    assert [r.n for r in found.rates] == [4, 3, 1]
    pair = found.against[0]
    assert (pair.first, pair.second, pair.wins, pair.ties, pair.losses) == (0, 1, 2, 1, 0)
    assert (pair.neurons, pair.for_first, pair.p_value) == (2, 2, 0.5)
    assert (found.against[1].first, found.against[1].second) == (0, 2)
    assert len(found.against) == 2


def test_reviewers_of_one_neuron_speak_once_in_the_sign_test() -> None:
    given = [Choice(n, 0, 1, 1) for n in range(5) for _ in range(10)]
    given += [Choice(5, 0, 1, 1), Choice(5, 1, 0, 1)]
    (pair,) = wins(given, 2).against
    assert (pair.wins, pair.losses, pair.neurons) == (51, 1, 5)
    assert pair.p_value == pytest.approx(2 / 2**5)
    (tied,) = wins([Choice(0, 0, 1, 0.5)], 2).against
    assert tied.p_value is None


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(0, 1), (1, 0), (2, 3), (3, 2)], "fall into groups"),
        ([(0, 1), (1, 0), (0, 2), (0, 3)], "never won against the others, or never lost"),
    ],
)
def test_strengths_that_cannot_be_told_say_why(pairs: list[tuple[int, int]], reason: str) -> None:
    found = wins([Choice(n, a, b, 1) for n, (a, b) in enumerate(pairs)], 4)
    assert all(s.value is None and reason in (s.reason or "") for s in found.strengths)


def test_a_method_that_was_never_compared() -> None:
    found = wins([Choice(0, 0, 1, 1), Choice(1, 0, 1, 0)], 3)
    assert found.rates[2].reason == found.strengths[2].reason == "never compared"
    assert found.strengths[0].value == pytest.approx(0)
    nothing = wins([], 2)
    assert [r.reason for r in nothing.rates] == ["never compared"] * 2
    assert nothing.against == ()


def test_95_of_100_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(8)
    strengths = [0.6, 0.0, -0.6]
    chance = [[1 / (1 + np.exp(b - a)) for b in strengths] for a in strengths]
    rate = (chance[0][1] + chance[0][2]) / 2
    times = 300
    held = np.zeros(2)
    for n in range(times):
        found = wins(choices(strengths, 240, rng), 3, resamples=400, seed=n)
        for k, (estimate, truth) in enumerate([(found.rates[0], rate), (found.strengths[0], 0.6)]):
            assert estimate.low is not None and estimate.high is not None
            held[k] += estimate.low <= truth <= estimate.high
    assert (held / times >= 0.93).all() and (held / times <= 0.97).all()
