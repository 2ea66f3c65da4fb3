from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroexplain.collectors.ngram_topk import TopNgrams, in_order
from neuroexplain.records import Floats

Numbers = NDArray[np.int64]


def expected(values: Floats, k: int) -> Numbers:
    """[neuron, rank]; numbers of the k largest above 0 of [n-gram, neuron], of equal ones the first; then -1.

    Values are compared by float16's eleven digits, whether or not float16 has their exponent.
    """
    columns = np.ascontiguousarray(values.T).astype(np.float64)
    digits, exponents = np.frexp(np.maximum(columns, 0))
    # Eleven digits that are rounded up to twelve are the first number of the next exponent.
    places = ((exponents + 200) * 2**10 + np.round(digits * 2**11) - 2**10) * (columns > 0)
    n = columns.shape[1]
    ranks = places.astype(np.int64) * n + np.arange(n)[::-1]
    order = np.argsort(-ranks, axis=1)
    ranked = np.where(np.take_along_axis(columns, order, axis=1) > 0, order, -1)
    return np.pad(ranked, ((0, 0), (0, k)), constant_values=-1)[:, :k]


def offer(top: TopNgrams, values: Floats, rows: Numbers) -> None:
    """Some n-grams to all neurons, as far as the thresholds let them through."""
    places, neurons = np.nonzero(values[rows] >= top.reaching)
    passing = values[rows][places, neurons]
    top.offer(neurons, rows[places], passing, passing, passing * 2)


def made(kind: str) -> Floats:
    random = np.random.default_rng(0)
    values = random.normal(size=(900, 37)).astype(np.float32)
    if kind == "ties":
        values = np.round(values, 1).astype(np.float32)
    elif kind == "saturated":
        values = np.minimum(values, np.float32(0.17))
    elif kind == "nearly equal":
        values = (1 + 1e-6 * values).astype(np.float32)
    elif kind == "few above 0":
        values -= np.float32(2.5)
    elif kind == "tiny and huge":
        values *= np.logspace(-30, 30, 37).astype(np.float32)
    return values


@pytest.mark.parametrize("k", [1, 7, 200])
@pytest.mark.parametrize(
    "kind", ["normal", "ties", "saturated", "nearly equal", "few above 0", "tiny and huge"]
)
def test_the_k_strongest_in_whatever_order_they_come(kind: str, k: int) -> None:
    values = made(kind)
    numbers = expected(values, k)
    kept = np.where(numbers >= 0, np.take_along_axis(values.T, numbers, axis=1), 0)
    random = np.random.default_rng(1)
    for order in (np.arange(900), np.arange(900)[::-1], random.permutation(900)):
        for size in (900, 64, 1) if k == 7 else (128,):
            top = TopNgrams(37, k)
            for start in range(0, 900, size):
                offer(top, values, order[start : start + size])
            found, means, maxima = in_order(top.arrays())
            np.testing.assert_array_equal(found, numbers)
            np.testing.assert_array_equal(means, kept)
            np.testing.assert_array_equal(maxima, 2 * kept)


def test_a_restored_state_goes_on_to_the_same_end() -> None:
    values = made("ties")
    whole = TopNgrams(37, 20)
    offer(whole, values, np.arange(900))
    first, second = TopNgrams(37, 20), TopNgrams(37, 20)
    offer(first, values, np.arange(400))
    second.restore({name: array.copy() for name, array in first.arrays().items()})
    np.testing.assert_array_equal(second.reaching, first.reaching)
    offer(second, values, np.arange(400, 900))
    for one, two in zip(in_order(second.arrays()), in_order(whole.arrays()), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_full_list_turns_nearly_all_away_before_it_is_looked_at() -> None:
    random = np.random.default_rng(0)
    values = random.random((40_000, 8)).astype(np.float32)
    top = TopNgrams(8, 20)
    offer(top, values[:20_000], np.arange(20_000))
    top.settle()
    passing = values[20_000:] >= top.reaching
    assert passing.mean() < 0.002
    weakest = np.sort(values[:20_000], axis=0)[-20]
    assert (top.reaching <= weakest).all() and (top.reaching > weakest * (1 - 2**-10)).all()
