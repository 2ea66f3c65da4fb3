"""Explanations of a block of neurons with their scores and simulations, as records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.exchange.import_spans import NUMBERED
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.exchanged import ExplanationRecord, ScoreRecord, SimulationRecord, SpanLevels
from neuroexplain.records import Floats, Score, TokenSpan

_E, _P, _S, _X = tables.Explanation, aliased(tables.Explanation), tables.Score, tables.Simulation
_M, _C, _F = tables.Method, tables.Collection, tables.SimulationFailure
_SCORE = tuple(f.name for f in fields(Score) if f.name != "scorer")
_EXPLANATION = (
    *(_E.id, _E.neuron_id, _E.polarity, _E.key, _E.text, _E.data, _E.scale, _E.status, _E.reason),
    *(_E.message, _E.raw_reply, _E.prompt_sha256, _E.created_ms, _E.collection_id),
)
_EXPLANATIONS = Prepared(
    select(
        *(col(c) for c in _EXPLANATION),
        *(col(c) for c in (_M.plugin, _M.llm, _M.settings, _M.template_sha256, _C.corpus_id)),
        col(_P.key).label("parent"),
    )
    .select_from(tables.Entry)
    .join(_E, col(_E.id) == col(tables.Entry.id))
    .join(_M, col(_M.id) == col(_E.method_id))
    .join(_C, col(_C.id) == col(_E.collection_id))
    .outerjoin(_P, col(_P.id) == col(_E.parent_id))
    .where(col(tables.Entry.neuron_id).in_(listed("neurons")))
    .order_by(col(_E.id))
)
_OF = col(_S.explanation_id).in_(listed("explanations"))
_SCORES = Prepared(
    select(
        *(col(c) for c in (_S.explanation_id, _S.measure_id, _S.key)),
        *(col(getattr(_S, name)) for name in _SCORE),
        *(col(c) for c in (tables.Measure.simulator, tables.Measure.llm, tables.Measure.split)),
        col(tables.Scorer.name),
    )
    .join(tables.Measure, col(tables.Measure.id) == col(_S.measure_id))
    .join(tables.Scorer, col(tables.Scorer.id) == col(tables.Measure.scorer_id))
    .where(_OF)
    .order_by(col(_S.id))
)
_SIMULATIONS = Prepared(
    select(
        *(col(c) for c in (_X.id, _X.explanation_id, _X.key, _X.split, _X.spans, _X.expected)),
        *(col(c) for c in (_M.plugin, _M.llm, _M.settings)),
    )
    .join(_M, col(_M.id) == col(_X.method_id))
    .where(col(_X.explanation_id).in_(listed("explanations")))
    .order_by(col(_X.id))
)
_FAILURES = Prepared(select(_F).where(col(_F.simulation_id).in_(listed("simulations"))))
_Simulations = dict[int, tuple[SimulationRecord, ...]]


def given_ids(token_ids: tuple[int, ...]) -> tuple[int, ...] | None:
    """Token ids, unless they are mere numbers of texts."""
    return None if token_ids and token_ids[0] >= NUMBERED else token_ids


def read_explanations(
    connection: Connection,
    spans: SpanReader,
    collection_id: int,
    neurons: str,
    truths: Mapping[tuple[int, int], Mapping[int, Floats]] | None,
) -> dict[tuple[int, int], tuple[ExplanationRecord, ...]]:
    """Explanations that nothing supersedes, oldest first, by the neuron's row and polarity.

    Args:
        connection: in a transaction.
        spans: reads the spans of simulations.
        collection_id: that the truths are of.
        neurons: rows, as JSON.
        truths: activations by side and number of the span; None leaves simulations out.
    """
    rows = _EXPLANATIONS(connection, neurons=neurons)
    ids = json.dumps([row.id for row in rows])
    scores = _scores(_SCORES(connection, explanations=ids))
    simulations: _Simulations = {}
    if truths is not None:
        known = {
            r.id: truths.get((r.neuron_id, r.polarity)) or truths.get((r.neuron_id, 0), {})
            for r in rows
            if r.collection_id == collection_id
        }
        corpora = {row.id: row.corpus_id for row in rows}
        simulations = _simulations(connection, spans, corpora, known, ids)
    found = defaultdict(list)
    for row in rows:
        record = _explanation(row, scores.get(row.id, ()), simulations.get(row.id, ()))
        found[row.neuron_id, row.polarity].append(record)
    return {side: tuple(records) for side, records in found.items()}


def _explanation(
    row: Any, scores: tuple[ScoreRecord, ...], simulations: tuple[SimulationRecord, ...]
) -> ExplanationRecord:
    return ExplanationRecord(
        text=row.text,
        explainer=row.plugin,
        llm=row.llm,
        settings=json.loads(row.settings),
        key=row.key.hex(),
        parent=None if row.parent is None else row.parent.hex(),
        data=None if row.data is None else json.loads(codec.unpacked_text(row.data)),
        scale=row.scale,
        status=row.status,
        reason=row.reason,
        message=row.message,
        raw_reply=row.raw_reply,
        template_sha256=row.template_sha256,
        prompt_sha256=None if row.prompt_sha256 is None else row.prompt_sha256.hex(),
        created_at=codec.iso(row.created_ms),
        scores=scores,
        simulations=simulations,
    )


def _scores(rows: Sequence[Any]) -> dict[int, tuple[ScoreRecord, ...]]:
    """The newest of every explanation and measure, oldest first."""
    newest: dict[tuple[int, int], Any] = {}
    for row in rows:
        place = row.explanation_id, row.measure_id
        newest.pop(place, None)
        newest[place] = row
    found = defaultdict(list)
    for (explanation, _), row in newest.items():
        score = Score(row.name, **{name: getattr(row, name) for name in _SCORE})
        record = ScoreRecord(score, row.simulator, row.split, row.llm, row.key.hex())
        found[explanation].append(record)
    return {explanation: tuple(records) for explanation, records in found.items()}


def _simulations(
    connection: Connection,
    spans: SpanReader,
    corpora: Mapping[int, int],
    truths: Mapping[int, Mapping[int, Floats]],
    explanations: str,
) -> _Simulations:
    """The newest of every explanation, simulator, language model and split, oldest first.

    Args:
        connection: in a transaction.
        spans: reads the spans.
        corpora: row of the corpus, by that of the explanation.
        truths: activations by the explanation's row and the number of the span.
        explanations: rows, as JSON.
    """
    newest: dict[tuple[Any, ...], Any] = {}
    for row in _SIMULATIONS(connection, explanations=explanations):
        place = row.explanation_id, row.plugin, row.llm, row.split
        newest.pop(place, None)
        newest[place] = row
    failures = defaultdict(list)
    for row in _FAILURES(connection, simulations=json.dumps([r.id for r in newest.values()])):
        failures[row.simulation_id].append(row)
    numbers = {row.id: codec.unfixed(row.spans, 4).tolist() for row in newest.values()}
    wanted: defaultdict[int, list[int]] = defaultdict(list)
    for row in newest.values():
        failed = [failure.span for failure in failures[row.id]]
        wanted[corpora[row.explanation_id]] += [*numbers[row.id], *failed]
    read = {corpus: spans.read(connection, corpus, some) for corpus, some in wanted.items()}
    found = defaultdict(list)
    for row in newest.values():
        shown = read[corpora[row.explanation_id]]
        worked = [shown[number] for number in numbers[row.id]]
        truth = truths.get(row.explanation_id, {})
        levels = (*_levels(row, worked, truth), *_failed(failures[row.id], shown, truth))
        found[row.explanation_id].append(
            SimulationRecord(
                *(row.plugin, row.split, levels, row.llm),
                settings=json.loads(row.settings),
                key=row.key.hex(),
            )
        )
    return {explanation: tuple(records) for explanation, records in found.items()}


def _levels(
    row: Any, spans: Sequence[TokenSpan], truth: Mapping[int, Floats]
) -> Iterable[SpanLevels]:
    pieces = codec.split(codec.unhalves(row.expected), [len(span) for span in spans])
    for span, expected in zip(spans, pieces, strict=True):
        yield SpanLevels(span.tokens, expected, truth.get(span.span), **_place(span))


def _failed(
    rows: Sequence[Any], spans: Mapping[int, TokenSpan], truth: Mapping[int, Floats]
) -> Iterable[SpanLevels]:
    for row in sorted(rows, key=lambda r: (spans[r.span].document, spans[r.span].start)):
        span = spans[row.span]
        why = {name: getattr(row, name) for name in ("reason", "message", "raw_reply")}
        yield SpanLevels(span.tokens, None, truth.get(span.span), **why, **_place(span))


def _place(span: TokenSpan) -> dict[str, Any]:
    placed = span.document >= 0
    return {
        "document": span.document if placed else None,
        "start": span.start if placed else None,
        "token_ids": given_ids(span.token_ids),
    }
