"""`token-table`: the mean activation of every token, no language model. The floor that any explanation must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.explainers.base import MAX_TEXT, dead, levels, quoted, weighted
from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import chosen, register

DECIMALS = 3
"""Of the levels in an explanation."""


@register("explainer", "token-table")
@dataclass(frozen=True)
class TokenTable:
    """Explain a neuron by the mean level of each token, whatever its context. Needs no language model."""

    size: int = 500
    """Tokens kept: those that explain most of the activation's variance."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size must be at least 1")

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
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
        table = tabulate(evidence, self.size)
        texts: dict[int, str] = {}
        for span in (exemplar.span for exemplar, _ in weighted(evidence)):
            counted = slice(span.first, None)
            texts.update(zip(span.token_ids[counted], span.tokens[counted], strict=True))
        strongest = np.lexsort((table.ids, -table.means))[:10].tolist()
        shown = [(texts[int(table.ids[i])], float(table.means[i])) for i in strongest]
        kept = zip(map(str, table.ids.tolist()), table.levels.tolist(), strict=True)
        return Explanation(
            neuron=evidence.neuron,
            explainer="token-table",
            text=f"the tokens {quoted(shown)}"[:MAX_TEXT],
            scale=evidence.scale,
            data={"table": dict(kept), "default": table.default},
            settings=chosen(self),
        )


@dataclass(frozen=True)
class Table:
    """Mean levels 0-10 of token ids."""

    ids: NDArray[np.int64]
    """[token]; those first that explain most of the activation's variance."""
    means: NDArray[np.float64]
    """[token]"""
    levels: NDArray[np.float64]
    """[token]; the means as they stand in an explanation, rounded."""
    default: float
    """Mean level of all tokens, rounded."""


def tabulate(evidence: Evidence, size: int) -> Table:
    """Average a neuron's levels by token id, over every distinct span, weighted by what it stands for.

    Args:
        evidence: of a neuron that is not dead.
        size: token ids kept.
    """
    counted = [
        (e.span.id_array[e.span.first :], e.activations[e.span.first :], weight)
        for e, weight in weighted(evidence)
    ]
    ids = np.concatenate([np.zeros(0, np.int64), *(i for i, _, _ in counted)])
    fired = np.concatenate([np.zeros(0, np.float32), *(a for _, a, _ in counted)])
    lengths = np.array([len(i) for i, _, _ in counted], np.int64)
    weights = np.repeat([weight for _, _, weight in counted], lengths)
    distinct, place = _numbered(ids)
    weight = np.bincount(place, weights, len(distinct))
    level = np.bincount(place, weights * levels(fired, evidence), len(distinct))
    default = float(level.sum() / weight.sum()) if len(ids) else 0.0
    means = level / weight
    telling = np.argsort(-weight * (means - default) ** 2, kind="stable")[:size]
    kept = means[telling]
    return Table(distinct[telling], kept, _rounded(kept), round(default, DECIMALS))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `round` does it to each, but all at once."""
    rounded = np.round(values, DECIMALS)
    # NumPy multiplies before it rounds, which may lead to the other side of a half.
    halves = np.abs(values * 10**DECIMALS % 1 - 0.5) < 1e-6
    rounded[halves] = [round(value, DECIMALS) for value in values[halves].tolist()]
    return rounded


def _numbered(ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct token ids in ascending order, and for every token the index of its id among them.

    Token ids are small numbers, so this needs no sorting: several times faster than `np.unique`.
    """
    there = np.zeros(ids.max(initial=-1) + 1, np.bool_)
    there[ids] = True
    distinct = np.flatnonzero(there)
    index = np.empty(len(there), np.int64)
    index[distinct] = np.arange(len(distinct))
    return distinct, index[ids]
