"""`token-table`: looks every token up in a token-table explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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
        default = float(explanation.data["default"])
        return Simulation(
            simulator="token-table",
            spans=tuple(
                SpanSimulation(
                    span,
                    np.array([table.get(str(i), default) for i in span.token_ids], np.float32),
                )
                for span in spans
            ),
            settings=chosen(self),
        )
