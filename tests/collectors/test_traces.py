from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.collectors.traces import LARGEST, pack, unpack


@pytest.mark.parametrize("largest", [1.0, 60_000.0, 65_504.0, 1e6, 3e38])
def test_packed_traces_come_back(largest: float) -> None:
    rng = np.random.default_rng(0)
    traces = rng.uniform(-1, 1, (3, 5, 16)).astype(np.float32)
    traces[1] *= np.float32(largest)
    packed, exponents = pack(traces)
    again = packed.astype(np.float32) * np.exp2(exponents.astype(np.float32))[..., None]
    np.testing.assert_array_equal(unpack(packed, exponents), again)
    assert np.isfinite(packed).all()
    assert (exponents[0] == 0).all() and exponents.max() <= 127
    assert (exponents > 0).any() == (largest > LARGEST)
    ends = np.abs(traces).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(again / ends, traces / ends, rtol=2**-11, atol=1e-6)


def test_traces_of_either_sign_are_scaled() -> None:
    for sign in (1, -1):
        traces = np.array([[1.0, sign * 1e5]], dtype=np.float32)
        packed, exponents = pack(traces)
        assert exponents.tolist() == [1]
        np.testing.assert_allclose(unpack(packed, exponents), traces, rtol=2**-11)


def test_no_traces_are_packed_as_none() -> None:
    packed, exponents = pack(np.zeros((0, 7), dtype=np.float32))
    assert (packed.shape, exponents.shape) == ((0, 7), (0,))


def test_the_rounding_is_that_of_float16() -> None:
    rng = np.random.default_rng(0)
    values = np.exp2(rng.uniform(-26, 15, 20_000)).astype(np.float32)
    # Halfway between two numbers too.
    halves = values.astype(np.float16)
    between = (halves.astype(np.float32) + np.nextafter(halves, np.float16(np.inf))) / 2
    for some in (values, -values, between.astype(np.float32)):
        packed, exponents = pack(some[None])
        assert not exponents.any()
        np.testing.assert_array_equal(packed[0], some.astype(np.float16))


def test_noise_of_another_batch_shape_is_rounded_away() -> None:
    values = np.array([[0.0, 0.75, 3.0]], dtype=np.float32)
    noise = np.array([0.0, 1e-6, -6e-6], dtype=np.float32)
    np.testing.assert_array_equal(pack(values)[0], pack(values + noise)[0])
