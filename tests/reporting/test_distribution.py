"""Numbers about many scores, against those found by hand."""

from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.reporting import assemble
from neuroexplain.reporting.distribution import q_values
from tests.reporting.made import Made, score

NAN = float("nan")


@pytest.mark.parametrize(
    ("p", "q"),
    [
        # Sorted, with m = 4: .01*4/1, .02*4/2, .03*4/3 and .5*4/4, each at most the next.
        ([0.02, 0.5, 0.01, 0.03], [0.04, 0.5, 0.04, 0.04]),
        # .01*5/1 = .05; .04*5/3 = .0667 holds for the two before it, whose own are .075 and .0667.
        ([0.01, 0.03, 0.04, 0.2, 0.9], [0.05, 0.2 / 3, 0.2 / 3, 0.25, 0.9]),
        # The smallest p of a null of 20 in half of the explanations: (1/21) / (1/2).
        ([1 / 21, 1 / 21, 1, 1], [2 / 21, 2 / 21, 1, 1]),
        ([0.04, NAN, 0.5, NAN], [0.08, NAN, 0.5, NAN]),
        ([0.3], [0.3]),
        ([NAN], [NAN]),
        ([], []),
    ],
)
def test_q_values_are_those_of_benjamini_and_hochberg(p: list[float], q: list[float]) -> None:
    np.testing.assert_allclose(q_values(np.array(p)), q, rtol=1e-12)


def test_numbers_by_hand(made: Made) -> None:
    run = made.run()
    scores = [
        score(0.1, p=0.04, floor=0.2, null_mean=0.3),
        score(0.2, p=0.02, floor=0.1, null_mean=-0.1, null_own=0.1, coverage=0.5),
        score(0.4, p=0.04, floor=0.4),
        score(
            0.8, p=None, floor=None, null_mean=None, null_own=None, null_n=3, null_reason="too few"
        ),
        score(None, reason="constant_simulation", floor=0.9, null_n=0),
        score(None, reason="dead_neuron", floor=0.9, null_n=0),
    ]
    for place, one in enumerate(scores):
        made.score(run, made.explain(run, f"0/{place % 4}{'+-'[place // 4]}"), one)
    (section,) = assemble(made.catalogue).sections
    total = section.total
    assert (total.n, total.n_scored) == (6, 4)
    assert total.undefined == {"constant_simulation": 1, "dead_neuron": 1}
    assert total.mean == pytest.approx(0.375)
    assert total.median == pytest.approx(0.3)
    # Of four numbers the quantile at q lies 3q places behind the first.
    assert total.q25 == pytest.approx(0.1 + 0.75 * 0.1)
    assert total.q75 == pytest.approx(0.4 + 0.25 * 0.4)
    assert total.q90 == pytest.approx(0.4 + 0.7 * 0.4)
    assert total.null == pytest.approx(0.0)  # of 0.3, -0.1 and 0
    assert total.over_null == pytest.approx(0.2)  # of -0.2, 0.2 and 0.4
    assert total.no_null == {"too few": 1}
    assert total.floor == pytest.approx(0.2)  # of 0.2, 0.1 and 0.4
    assert total.above_floor == pytest.approx(1 / 3)  # a score on its floor is not above it
    assert total.n_p == 3
    assert total.p_below == 1
    assert total.q_below == 1  # all three are .04
    assert total.smallest_p == pytest.approx(1 / 21)
    assert total.coverage == pytest.approx(0.875)


def test_layers_add_up_to_all_of_them(made: Made) -> None:
    run = made.run()
    for place, value in (("0/0", 0.1), ("0/1", 0.3), ("2/0", 0.9), ("2/1-", None)):
        made.score(run, made.explain(run, place), score(value))
    (section,) = assemble(made.catalogue).sections
    found = {layer: (d.n, d.n_scored) for layer, d in section.layers.items()}
    assert found == {0: (2, 2), 2: (2, 1)}
    medians = [d.median for d in section.layers.values()]
    assert medians == pytest.approx([0.2, 0.9])
    assert (section.total.n, section.total.n_scored) == (4, 3)


def test_what_nobody_knows_is_none(made: Made) -> None:
    run = made.run()
    made.score(run, made.explain(run, "0/0"), score(None, null_mean=None, floor=None, null_n=0))
    (section,) = assemble(made.catalogue).sections
    unknown = {
        *("mean", "q25", "median", "q75", "q90", "null", "over_null", "floor", "above_floor"),
        *("p_below", "q_below", "smallest_p", "coverage"),
    }
    for distribution in (section.total, section.layers[0]):
        assert {name for name, v in vars(distribution).items() if v is None} == unknown
        assert (distribution.n, distribution.n_scored, distribution.n_p) == (1, 0, 0)
