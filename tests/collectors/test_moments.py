from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroexplain.collectors.moments import ExactSum, Moments
from neuroexplain.collectors.reductions import Reduced, extremes, reduce, reduce_whole

SHAPES = [(32, 64), (1, 3), (7, 64), (32, 20)] * 5
REDUCTIONS = [reduce, reduce_whole]
"""That of a processor, and that of an accelerator."""


def add(moments: Moments, batch: Tensor, how: Callable[[Tensor], Reduced] = reduce) -> None:
    moments.add(how(batch), batch.shape[1])


def test_moments_keep_their_digits_beside_a_large_mean() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([0.0, 10_000.0, -300.0], dtype=np.float32)
    moments = Moments(3)
    seen = []
    for spans, tokens in SHAPES:
        batch = (rng.normal(0, 1, (spans, tokens, 3)) + centres).astype(np.float32)
        add(moments, torch.from_numpy(batch))
        seen.append(batch.reshape(-1, 3))
    values = np.concatenate(seen).astype(np.float64)
    assert moments.n_tokens.tolist() == [len(values)] * 3
    assert moments.n_spans == 5 * (32 + 1 + 7 + 32)
    np.testing.assert_allclose(moments.mean, values.mean(0), rtol=1e-7, atol=1e-7)
    # A span's own mean is a float32: beside 10,000 it is right to a thousandth.
    np.testing.assert_allclose(moments.std, values.std(0), rtol=1e-5)
    np.testing.assert_array_equal(moments.max, values.max(0))
    np.testing.assert_array_equal(moments.min, values.min(0))
    np.testing.assert_allclose(moments.frac_positive, (values > 0).mean(0), rtol=1e-12)


@pytest.mark.parametrize("how", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_reductions_are_those_of_float64(
    how: Callable[[Tensor], Reduced], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    centres = torch.tensor([0.0, 5.0, -0.2, 0.001])
    batches = [(torch.randn(*shape, 4) + centres).to(dtype) for shape in SHAPES]
    moments = Moments(4)
    for batch in batches:
        add(moments, batch, how)
        assert all(map(torch.equal, _ends(how(batch)), _ends(extremes(batch))))
    values = torch.cat([b.flatten(0, 1) for b in batches]).double().numpy()
    np.testing.assert_allclose(moments.mean, values.mean(0), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(moments.std, values.std(0), rtol=1e-6)
    np.testing.assert_array_equal(moments.max, values.max(0))
    np.testing.assert_array_equal(moments.min, values.min(0))
    np.testing.assert_array_equal(moments.n_positive, (values > 0).sum(0))


def _ends(reduced: Reduced) -> tuple[Tensor, Tensor]:
    return reduced.highest, reduced.lowest


@pytest.mark.parametrize("value", [1234.567, 1e-3, -0.17])
def test_a_constant_neuron_has_no_spread(value: float) -> None:
    moments = Moments(1)
    for _ in range(3):
        add(moments, torch.full((4, 5, 1), value))
    assert moments.std.tolist() == [0.0]
    assert moments.frac_positive.tolist() == [float(value > 0)]


def test_a_block_larger_than_the_cache_is_reduced_the_same() -> None:
    """One span beyond the size of a block, and a number of spans that blocks do not divide."""
    torch.manual_seed(0)
    for shape in ((2, 400, 1600), (11, 64, 3000)):
        batch = torch.randn(shape)
        made, plain = reduce(batch), reduce_whole(batch)
        assert made.sums is not None and plain.sums is not None
        assert made.deviations is not None and plain.deviations is not None
        assert made.positive is not None and plain.positive is not None
        torch.testing.assert_close(made.sums, plain.sums, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(made.deviations.double(), plain.deviations, rtol=1e-4, atol=0)
        assert torch.equal(made.positive, plain.positive.float())
        assert torch.equal(made.highest, plain.highest)


def test_sums_do_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 6)) * 10.0 ** rng.integers(-9, 9, (500, 6))
    sums = []
    for order in (np.arange(500), rng.permutation(500), np.argsort(values[:, 0])):
        total = ExactSum(6)
        for row in values[order]:
            total.add(row)
        sums.append(total.value)
    assert sums[0].tobytes() == sums[1].tobytes() == sums[2].tobytes()
    exact = [math.fsum(column) for column in values.T]
    np.testing.assert_allclose(sums[0], exact, rtol=1e-15, atol=500 * 2.0**-60)


def test_large_and_small_numbers_are_summed() -> None:
    total = ExactSum(3)
    rows = [[2.0**60, -(2.0**60), 0.1], [1.0, 0.5, -0.1], [-(2.0**60), 2.0**60, 2.0**-50]]
    for row in rows:
        total.add(np.array(row))
    assert total.value.tolist() == [1.0, 0.5, 2.0**-50]


def test_merged_moments_are_those_of_all() -> None:
    torch.manual_seed(0)
    batches = [torch.randn(*shape, 5) * 3 + 1 for shape in SHAPES]
    whole, one, two = Moments(5), Moments(5), Moments(5)
    for number, batch in enumerate(batches):
        add(whole, batch)
        add(two if number % 3 else one, batch)
    both = Moments(5)
    both.merge(two.arrays())
    both.merge(one.arrays())
    for name, array in whole.arrays().items():
        assert both.arrays()[name].tobytes() == array.tobytes(), name


def test_an_empty_shard_changes_nothing() -> None:
    moments = Moments(2)
    add(moments, torch.tensor([[[1.0, -2.0], [3.0, -4.0]]]))
    before = {name: array.copy() for name, array in moments.arrays().items()}
    moments.merge(Moments(2).arrays())
    for name, array in moments.arrays().items():
        np.testing.assert_array_equal(array, before[name])
    assert (moments.mean.tolist(), moments.std.tolist()) == ([2.0, -3.0], [1.0, 1.0])
