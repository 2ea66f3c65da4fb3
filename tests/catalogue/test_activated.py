"""Where activations stand in their neurons' distributions: case by case, and against a loop of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.collections.rolls import Roll
from neuroexplain.catalogue.searching.activated import Knots, ranking, standing
from neuroexplain.recorded import QUANTILE_LEVELS, LayerCollection, SubjectInfo, TokenCorpus
from neuroexplain.records import Floats, NeuronId

LEVELS = [0.0, *QUANTILE_LEVELS, 1.0]
EVEN = [float(n) for n in range(17)]
"""Knots at whole numbers: the smallest activation is 0, the median 8, the largest 16."""
SPARSE = [0.0] * 12 + [1.0, 2.0, 3.0, 4.0, 8.0]
"""A neuron that is silent on most tokens."""
FLAT_TOP = [0.0] * 10 + [2.0] * 7
CONSTANT = [3.0] * 17

CASES: dict[str, tuple[list[float], float, float]] = {
    "below all": (EVEN, -1.0, 0.0),
    "the smallest": (EVEN, 0.0, 0.0),
    "between the smallest and the first": (EVEN, 0.5, 0.0005),
    "a quantile": (EVEN, 8.0, 0.5),
    "between two": (EVEN, 9.5, 0.825),
    "the last quantile": (EVEN, 15.0, 0.999),
    "between that and the largest": (EVEN, 15.5, 0.9995),
    "the largest": (EVEN, 16.0, 1.0),
    "beyond": (EVEN, 16.5, 1.5),
    "far beyond": (EVEN, 36.0, 21.0),
    "silent": (SPARSE, 0.0, 0.0),
    "hardly above silence": (SPARSE, 0.5, 0.9625),
    "equal quantiles": (FLAT_TOP, 2.0, 0.9),
    "beyond, where the last quantile is the largest": (FLAT_TOP, 3.0, 1.5),
    "a constant": (CONSTANT, 3.0, 0.0),
    "beyond a constant": (CONSTANT, 4.0, 1.0),
}


@pytest.mark.parametrize("case", CASES)
def test_an_activation_stands_at_the_share_of_tokens_below_it(case: str) -> None:
    knots, activation, expected = CASES[case]
    found = standing(np.array([knots], np.float32), np.array([activation], np.float32))
    assert found.tolist() == pytest.approx([expected], abs=1e-12)


def slow(knots: Floats, activation: float) -> float:
    """The same, one knot after another."""
    values: list[float] = knots.astype(float).tolist()
    if activation > values[-1]:
        unit = values[-1] - values[-2] or values[-1] - values[0]
        return 1 + (activation - values[-1]) / unit if unit else 1.0
    for place in range(1, 17):
        if values[place - 1] < activation <= values[place]:
            share = (activation - values[place - 1]) / (values[place] - values[place - 1])
            return LEVELS[place - 1] + share * (LEVELS[place] - LEVELS[place - 1])
    return 0.0


def test_all_neurons_at_once_are_as_one_after_another() -> None:
    random = np.random.default_rng(0)
    knots = np.sort(random.normal(size=(500, 17)), axis=1).astype(np.float32)
    knots[::5, :9] = knots[::5, 8:9]
    knots[::7, 12:] = knots[::7, 12:13]
    activations = (2 * random.normal(size=500)).astype(np.float32)
    activations[::3] = knots[::3, 10]
    expected = [slow(k, float(a)) for k, a in zip(knots, activations, strict=True)]
    np.testing.assert_allclose(standing(knots, activations), expected, atol=1e-12)
    order = np.sort(random.normal(size=200)).astype(np.float32)
    places = standing(np.repeat(knots[:1], 200, axis=0), order)
    assert (np.diff(places) >= 0).all(), "more activation never stands lower"


def test_neurons_are_ranked_on_the_sides_on_which_they_fire() -> None:
    roll = Roll(np.array([11, 12, 13, 14]), {0: 0, 3: 2}, {0: 2, 3: 2})
    values = np.array([EVEN, EVEN, [n - 8.0 for n in EVEN], [np.nan] * 17], np.float32)
    highest = np.array([12.0, -1.0, 1.0, 5.0], np.float32)
    lowest = np.array([2.0, -2.0, -10.0, -5.0], np.float32)
    unknown = np.full(4, np.nan, np.float32)
    found = ranking(roll, Knots(values, unknown), highest, lowest)
    placed = zip(found.rows.tolist(), found.polarities.tolist(), strict=True)
    # 13 falls 2 below its smallest, -8, and its first quantile is -7. 12 falls to -2, and never was below 0.
    assert dict(zip(placed, found.values.tolist(), strict=True)) == pytest.approx(
        {(13, -1): 3.0, (12, -1): 3.0, (11, 1): 0.975, (13, 1): 0.75}
    )
    assert (found.kind, found.name, found.missing) == ("neuron", "quantile", 1)
    assert found.rows.tolist() == [12, 13, 11, 13]


def test_a_value_is_no_less_than_the_share_of_tokens_on_which_the_neuron_is_silent() -> None:
    roll = Roll(np.array([11, 12]), {0: 0}, {0: 2})
    knots = Knots(np.array([SPARSE, SPARSE], np.float32), np.array([0.002, 0.2], np.float32))
    found = ranking(roll, knots, np.array([0.5, 0.5], np.float32), -np.ones(2, np.float32))
    placed = zip(found.rows.tolist(), found.polarities.tolist(), strict=True)
    assert dict(zip(placed, found.values.tolist(), strict=True)) == pytest.approx(
        {(11, 1): 0.998, (12, 1): 0.9625, (11, -1): 1.125, (12, -1): 1.125}
    )


def test_the_catalogue_reads_the_distributions_that_were_recorded(
    catalogue: Catalogue, collection: Collection, layers: list[LayerCollection]
) -> None:
    random = np.random.default_rng(1)
    highest = {layer: random.normal(size=4).astype(np.float32) for layer in (0, 2)}
    lowest = {layer: highest[layer] - random.random(4).astype(np.float32) for layer in (0, 2)}
    found = catalogue.activated(collection, highest, lowest)
    wanted = {}
    for layer in layers:
        for index in range(4):
            name = NeuronId("tiny", layer.layer, index)
            recorded = catalogue.evidence(collection, name).statistics
            quantiles = [value for _, value in recorded.quantiles]
            smallest, largest, above = recorded.min, recorded.max, recorded.frac_positive
            assert smallest is not None and largest is not None and above is not None
            knots = np.maximum.accumulate([smallest, *quantiles, largest])
            for polarity, extremes in ((1, highest), (-1, lowest)):
                value = float(extremes[layer.layer][index]) * polarity
                if value > 0:
                    own = knots if polarity > 0 else -knots[::-1]
                    silent = above if polarity < 0 else 1 - above
                    wanted[layer.layer, index, polarity] = max(slow(own, value), silent)
    places = {
        1 + place: (layer, i)
        for place, (layer, i) in enumerate((n, i) for n in (0, 2) for i in range(4))
    }
    placed = [
        (*places[row], polarity)
        for row, polarity in zip(found.rows.tolist(), found.polarities.tolist(), strict=True)
    ]
    assert dict(zip(placed, found.values.tolist(), strict=True)) == pytest.approx(wanted, rel=1e-5)
    assert found.missing == 0


def test_neurons_of_which_no_tokens_were_sampled_are_missing(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    mixed = [layers[0], replace(layers[1], sketch=None)]
    catalogue.save_collection("k", {}, subject, corpus, mixed)
    ones = {layer: np.ones(4, np.float32) for layer in (0, 2)}
    found = catalogue.activated(catalogue.collection(), ones, ones)
    assert (len(found), found.missing) == (4, 4)
