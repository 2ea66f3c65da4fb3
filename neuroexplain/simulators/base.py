"""What a simulator is: it predicts activations from an explanation, and never sees one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from neuroexplain.errors import PluginError
from neuroexplain.records import Explanation, Simulation, TokenSpan


class Simulator(Protocol):
    """Turns an explanation and bare tokens into expected levels."""

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Predict a level 0-10 for every token of every span.

        A span without a usable reply is a failed span with its raw reply, never zeros.

        Raises:
            PluginError: the explanation is of a kind that this simulator cannot read.
            LLMError: no reply could be had at all.
        """


def require_data(explanation: Explanation, key: str, simulator: str) -> None:
    """Refuse an explanation that lacks what a simulator without a language model reads.

    Raises:
        PluginError: the explanation holds no such data.
    """
    if explanation.data is None or key not in explanation.data:
        raise PluginError(
            f'simulator "{simulator}" reads the explanations of explainer "{simulator}" only, not of '
            f'"{explanation.explainer}"; choose another simulator, for example embedding, sparse or logprob'
        )
