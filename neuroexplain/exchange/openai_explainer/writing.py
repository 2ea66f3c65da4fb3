"""Neurons to files of neuron-explainer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroexplain.exchange.files import line, write_or_remove
from neuroexplain.exchange.notes import notes
from neuroexplain.exchange.openai_explainer.layout import (
    ACTIVATIONS,
    EXPLANATIONS,
    LEVELS,
    OURS,
    SCORES,
    TOKENS,
    laid_out,
    path_of,
)
from neuroexplain.exchange.places import Place
from neuroexplain.exchange.truths import Truths
from neuroexplain.exchanged import ExplanationRecord, NeuronRecord, SimulationRecord, SpanRecord
from neuroexplain.records import Floats, Split

Object = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """What an export wrote, and what it had no place for."""

    neurons: int
    explanations: int
    failed: int
    """Failed explanations, left out."""
    look_alikes: int
    """Contrastive spans, left out."""
    predictions: int
    """Predicted spans that failed or whose truth is not known, left out."""


def write(records: Iterable[NeuronRecord], out: Path) -> Written:
    """Write neurons of one subject, whose name is in no file but ours; files of the same neurons are replaced.

    Raises:
        ExchangeError: a file cannot be written.
    """
    counts: Counter[str] = Counter()
    for record in records:
        neuron = record.neuron
        good = [own for own in record.explanations if own.status == "ok"]
        counts["neurons"] += 1
        counts["explanations"] += len(good)
        counts["failed"] += len(record.explanations) - len(good)
        counts["look_alikes"] += sum(span.kind == "contrastive" for span in record.spans)
        scored = [entry for place, own in enumerate(good) for entry in _scored(record, place, own)]
        counts["predictions"] += sum(entry.left_out for entry in scored)
        files = {
            ACTIVATIONS: _record(record),
            EXPLANATIONS: _results(record, scored) if good else None,
            TOKENS: _tokens(record) if record.promoted or record.suppressed else None,
            OURS: _beside(record, good, scored),
        }
        for tree, value in files.items():
            write_or_remove(path_of(out, tree, neuron), None if value is None else line(value))
    names = ("neurons", "explanations", "failed", "look_alikes", "predictions")
    return Written(*(counts[name] for name in names))


def _object(name: str, **values: Any) -> Object:
    return {"dataclass_name": name, **values}


def _id(record: NeuronRecord) -> Object:
    neuron = record.neuron
    return _object("NeuronId", layer_index=neuron.layer, neuron_index=neuron.index)


def _record(record: NeuronRecord) -> Object:
    top, random, quantile = laid_out(record.spans)
    polarity, known = record.neuron.polarity, record.statistics
    mean, std = (None, None) if known is None else (known.mean, known.std)

    def rows(spans: Iterable[SpanRecord]) -> list[Object]:
        return [
            _object(
                "ActivationRecord",
                tokens=list(span.tokens),
                activations=_values(span.activations, polarity),
            )
            for span in spans
        ]

    return _object(
        "NeuronRecord",
        neuron_id=_id(record),
        random_sample=rows(random),
        random_sample_by_quantile=[rows(band) for band in quantile] or None,
        quantile_boundaries=None,
        mean=None if mean is None else polarity * mean,
        variance=None if std is None else std**2,
        skewness=None,
        kurtosis=None,
        most_positive_activation_records=rows(top),
    )


def _results(record: NeuronRecord, scored: Sequence[_Scored]) -> Object:
    rows = [entry.row for entry in scored]
    return _object("NeuronSimulationResults", neuron_id=_id(record), scored_explanations=rows)


def _tokens(record: NeuronRecord) -> Object:
    def pairs(chosen: Sequence[tuple[str, float]]) -> Object:
        tokens, strengths = [t for t, _ in chosen], [s for _, s in chosen]
        return _object("TokensAndWeights", tokens=tokens, strengths=strengths)

    return _object(
        "WeightBasedSummaryOfNeuron",
        input_positive=pairs(()),
        input_negative=pairs(()),
        output_positive=pairs(record.promoted),
        output_negative=pairs(record.suppressed),
    )


@dataclass(frozen=True)
class _Scored:
    """One explanation with the predictions of one simulator."""

    row: Object
    explanation: int
    of: tuple[str, Split, str | None] | None
    """Simulator, split and language model; None where nothing predicted."""
    settings: Object
    key: str | None
    """Of the simulation."""
    places: list[list[int | None]]
    left_out: int


def _scored(record: NeuronRecord, place: int, own: ExplanationRecord) -> Iterator[_Scored]:
    """An entry for every simulation, and for scores of which the simulation is not there; at least one."""
    simulations = {(s.simulator, s.split, s.llm): s for s in own.simulations}
    keyed = [(s.simulator, s.split, s.llm) for s in own.scores if s.score.scorer in SCORES]
    truths = Truths(record)
    for of in dict.fromkeys([*simulations, *keyed]) or [None]:
        simulation = None if of is None else simulations.get(of)
        values: Object = dict.fromkeys(SCORES.values())
        for score in own.scores:
            if of == (score.simulator, score.split, score.llm) and score.score.scorer in SCORES:
                values[SCORES[score.score.scorer]] = score.score.value
        sequences = [] if simulation is None else list(_sequences(record, simulation, truths))
        row = _object(
            "ScoredExplanation",
            explanation=own.text,
            scored_simulation=_object(
                "ScoredSimulation",
                scored_sequence_simulations=[sequence for sequence, _ in sequences],
                **values,
            ),
        )
        lost = 0 if simulation is None else len(simulation.spans) - len(sequences)
        settings = {} if simulation is None else dict(simulation.settings)
        key = None if simulation is None else simulation.key
        yield _Scored(row, place, of, settings, key, [at for _, at in sequences], lost)


def _sequences(
    record: NeuronRecord, simulation: SimulationRecord, truths: Truths
) -> Iterator[tuple[Object, list[int | None]]]:
    polarity = record.neuron.polarity
    for span in simulation.spans:
        truth = truths.of(span)
        if span.expected is None or truth is None:
            continue
        predicted = _object(
            "SequenceSimulation",
            tokens=list(span.tokens),
            expected_activations=span.expected.tolist(),
            activation_scale=LEVELS,
            distribution_values=[],
            distribution_probabilities=[],
            uncalibrated_simulation=None,
        )
        row = _object(
            "ScoredSequenceSimulation",
            simulation=predicted,
            true_activations=_values(truth, polarity),
            ev_correlation_score=_correlation(span.expected, polarity * truth),
            rsquared_score=None,
            absolute_dev_explained_score=None,
        )
        yield row, [span.document, span.start]


def _correlation(expected: Floats, truth: Floats) -> float | None:
    """Of one sequence; None where either is the same everywhere."""
    if len(truth) < 2 or not np.ptp(expected) or not np.ptp(truth):
        return None
    value = float(np.corrcoef(expected.astype(np.float64), truth.astype(np.float64))[0, 1])
    return value if np.isfinite(value) else None


def _beside(
    record: NeuronRecord, good: Sequence[ExplanationRecord], scored: Sequence[_Scored]
) -> Object:
    """What the dataclasses have no place for, in the order of what they do have."""
    top, random, quantile = laid_out(record.spans)
    spans = [*top, *random, *(span for band in quantile for span in band)]
    return {
        "neuron": str(record.neuron),
        "site": record.site,
        "width": record.width,
        "statistics": None if record.statistics is None else asdict(record.statistics),
        "spans": [str(Place.of(span)) for span in spans],
        "explanations": [{"explainer": e.explainer, "llm": e.llm, **notes(e)} for e in good],
        "scored": [
            {
                "explanation": entry.explanation,
                "of": None if entry.of is None else list(entry.of),
                "settings": entry.settings,
                "places": entry.places,
                "key": entry.key,
            }
            for entry in scored
        ],
    }


def _values(activations: Floats, polarity: int) -> list[float]:
    values: list[float] = (activations * np.float32(polarity)).tolist()
    return values
