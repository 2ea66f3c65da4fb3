"""Predictions beside the truth, token by token: made once for an explanation, whatever it is scored by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import Floats, HeldOutSpan, Simulation
from neuroexplain.scorers.statistics import Array

Predictions = Mapping[int, Floats]
"""Expected levels [token] by the number of the span."""
Terms = Callable[[Array, Array], Sequence[Array]]
"""From expected levels [simulation, token] and true activations [token] to what a statistic sums up: several
[simulation, token], or [token] where a term is the same for all simulations."""


def predictions(simulation: Simulation) -> Predictions:
    """A simulation without its failed spans."""
    return {s.span.span: s.expected for s in simulation.spans if s.expected is not None}


def covered(
    spans: Iterable[HeldOutSpan], simulations: Sequence[Predictions]
) -> tuple[HeldOutSpan, ...]:
    """The spans that every simulation has predicted."""
    return tuple(s for s in spans if all(s.span.span in p for p in simulations))


class Aligned:
    """The counted tokens of some spans, one span behind the other.

    Args:
        spans: the truth.
        simulations: predictions of all of these spans.
        scale: level 10 in the units of the truth; 0 where nobody asks for it.
    """

    def __init__(
        self,
        spans: Sequence[HeldOutSpan],
        simulations: Sequence[Predictions],
        *,
        scale: float = 0.0,
    ) -> None:
        places = [(s.span.span, s.span.first) for s in spans]
        truth = [s.truth[s.span.first :] for s in spans]
        expected = [p[number][first:] for p in simulations for number, first in places]
        self.spans = spans
        self.scale = scale
        self.lengths = np.array(list(map(len, truth)), np.int64)
        """[span]; counted tokens."""
        self.truth = np.concatenate([np.zeros(0), *truth])
        """[token]"""
        shape = len(simulations), len(self.truth)
        self.expected = np.concatenate([np.zeros(0), *expected]).reshape(shape)
        """[simulation, token]"""
        self._sums: dict[Terms, Array] = {}

    def __len__(self) -> int:
        """Simulations."""
        return len(self.expected)

    @cached_property
    def nonzero(self) -> Array:
        """[span]; tokens on which the neuron is above 0."""
        return self.per_span(self.truth > 0)

    @cached_property
    def peaks(self) -> Array:
        """[span]; largest true activation, 0 where no token counts."""
        return self.largest(self.truth)

    def only(self, chosen: NDArray[np.bool_]) -> Aligned:
        """The first simulation alone, on some of the spans [span]; what has been summed up is taken over."""
        part = Aligned.__new__(Aligned)
        part.spans = [s for s, kept in zip(self.spans, chosen.tolist(), strict=True) if kept]
        part.scale = self.scale
        part.lengths = self.lengths[chosen]
        kept = np.repeat(chosen, self.lengths)
        part.truth, part.expected = self.truth[kept], self.expected[:1, kept]
        part._sums = {terms: sums[:1, :, chosen] for terms, sums in self._sums.items()}
        return part

    def sums(self, terms: Terms) -> Array:
        """Sums of terms over the tokens of every span, [simulation, term, span]; made once for equal terms."""
        if terms not in self._sums:
            parts = [self.per_span(term) for term in terms(self.expected, self.truth)]
            sums = np.empty((len(self.expected), len(parts), len(self.spans)))
            for place, part in enumerate(parts):
                sums[:, place] = part
            self._sums[terms] = sums
        return self._sums[terms]

    def per_span(self, values: NDArray[np.generic]) -> Array:
        """Sums [..., span] of values [..., token]."""
        return self._reduced(np.add, values)

    def largest(self, values: NDArray[np.generic]) -> Array:
        """Maxima [..., span] of values [..., token]; 0 of a span in which no token counts."""
        return self._reduced(np.maximum, values)

    def per_token(self, values: Array) -> Array:
        """Values [span, ...] repeated for every token, [token, ...]."""
        return np.repeat(values, self.lengths, axis=0)

    def _reduced(self, reduction: np.ufunc, values: NDArray[np.generic]) -> Array:
        filled = np.flatnonzero(self.lengths)
        starts = np.cumsum(self.lengths) - self.lengths
        found: Array = reduction.reduceat(values, starts[filled], axis=-1, dtype=np.float64)
        if len(filled) == len(self.spans):
            return found
        # A sum over no token would have taken in the first token of the next span.
        every = np.zeros((*found.shape[:-1], len(self.spans)))
        every[..., filled] = found
        return every
