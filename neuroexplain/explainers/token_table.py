"""`token-table`: the mean activation of every token, no language model. The floor that any explanation must beat."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from neuroexplain.explainers.base import MAX_TEXT, dead, levels, quoted, weighted
from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import chosen, register


@register("explainer", "token-table")
@dataclass(frozen=True)
class TokenTable:
    """Explain a neuron by the mean level of each token, whatever its context. Needs no language model."""

    size: int = 500
    """Tokens kept: those that explain most of the activation's variance."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size must be at least 1")

    async def explain(self, evidence: Evidence, *, seed: int) -> Explanation:
        """Average the explain split's activations by token id, each span weighted by what it stands for."""
        failure = dead(evidence)
        if failure is not None:
            return Explanation(
                evidence.neuron,
                "token-table",
                "",
                evidence.scale,
                settings=chosen(self),
                failure=failure,
            )
        sums: defaultdict[int, np.ndarray] = defaultdict(lambda: np.zeros(2))
        texts: dict[int, str] = {}
        for exemplar, weight in weighted(evidence):
            span = exemplar.span
            for at in range(span.first, len(span)):
                texts[span.token_ids[at]] = span.tokens[at]
            for token, level in zip(
                span.token_ids[span.first :], levels(exemplar, evidence)[span.first :], strict=True
            ):
                sums[token] += (weight, weight * float(level))
        total = sum(sums.values(), np.zeros(2))
        default = float(total[1] / total[0]) if total[0] else 0.0
        means = {token: float(s[1] / s[0]) for token, s in sums.items()}
        telling = sorted(means, key=lambda t: (-sums[t][0] * (means[t] - default) ** 2, t))
        table = {str(t): round(means[t], 3) for t in telling[: self.size]}
        strongest = sorted((t for t in telling[: self.size]), key=lambda t: (-means[t], t))[:10]
        return Explanation(
            neuron=evidence.neuron,
            explainer="token-table",
            text=f"the tokens {quoted([(texts[t], means[t]) for t in strongest])}"[:MAX_TEXT],
            scale=evidence.scale,
            data={"table": table, "default": round(default, 3)},
            settings=chosen(self),
        )
