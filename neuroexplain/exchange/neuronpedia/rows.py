"""A neuron as rows of Neuronpedia's tables Neuron (features), Activation, Explanation and ExplanationScore."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from neuroexplain.exchange.neuronpedia.details import details
from neuroexplain.exchange.neuronpedia.tables import AUTHOR, Model, cuid
from neuroexplain.exchange.notes import notes
from neuroexplain.exchange.places import Place
from neuroexplain.exchanged import ExplanationRecord, NeuronRecord, ScoreRecord, SpanRecord
from neuroexplain.records import Floats

Row = dict[str, Any]


def feature(record: NeuronRecord, model: Model) -> Row:
    """The neuron's row. `frac_nonzero` is the share of tokens on the polarity's side."""
    return {
        **_key(record, model),
        "creatorId": AUTHOR,
        "createdAt": model.created_at,
        "maxActApprox": _largest(record, model),
        "hasVector": False,
        "vector": [],
        "vectorLabel": None,
        "vectorDefaultSteerStrength": 10,
        "hookName": record.site,
        **{key: [] for key in _RELATED},
        "neg_str": [token for token, _ in record.suppressed],
        "neg_values": [logit for _, logit in record.suppressed],
        "pos_str": [token for token, _ in record.promoted],
        "pos_values": [logit for _, logit in record.promoted],
        "frac_nonzero": _share(record),
        **{key: [] for key in _HISTOGRAMS},
        "decoder_weights_dist": [],
        "sourceSetName": model.source_set,
    }


_RELATED = (
    *("topkCosSimIndices", "topkCosSimValues"),
    *("neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1"),
    *("correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1"),
    *("correlated_features_indices", "correlated_features_pearson", "correlated_features_l1"),
)
_HISTOGRAMS = (
    *("freq_hist_data_bar_heights", "freq_hist_data_bar_values"),
    *("logits_hist_data_bar_heights", "logits_hist_data_bar_values"),
)


def activation(record: NeuronRecord, span: SpanRecord, number: int, model: Model) -> Row:
    """A span's row.

    Args:
        record: whose span it is.
        span: with at least one token.
        number: place of the span among the neuron's.
        model: the subject.
    """
    values = span.activations * np.float32(record.neuron.polarity)
    top = span.kind == "top"
    peak = _peak(values, model)
    key = _key(record, model)
    return {
        "id": cuid("activation", *key.values(), number, "".join(span.tokens), values.tobytes()),
        "tokens": list(span.tokens),
        **key,
        "maxValue": float(values[peak]),
        "maxValueTokenIndex": peak,
        "minValue": float(values.min()),
        "values": values.tolist(),
        "creatorId": AUTHOR,
        "dataSource": model.dataset,
        "dataIndex": str(Place.of(span)),
        "dfaValues": [],
        "dfaTargetIndex": None,
        "dfaMaxValue": None,
        "createdAt": model.created_at,
        "lossValues": [],
        "logitContributions": None,
        # As its dashboards mark the strongest, apart from samples of an interval.
        "binMin": -1.0 if top else None,
        "binMax": _largest(record, model) if top else None,
        "binContains": -1.0 if top else None,
        "qualifyingTokenIndex": peak,
        "zIndices": None,
        "zValues": [],
    }


def explanation(record: NeuronRecord, own: ExplanationRecord, model: Model) -> Row:
    """An explanation's row; `notes` are what the table has no column for, scores first."""
    return {
        "id": _id(record, own, model),
        **_key(record, model),
        "description": own.text,
        "authorId": AUTHOR,
        "embedding": None,
        "triggeredById": None,
        "typeName": own.explainer,
        "explanationModelName": own.llm,
        "notes": json.dumps(
            {"neuroexplain": notes(own)}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ),
        "createdAt": own.created_at or model.created_at,
    }


def score(record: NeuronRecord, own: ExplanationRecord, number: int, model: Model) -> Row | None:
    """A score's row; None for one without a value, which the table has to have."""
    scored = own.scores[number]
    if scored.score.value is None:
        return None
    of = _id(record, own, model)
    return {
        "id": cuid("score", of, number, scored.score.scorer, *_of(scored)),
        "initiatedByUserId": AUTHOR,
        "value": scored.score.value,
        "explanationId": of,
        "explanationScoreTypeName": scored.score.scorer,
        "explanationScoreModelName": score_model(scored),
        "jsonDetails": details(record, own, scored),
        "createdAt": own.created_at or model.created_at,
    }


def _of(scored: ScoreRecord) -> tuple[str, str, str | None]:
    """What a score is of."""
    return scored.simulator, scored.split, scored.llm


def score_model(scored: ScoreRecord) -> str:
    """What predicted, as one name."""
    return scored.simulator if scored.llm is None else f"{scored.simulator} {scored.llm}"


def _key(record: NeuronRecord, model: Model) -> Row:
    """What all tables know a neuron by. The index is a text in all of them: readers match it as such."""
    neuron = record.neuron
    return {
        "modelId": model.id,
        "layer": str(model.source(neuron)),
        "index": str(neuron.index),
    }


def _id(record: NeuronRecord, own: ExplanationRecord, model: Model) -> str:
    known_by = own.key or (own.explainer, own.llm, own.text)
    return cuid("explanation", *_key(record, model).values(), known_by)


def _peak(values: Floats, model: Model) -> int:
    """Place of the largest value among the tokens that count."""
    first = model.first if model.first < len(values) else 0
    return first + int(values[first:].argmax())


def _largest(record: NeuronRecord, model: Model) -> float:
    """The largest activation on the side: of all tokens where that is known, else of the spans; 0 without any."""
    polarity, statistics = record.neuron.polarity, record.statistics
    if statistics is not None:
        known = statistics.max if polarity > 0 else statistics.min
        if known is not None:
            return polarity * known
    sides = [polarity * span.activations for span in record.spans if span.tokens]
    return max((float(side[_peak(side, model)]) for side in sides), default=0.0)


def _share(record: NeuronRecord) -> float:
    """Share of tokens on the side: of all tokens where that is known, else of those of the spans.

    Below 0 counts whatever is not above it, unless nothing is below.
    """
    statistics, polarity = record.statistics, record.neuron.polarity
    positive = None if statistics is None else statistics.frac_positive
    if statistics is None or positive is None:
        tokens = [polarity * span.activations > 0 for span in record.spans]
        return float(np.concatenate(tokens).mean()) if tokens else 0.0
    if polarity > 0:
        return positive
    return 0.0 if statistics.min is not None and statistics.min >= 0 else 1 - positive
