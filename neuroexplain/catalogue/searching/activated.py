"""Where activations stand among those that neurons have on the corpus: the neurons that a text moves most, by their own measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.collections.rolls import Roll
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.catalogue.searching.sql import Sql, fetch
from neuroexplain.catalogue.storage import codec
from neuroexplain.recorded import QUANTILE_LEVELS
from neuroexplain.records import POLARITIES, Floats


@dataclass(frozen=True, eq=False)
class Knots:
    """The distributions of a collection's neurons, in the order of its roll."""

    values: Floats
    """[neuron, knot]; smallest activation, quantiles, largest activation, never descending; NaN where they are not known."""
    positive: Floats
    """[neuron]; share of all tokens on which a neuron is above 0; NaN where that is not known."""

    @classmethod
    def read(cls, connection: Connection, collection: Collection, roll: Roll) -> Knots:
        """Read them all at once: some 70 bytes a neuron."""
        statement = Sql(
            "SELECT neuron_id, min, max, quantiles, frac_positive FROM statistics "
            "WHERE collection_id = ? AND quantiles IS NOT NULL AND min IS NOT NULL AND max IS NOT NULL",
            (collection.id,),
        )
        found = fetch(connection, statement)
        values = np.full((len(roll.rows), len(QUANTILE_LEVELS) + 2), np.nan, np.float32)
        places = roll.places(np.array([row[0] for row in found], np.int64))
        quantiles = codec.unfloats(b"".join(row[3] for row in found))
        values[places, 0] = [row[1] for row in found]
        values[places, 1:-1] = quantiles.reshape(-1, len(QUANTILE_LEVELS))
        values[places, -1] = [row[2] for row in found]
        positive = np.full(len(roll.rows), np.nan, np.float32)
        positive[places] = [np.nan if row[4] is None else row[4] for row in found]
        return cls(np.maximum.accumulate(values, axis=1), positive)


def ranking(roll: Roll, knots: Knots, highest: Floats, lowest: Floats) -> Ranking:
    """Neurons by how rare their activations on a text are for them, on either side.

    A neuron is ranked on the sides on which it fires; see `standing` for the values. Quantiles are of a sample, so a value is
    no less than the share of all tokens on which the neuron does not fire on that side, as far as that is known.

    Args:
        roll: the neurons.
        knots: their distributions.
        highest: [neuron]; largest activation on the text.
        lowest: [neuron]; smallest one.
    """
    known = ~np.isnan(knots.values).any(axis=1)
    rows, polarities, values = [], [], []
    for polarity, extreme in zip(POLARITIES, (highest, lowest), strict=True):
        fires = np.flatnonzero(known & (extreme * polarity > 0))
        own = knots.values[fires]
        found = standing(own if polarity > 0 else -own[:, ::-1], extreme[fires] * polarity)
        silent = knots.positive[fires] if polarity < 0 else 1 - knots.positive[fires]
        rows.append(roll.rows[fires])
        polarities.append(np.full(len(fires), polarity, np.int8))
        values.append(np.fmax(found, silent))
    return Ranking.of_neurons(
        "quantile",
        np.concatenate(rows),
        np.concatenate(polarities),
        np.concatenate(values),
        missing=int((~known).sum()),
    )


def standing(knots: Floats, activations: Floats) -> NDArray[np.float64]:
    """Where an activation of each neuron stands in its distribution.

    Up to the largest activation of the corpus, the share of tokens with a smaller one: linear between two knots, and the
    smaller level where several quantiles are equal. Beyond, 1 and the excess in units of the distance from the 0.999
    quantile to the largest activation (from the smallest to the largest where that is 0), so that the order stays.

    Args:
        knots: [neuron, knot]; smallest activation, quantiles at QUANTILE_LEVELS, largest activation.
        activations: [neuron]

    Returns:
        [neuron]; 0 or more. 1 for whatever is beyond a constant.
    """
    levels = np.array([0, *QUANTILE_LEVELS, 1])
    exact, wanted = knots.astype(np.float64), activations.astype(np.float64)
    above = (exact < wanted[:, None]).sum(axis=1)
    right = np.clip(above, 1, len(levels) - 1)
    each = np.arange(len(exact))
    low, high = exact[each, right - 1], exact[each, right]
    share = np.divide(wanted - low, high - low, out=np.zeros(len(exact)), where=high > low)
    inside = levels[right - 1] + share.clip(0, 1) * (levels[right] - levels[right - 1])
    largest, smallest = exact[:, -1], exact[:, 0]
    tail = largest - exact[:, -2]
    unit = np.where(tail > 0, tail, largest - smallest)
    beyond = np.divide(wanted - largest, unit, out=np.zeros(len(exact)), where=unit > 0)
    return np.where(above == len(levels), 1 + beyond, inside)
