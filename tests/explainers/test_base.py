from __future__ import annotations

from typing import Any

import numpy as np

from neuroexplain.explainers.base import levels, quoted, weighted

Build = Any  # of conftest.py, which cannot be imported


def test_a_span_of_two_kinds_counts_once(build: Build) -> None:
    spans = [build.span("a b") for _ in range(3)]
    exemplars = [
        build.exemplar(spans[0], [1, 2]),
        build.exemplar(spans[0], [1, 2], kind="random"),
        build.exemplar(spans[1], [1, 2], kind="random", rank=1),
        build.exemplar(spans[2], [1, 2], kind="quantile"),
    ]
    found = [(e.span.span, w) for e, w in weighted(build.evidence(exemplars, n_spans=12))]
    assert found == [(spans[0].span, 1.0), (spans[1].span, 4.0), (spans[2].span, 4.0)]


def test_levels_of_the_smallest_scale_are_finite(build: Build) -> None:
    # The collector keeps peaks down to 2^-126; 10 over that is no float32.
    exemplar = build.exemplar(build.span("a b c"), [2.0**-126, 2.0**-127, 0])
    found = levels(exemplar.activations, build.evidence([exemplar]))
    assert found.tolist() == [10, 5, 0]
    assert found.dtype == np.float32


def test_quoted_keeps_blank_tokens_visible() -> None:
    assert quoted([(" \n", 9.96), (" a\tb ", 0)]) == "“ \\n” (10.0), “a\\tb” (0.0)"
