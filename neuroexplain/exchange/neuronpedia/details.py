"""Details of a score in the shapes that Neuronpedia draws: a JSON list with an entry per judged text.

Only verdicts on whole texts have them here. What `fuzzing` asked about, marks in a text, cannot be told from the levels that are kept of
it, and per-token predictions have no shape of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from neuroexplain.exchange.truths import Truths
from neuroexplain.exchanged import (
    ExplanationRecord,
    NeuronRecord,
    ScoreRecord,
    SimulationRecord,
)
from neuroexplain.levels import MAX_LEVEL, side
from neuroexplain.records import Floats

NOTHING = "{}"
FIRES = 0.5
"""Share of the scale that a peak has to reach for the neuron to count as firing, as in scorer `detection`."""


def details(record: NeuronRecord, own: ExplanationRecord, scored: ScoreRecord) -> str:
    """The column `jsonDetails` of a score.

    Shape of `eleuther_recall` for scorers `detection…`, of `eleuther_embedding` for simulator `embedding`, else `{}`.
    """
    simulation = next((s for s in own.simulations if _is(s, scored)), None)
    if simulation is None or not own.scale:
        return NOTHING
    judged = _judged(record, simulation)
    if scored.score.scorer.startswith("detection"):
        found = [
            _text(tokens, truth, own.scale) | _recall(levels, truth, own.scale)
            for tokens, levels, truth in judged
        ]
    elif scored.simulator == "embedding":
        found = [
            _text(tokens, truth, own.scale) | _embedding(levels) for tokens, levels, truth in judged
        ]
    else:
        found = []
    return json.dumps(found, ensure_ascii=False, allow_nan=False) if found else NOTHING


def _is(simulation: SimulationRecord, scored: ScoreRecord) -> bool:
    return (simulation.simulator, simulation.split, simulation.llm) == (
        *(scored.simulator, scored.split, scored.llm),
    )


def _judged(
    record: NeuronRecord, simulation: SimulationRecord
) -> Iterator[tuple[tuple[str, ...], Floats, Floats]]:
    """Texts that have both: tokens, predicted levels, activations on the polarity's side."""
    truths = Truths(record)
    for span in simulation.spans:
        truth = truths.of(span)
        if span.expected is not None and truth is not None:
            yield span.tokens, span.expected, side(truth, record.neuron.polarity)


def _text(tokens: tuple[str, ...], truth: Floats, scale: float) -> dict[str, Any]:
    peak = float(truth.max(initial=0.0))
    return {
        "text": "".join(tokens),
        "str_tokens": list(tokens),
        "activations": truth.tolist(),
        "distance": _distance(peak, scale),
    }


def _distance(peak: float, scale: float) -> int:
    """Tenth of the scale that a peak is in, 1 for the highest (it is shown as 11 minus this); -1 for a quiet text."""
    if peak <= 0:
        return -1
    return 11 - min(10, max(1, math.ceil(10 * peak / scale)))


def _recall(levels: Floats, truth: Floats, scale: float) -> dict[str, Any]:
    probability = float(levels.max(initial=0.0)) / MAX_LEVEL
    fires = bool(truth.max(initial=0.0) >= FIRES * scale)
    said = probability >= 0.5
    return {
        "ground_truth": fires,
        "prediction": said,
        "highlighted": False,
        "correct": said == fires,
        "probability": probability,
    }


def _embedding(levels: Floats) -> dict[str, Any]:
    """Similarity is the largest cosine of a token: a level is 10 times its square."""
    return {"similarity": float(np.sqrt(levels.max(initial=0.0) / MAX_LEVEL))}
