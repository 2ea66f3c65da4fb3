"""`token-table`: looks every token up in a token-table explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import Explanation, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.simulators.base import require_data


@register("simulator", "token-table")
@dataclass(frozen=True)
class TokenTableSimulator:
    """Predict each token's mean level from a token-table explanation. Needs no language model."""

    reads: ClassVar[str] = "token-table"
    """The only explainer whose explanations hold what is looked up."""

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Look the tokens up; one that is not in the table gets the neuron's mean level."""
        require_data(explanation, "table", "token-table")
        assert explanation.data is not None
        table: dict[str, float] = explanation.data["table"]
        ids = np.array(list(map(int, table)), np.int64)
        levels = np.array(list(table.values()), np.float64)
        return self.look_up(spans, ids, levels, float(explanation.data["default"]))

    def look_up(
        self,
        spans: Sequence[TokenSpan],
        ids: NDArray[np.int64],
        levels: NDArray[np.float64],
        default: float,
    ) -> Simulation:
        """Predict spans from levels [token] of token ids [token], and the level of all other tokens."""
        highest = np.concatenate([ids, *(span.id_array for span in spans)]).max(initial=0)
        every = np.full(highest + 1, default, np.float32)
        every[ids] = levels
        return Simulation(
            simulator="token-table",
            spans=tuple(SpanSimulation(span, every[span.id_array]) for span in spans),
            settings=chosen(self),
        )
