from __future__ import annotations

import numpy as np
import torch

from neuroexplain.collectors.moments import Moments


def test_moments_keep_their_digits_beside_a_large_mean() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([0.0, 10_000.0, -300.0], dtype=np.float32)
    moments = Moments(3)
    seen = []
    for spans, tokens in [(32, 64), (1, 3), (7, 64), (32, 20)] * 5:
        batch = (rng.normal(0, 1, (spans, tokens, 3)) + centres).astype(np.float32)
        tensor = torch.from_numpy(batch)
        moments.update(tensor, tensor.amax(1), tensor.amin(1))
        seen.append(batch.reshape(-1, 3))
    values = np.concatenate(seen).astype(np.float64)
    assert (moments.n_tokens, moments.n_spans) == (len(values), 5 * (32 + 1 + 7 + 32))
    np.testing.assert_allclose(moments.mean, values.mean(0), rtol=1e-7, atol=1e-7)
    # A batch's own mean is a float32: beside 10,000 it is right to a thousandth.
    np.testing.assert_allclose(moments.std, values.std(0), rtol=1e-5)
    np.testing.assert_array_equal(moments.max, values.max(0))
    np.testing.assert_array_equal(moments.min, values.min(0))
    np.testing.assert_allclose(moments.frac_positive, (values > 0).mean(0), rtol=1e-12)


def test_a_constant_neuron_has_no_spread() -> None:
    moments = Moments(1)
    for _ in range(3):
        tensor = torch.full((4, 5, 1), 1234.567)
        moments.update(tensor, tensor.amax(1), tensor.amin(1))
    assert moments.std.tolist() == [0.0]
    assert moments.frac_positive.tolist() == [1.0]
