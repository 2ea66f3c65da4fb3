from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.records import Failure, HeldOut, Simulation, SpanSimulation
from neuroexplain.scorers.alignment import Aligned, covered, predictions
from neuroexplain.scorers.statistics import pearson_terms

Build = Any  # of conftest.py, which cannot be imported

TRUTHS = [[9, 1, 2], [9], [9, 0, 4, 5]]
LEVELS = [[8, 3, 1], [7], [6, 0, 2, 10]]


@pytest.fixture
def held_out(build: Build) -> HeldOut:
    """Spans whose first token does not count; of the second span nothing is left."""
    made: HeldOut = build.held_out(TRUTHS, first=1)
    return made


def test_counted_tokens_stand_one_behind_the_other(build: Build, held_out: HeldOut) -> None:
    own = predictions(build.simulation(held_out, LEVELS))
    twice = predictions(build.simulation(held_out, [[2 * x for x in row] for row in LEVELS]))
    found = Aligned(held_out.spans, [own, twice])
    assert found.truth.tolist() == [1, 2, 0, 4, 5]
    assert found.expected.tolist() == [[3, 1, 0, 2, 10], [6, 2, 0, 4, 20]]
    assert found.lengths.tolist() == [2, 0, 3]
    assert found.nonzero.tolist() == [2, 0, 2]
    assert found.truth.dtype == found.expected.dtype == np.float64


def test_sums_of_every_span(build: Build, held_out: HeldOut) -> None:
    own = predictions(build.simulation(held_out, LEVELS))
    found = Aligned(held_out.spans, [own, own]).sums(pearson_terms)
    # 1, x, y, xx, yy, xy; a span without counted tokens sums to nothing.
    first, third = [2, 4, 3, 10, 5, 5], [3, 12, 9, 104, 41, 58]
    assert found.tolist() == [[list(row) for row in zip(first, [0] * 6, third, strict=True)]] * 2


def test_equal_terms_are_summed_once(build: Build, held_out: HeldOut) -> None:
    found = Aligned(held_out.spans, [predictions(build.simulation(held_out, LEVELS))])
    assert found.sums(pearson_terms) is found.sums(pearson_terms)
    assert found.sums(lambda x, y: (x, y)).shape == (1, 2, 3)


def test_only_spans_that_all_predict(build: Build, held_out: HeldOut) -> None:
    whole: Simulation = build.simulation(held_out, LEVELS)
    failed = SpanSimulation(whole.spans[0].span, None, Failure("simulate", "parse_failed", "no"))
    part = predictions(replace(whole, spans=(failed, *whole.spans[1:])))
    assert covered(held_out.spans, [predictions(whole), part]) == held_out.spans[1:]
    assert covered(held_out.spans, [predictions(whole)]) == held_out.spans
    assert covered(held_out.spans, [{}, part]) == ()


def test_nothing_in_common(build: Build, held_out: HeldOut) -> None:
    found = Aligned((), [{}, {}])
    assert found.expected.shape == (2, 0)
    assert found.sums(pearson_terms).shape == (2, 6, 0)
    empty = Aligned(held_out.spans[1:2], [predictions(build.simulation(held_out, LEVELS))])
    assert empty.sums(pearson_terms).tolist() == [[[0.0]] * 6]


def test_a_simulation_of_other_lengths_is_a_mistake(build: Build, held_out: HeldOut) -> None:
    short = predictions(build.simulation(held_out, [[8, 3, 1], [7], [6, 0, 2]]))
    with pytest.raises(ValueError, match="reshape"):
        Aligned(held_out.spans, [short])
