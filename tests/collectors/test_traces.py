from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.collectors.traces import from_bits, pack, rounded_bits


@pytest.mark.parametrize("largest", [1.0, 60_000.0, 65_504.0, 1e6, 3e38])
def test_packed_traces_come_back(largest: float) -> None:
    rng = np.random.default_rng(0)
    traces = rng.uniform(-1, 1, (3, 5, 16)).astype(np.float32)
    traces[1] *= np.float32(largest)
    packed, exponents = pack(traces)
    again = packed.astype(np.float32) * np.exp2(exponents.astype(np.float32))[..., None]
    assert np.isfinite(packed).all()
    assert (exponents[0] == 0).all() and exponents.max() <= 127
    ends = np.abs(traces).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(again / ends, traces / ends, rtol=2**-11, atol=1e-6)


def test_no_traces_are_packed_as_none() -> None:
    packed, exponents = pack(np.zeros((0, 7), dtype=np.float32))
    assert (packed.shape, exponents.shape) == ((0, 7), (0,))


def test_rounding_keeps_eleven_bits_and_the_order() -> None:
    values = np.exp2(np.random.default_rng(0).uniform(-60, 60, 2000)).astype(np.float32)
    values.sort()
    bits = rounded_bits(values)
    assert (np.diff(bits) >= 0).all()
    fraction, exponent = np.frexp(values.astype(np.float64))
    expected = np.ldexp(np.floor(fraction * 2**11 + 0.5), exponent - 11)
    np.testing.assert_array_equal(from_bits(bits), expected.astype(np.float32))


def test_noise_of_another_batch_shape_is_rounded_away() -> None:
    values = np.array([0.0, 0.75, 3.0], dtype=np.float32)
    noise = np.array([0.0, 1e-6, -6e-6], dtype=np.float32)
    np.testing.assert_array_equal(rounded_bits(values), rounded_bits(values + noise))
