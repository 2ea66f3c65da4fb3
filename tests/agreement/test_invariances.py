"""What must not matter to a statistic does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroexplain.agreement.alpha import alpha
from neuroexplain.agreement.calibration import auc, curve
from neuroexplain.agreement.kappa import Weights, confusion, kappa
from neuroexplain.agreement.shares import Sample, share
from neuroexplain.agreement.wins import Choice, wins

quick = settings(deadline=None, max_examples=60, derandomize=True, database=None)
codes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


@quick
@given(codes)
def test_kappa_is_the_same_from_either_side_and_in_its_range(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    every: tuple[Weights, ...] = ("nominal", "linear", "quadratic")
    for weights in every:
        there = kappa(confusion(a, b, 4), weights, resamples=20)
        back = kappa(confusion(b, a, 4), weights, resamples=20)
        assert (there.value is None) == (back.value is None)
        if there.value is not None and back.value is not None:
            assert there.value == pytest.approx(back.value)
            assert -1 - 1e-9 <= there.value <= 1 + 1e-9


@quick
@given(codes, st.permutations(range(4)))
def test_alpha_knows_no_names_of_categories(
    pairs: list[tuple[int, int]], renamed: list[int]
) -> None:
    counts = np.array([[p.count(c) for c in range(4)] for p in pairs])
    first = alpha(counts, resamples=20).value
    other = alpha(counts[:, renamed], resamples=20).value
    assert (first is None) == (other is None)
    if first is not None:
        assert first == pytest.approx(other)
        # turning the order round leaves the distances as they are
        forth, back = alpha(counts, "ordinal", resamples=20), alpha(counts[:, ::-1], "ordinal")
        assert forth.value == pytest.approx(back.value)


@quick
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40),
    st.floats(0.5, 1000),
)
def test_a_share_knows_no_unit_of_weight_and_lies_within_its_bounds(
    rows: list[tuple[float, bool, int]], unit: float
) -> None:
    answer, answered, stratum = (np.array(column) for column in zip(*rows, strict=True))
    weight = np.array([2.0, 5.0, 11.0])[stratum]
    found = share(Sample(answer, answered, weight, stratum))
    other = share(Sample(answer, answered, weight * unit, stratum))
    assert (found.estimate.value is None) == (not answered.any())
    if found.estimate.value is not None:
        assert other.estimate.value == pytest.approx(found.estimate.value)
        assert found.lowest is not None and found.highest is not None
        assert 0 <= found.lowest <= found.highest + 1e-12 <= 1 + 1e-9
        if found.left_out == 0:
            assert found.lowest - 1e-9 <= found.estimate.value <= found.highest + 1e-9
        if found.estimate.low is not None and found.estimate.high is not None:
            assert found.estimate.low <= found.estimate.value + 1e-9
            assert found.estimate.value <= found.estimate.high + 1e-9


@quick
@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_and_the_curve_know_ranks_only(rows: list[tuple[int, bool]]) -> None:
    score, correct = (np.array(column, float) for column in zip(*rows, strict=True))
    neuron = np.arange(len(rows))
    found, other = auc(score, correct, neuron), auc(np.exp(score), correct, neuron)
    assert found == other
    flipped = auc(-score, correct, neuron)
    if found.value is not None and flipped.value is not None:
        assert found.value + flipped.value == pytest.approx(1)
    steps = [s.correct for s in curve(score, correct)]
    assert steps == sorted(steps)
    assert steps == pytest.approx([s.correct for s in curve(np.exp(score), correct)])


@quick
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.permutations(range(3)), st.sampled_from([0, 0.5, 1])),
        max_size=30,
    )
)
def test_wins_know_no_left_and_right(rows: list[tuple[int, list[int], float]]) -> None:
    choices = [Choice(n, a, b, won) for n, (a, b, _), won in rows]
    turned = [Choice(c.neuron, c.right, c.left, 1 - c.won) for c in choices]
    found, other = wins(choices, 3, resamples=20), wins(turned, 3, resamples=20)
    assert found == other
    values = [s.value for s in found.strengths if s.value is not None]
    if len(values) == 3:
        assert sum(values) == pytest.approx(0, abs=1e-6)
