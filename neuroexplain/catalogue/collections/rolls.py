"""All neurons of a collection in one array: rows, layers and places, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.searching.sql import Sql, fetch

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Roll:
    """The neurons that a collection recorded."""

    rows: Numbers
    """[neuron]; in the table of neurons; 0 for one that was not recorded."""
    starts: dict[int, int]
    """Place of a layer's first neuron, by layer."""
    widths: dict[int, int]
    """Neurons of a layer, by layer."""

    @classmethod
    def read(cls, connection: Connection, collection: Collection) -> Roll:
        """Read it from a catalogue."""
        subject = collection.subject
        widths = {layer: subject.widths[layer] for layer in collection.layers}
        starts, total = {}, 0
        for layer, width in widths.items():
            starts[layer] = total
            total += width
        statement = Sql(
            "SELECT n.layer, n.idx, n.id FROM neuron n JOIN subject s ON s.id = n.subject_id "
            "WHERE s.name = ? AND n.site = ?",
            (subject.name, subject.site),
        )
        found = np.array(fetch(connection, statement), np.int64).reshape(-1, 3)
        rows = np.zeros(total, np.int64)
        for layer, start in starts.items():
            some = found[(found[:, 0] == layer) & (found[:, 1] < widths[layer])]
            rows[start + some[:, 1]] = some[:, 2]
        return cls(rows, starts, widths)

    def layer(self, layer: int) -> slice:
        """Places of a layer's neurons."""
        return slice(self.starts[layer], self.starts[layer] + self.widths[layer])

    def places(self, rows: Numbers) -> Numbers:
        """Places of some of the rows, in the order given."""
        order = np.argsort(self.rows, kind="stable")
        found: Numbers = order[np.searchsorted(self.rows[order], rows)]
        return found
