"""Activations beside predictions."""

from __future__ import annotations

from neuroexplain.exchanged import NeuronRecord, SpanLevels
from neuroexplain.records import Floats


class Truths:
    """Activations on the spans that were simulated: those of the prediction itself, else those of the neuron's span at its place.

    Args:
        record: the neuron.
    """

    def __init__(self, record: NeuronRecord) -> None:
        self._kept: dict[tuple[int | None, int | None], Floats] = {
            (span.document, span.start): span.activations
            for span in record.spans
            if span.document is not None and span.start is not None
        }

    def of(self, span: SpanLevels) -> Floats | None:
        """[token]; signed; None where they are not known."""
        if span.activations is not None:
            return span.activations
        found = self._kept.get((span.document, span.start))
        return found if found is not None and len(found) == len(span.tokens) else None
