"""One neuron as the JSON object of `neuroexplain show --json`: finite numbers or null."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlmodel import col

from neuroexplain.catalogue import (
    explanations,
    look_alikes,
    ngrams,
    output_tokens,
    reader,
    simulations,
    sketches,
    tables,
)
from neuroexplain.catalogue.spans import SpanReader
from neuroexplain.recorded import AGGREGATORS
from neuroexplain.records import SPLITS, Exemplar, Floats, NeuronId

_SCORE = (
    *("scorer", "simulator", "llm", "split", "value", "ci_low", "ci_high", "null_mean"),
    *(
        "null_own",
        "null_n",
        "p_value",
        "null_reason",
        "floor",
        "n_tokens",
        "n_nonzero",
        "coverage",
        "reason",
    ),
)
_NGRAM = ("ngram", "mean_response", "max_response", "count")
_Lists = dict[int, list[dict[str, Any]]]


def show(
    connection: Connection, spans: SpanReader, collection: reader.Collection, neuron: NeuronId
) -> dict[str, Any]:
    """All about a neuron of a current collection, on the side of its polarity."""
    row = reader.neuron_id(connection, collection, neuron)
    polarity = neuron.polarity
    kept = reader.exemplars(connection, spans, collection, row, polarity, SPLITS)
    return {
        "neuron": {
            "subject": neuron.subject,
            "layer": neuron.layer,
            "index": neuron.index,
            "polarity": polarity,
            "site": collection.subject.site,
        },
        "statistics": _statistics(connection, collection, row, polarity),
        "exemplars": [_exemplar(e) for e in kept],
        "explanations": _explanations(connection, spans, collection.id, row, polarity),
        "ngrams": [
            *_in_context(connection, collection.id, row, polarity),
            *_alone(connection, collection, row, polarity),
        ],
        "look_alikes": _look_alikes(connection, spans, collection, row, polarity),
        "output_tokens": _output_tokens(connection, row, polarity),
    }


def _statistics(
    connection: Connection, collection: reader.Collection, neuron: int, polarity: int
) -> dict[str, Any]:
    found = reader.statistics(connection, collection, neuron)
    responses = sketches.token_responses(connection, collection, neuron, polarity)
    names = ("token", "mean", "extreme", "count", "token_id")
    return {
        **asdict(found),
        "quantiles": {str(level): value for level, value in found.quantiles},
        "tokens": [{name: getattr(response, name) for name in names} for response in responses],
    }


def _exemplar(exemplar: Exemplar) -> dict[str, Any]:
    return {
        "split": exemplar.split,
        "kind": exemplar.kind,
        "rank": exemplar.rank,
        "document": exemplar.span.document,
        "start": exemplar.span.start,
        "tokens": list(exemplar.span.tokens),
        "activations": exemplar.activations.tolist(),
        "inclusion_probability": exemplar.inclusion_probability,
        "first": exemplar.span.first,
        "peak": exemplar.peak,
        "peak_position": exemplar.peak_position,
    }


def _look_alikes(
    connection: Connection,
    spans: SpanReader,
    collection: reader.Collection,
    neuron: int,
    polarity: int,
) -> dict[str, Any] | None:
    """None where nobody has sought them."""
    found = look_alikes.read(connection, spans, collection, neuron, polarity)
    if found is None:
        return None
    entries = [{**_exemplar(a.exemplar), "likeness": a.likeness} for a in found.found]
    return {"spans": entries, "reason": found.reason}


def _output_tokens(connection: Connection, neuron: int, polarity: int) -> dict[str, Any] | None:
    """None where nobody has sought them."""
    found = output_tokens.read(connection, neuron, polarity)
    if found is None:
        return None
    sides = {} if found.tokens is None else vars(found.tokens)
    tokens = {
        name: [{"token": token, "logit": logit} for token, logit in sides.get(name, ())]
        for name in ("promoted", "suppressed")
    }
    return {**tokens, "reason": found.reason}


def _explanations(
    connection: Connection, spans: SpanReader, collection_id: int, neuron: int, polarity: int
) -> list[dict[str, Any]]:
    """Explanations from the current collection: those of another were scored on other spans."""
    table = tables.Explanation
    rows = connection.execute(
        select(table)
        .filter_by(collection_id=collection_id, neuron_id=neuron, polarity=polarity)
        .where(~explanations.superseded(table))
        .order_by(col(table.id))
    ).all()
    ids = [row.id for row in rows]
    scores = _scores(connection, ids)
    simulations = _simulations(connection, spans, ids)
    return [
        {
            "id": row.id,
            "text": row.text,
            "explainer": row.explainer,
            "llm": row.llm,
            "status": row.status,
            "reason": row.reason,
            "message": row.message,
            "parent_id": row.parent_id,
            "created_at": row.created_at,
            "scores": scores.get(row.id, []),
            "simulations": simulations.get(row.id, []),
        }
        for row in rows
    ]


def _scores(connection: Connection, explanations: list[int]) -> _Lists:
    found: _Lists = defaultdict(list)
    for row in _newest(connection, tables.Score, explanations, "scorer"):
        found[row.explanation_id].append({name: row._mapping[name] for name in _SCORE})
    return found


def _simulations(connection: Connection, spans: SpanReader, explanations: list[int]) -> _Lists:
    found: _Lists = defaultdict(list)
    for row in _newest(connection, tables.Simulation, explanations):
        found[row.explanation_id] += _simulation(connection, spans, row)
    return found


def _newest(
    connection: Connection,
    table: type[tables.Score] | type[tables.Simulation],
    explanations: list[int],
    *also: str,
) -> list[Row[Any]]:
    """The last row of every explanation, simulator, language model and split: later settings replace earlier ones."""
    names = ("explanation_id", "simulator", "llm", "split", *also)
    query = select(table).where(col(table.explanation_id).in_(explanations))
    rows = connection.execute(query.order_by(col(table.id)))
    return list({tuple(row._mapping[name] for name in names): row for row in rows}.values())


def _simulation(connection: Connection, spans: SpanReader, row: Row[Any]) -> list[dict[str, Any]]:
    corpus_id = reader.collection_of(connection, row.explanation_id).corpus_id
    table = tables.SimulationFailure
    failures = connection.execute(select(table).filter_by(simulation_id=row.id)).all()
    lost = spans.read(connection, corpus_id, [f.span for f in failures])
    entries: list[tuple[Any, Floats | None, str | None]] = [
        (s.span, s.expected, None) for s in simulations.simulated(connection, spans, corpus_id, row)
    ]
    entries += [(lost[f.span], None, f.reason) for f in failures]
    return [
        {
            "split": row.split,
            "document": span.document,
            "start": span.start,
            "expected": None if expected is None else expected.tolist(),
            "status": "ok" if reason is None else "failed",
            "reason": reason,
            "simulator": row.simulator,
            "tokens": list(span.tokens),
        }
        for span, expected, reason in entries
    ]


def _in_context(
    connection: Connection, collection_id: int, neuron: int, polarity: int
) -> list[dict[str, Any]]:
    """What explainer `ngram` found in running text."""
    table = tables.Ngram
    query = select(table).filter_by(
        neuron_id=neuron, collection_id=collection_id, polarity=polarity
    )
    return [
        {**{name: row._mapping[name] for name in _NGRAM}, "source": "context", "aggregator": None}
        for row in connection.execute(query.order_by(col(table.rank)))
    ]


def _alone(
    connection: Connection, collection: reader.Collection, neuron: int, polarity: int
) -> list[dict[str, Any]]:
    """What the n-gram pass found, thinned out, where there is one."""
    found = ngrams.current(connection, collection)
    if found is None:
        return []
    return [
        {
            **dict(zip(_NGRAM, (e.text, e.mean_response, e.max_response, e.count), strict=True)),
            "source": "alone",
            "aggregator": aggregator,
        }
        for aggregator in AGGREGATORS
        for e in ngrams.thin_list(connection, found, neuron, polarity, aggregator)
    ]
