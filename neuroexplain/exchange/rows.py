"""Records as JSON objects of our own formats, and back: JSONL holds them nested, Parquet a table of each.

Keys are the names of the records' fields. None is null, an array a list of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Literal

from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.scores import read_score
from neuroexplain.exchanged import (
    ExplanationRecord,
    NeuronRecord,
    SimulationRecord,
    SpanLevels,
    SpanRecord,
)
from neuroexplain.records import POLARITIES, Floats, Kind, NeuronId, Ngram, Split, Statistics

Row = dict[str, Any]
MOMENTS = ("mean", "std", "min", "max", "frac_positive")
COUNTS = ("n_tokens", "n_spans")
EXCLUDED = ("peaks_excluded", "troughs_excluded")
PLAIN = tuple(f.name for f in fields(ExplanationRecord) if f.name not in ("scores", "simulations"))
"""Fields of an explanation by itself."""
_TEXTS = (
    *("llm", "key", "parent", "reason", "message", "raw_reply", "template_sha256"),
    *("prompt_sha256", "created_at"),
)
_LARGEST_ID = 2**32


def neuron_key(neuron: NeuronId) -> Row:
    """What a neuron's side is called."""
    return dict(vars(neuron))


def read_key(row: Fields) -> NeuronId:
    """The reverse of `neuron_key`."""
    polarity = row.integer("polarity")
    if polarity not in POLARITIES:
        raise row.wrong("polarity", f"1 or -1, not {polarity}")
    layer = row.integer("layer", least=0, below=2**12)
    return NeuronId(row.text("subject"), layer, row.integer("index", least=0), polarity)


def neuron_row(record: NeuronRecord) -> Row:
    """A neuron by itself: no spans, no explanations, no n-grams."""
    statistics = record.statistics
    told = {name: getattr(statistics, name, None) for name in (*COUNTS, *MOMENTS, *EXCLUDED)}
    quantiles = () if statistics is None else statistics.quantiles
    return {
        **neuron_key(record.neuron),
        "site": record.site,
        "width": record.width,
        **told,
        "quantile_levels": [level for level, _ in quantiles],
        "quantiles": [value for _, value in quantiles],
        "promoted": tuple(token for token, _ in record.promoted),
        "promoted_logits": [logit for _, logit in record.promoted],
        "suppressed": tuple(token for token, _ in record.suppressed),
        "suppressed_logits": [logit for _, logit in record.suppressed],
    }


def read_neuron(
    row: Fields,
    *,
    spans: tuple[SpanRecord, ...] = (),
    explanations: tuple[ExplanationRecord, ...] = (),
    ngrams: tuple[Ngram, ...] = (),
) -> NeuronRecord:
    """The reverse of `neuron_row`, with what is told elsewhere."""
    return NeuronRecord(
        neuron=read_key(row),
        site=row.maybe_text("site"),
        statistics=_statistics(row),
        spans=spans,
        explanations=explanations,
        promoted=row.weighted("promoted", "promoted_logits"),
        suppressed=row.weighted("suppressed", "suppressed_logits"),
        width=row.maybe_integer("width", least=0),
        ngrams=ngrams,
    )


def _statistics(row: Fields) -> Statistics | None:
    """None where no key of them is told."""
    names = (*COUNTS, *MOMENTS, *EXCLUDED, "quantiles")
    if not any(row.values.get(name) not in (None, []) for name in names):
        return None
    levels, values = _numbers(row, "quantile_levels"), _numbers(row, "quantiles")
    if len(levels) != len(values):
        raise row.wrong("quantiles", f"{len(levels)} numbers, as many as quantile_levels")
    counts: Row = {name: row.maybe_integer(name, least=0) for name in COUNTS}
    excluded: Row = {name: row.maybe_integer(name, least=0) or 0 for name in EXCLUDED}
    moments: Row = {name: row.maybe_number(name) for name in MOMENTS}
    quantiles = tuple(zip(levels, values, strict=True))
    return Statistics(**counts, **moments, **excluded, quantiles=quantiles)


def _numbers(row: Fields, key: str) -> list[float]:
    """Finite numbers as exactly as they stand there; none where the key is missing."""
    if key not in row:
        return []
    row.floats(key)
    return [float(value) for value in row.values[key]]


def span_row(span: SpanRecord, *, arrays: bool = False) -> Row:
    """A span with activations; with `arrays`, whatever is a list in JSON stays as the record has it."""
    return {
        "split": span.split,
        "kind": span.kind,
        "rank": span.rank,
        "inclusion_probability": span.inclusion_probability,
        **_place(span),
        "activations": _listed(span.activations, arrays),
    }


def read_span(row: Fields) -> SpanRecord:
    """The reverse of `span_row`."""
    tokens, activations = row.beside("tokens", "activations")
    if not tokens:
        raise row.wrong("tokens", "at least one token")
    return SpanRecord(
        tokens=tokens,
        activations=activations,
        split=row.choice("split", Split),
        kind=row.choice("kind", Kind),
        rank=row.integer("rank", least=0),
        inclusion_probability=row.maybe_number("inclusion_probability"),
        **_read_place(row, len(tokens)),
    )


def _place(span: SpanRecord | SpanLevels) -> Row:
    """Where a span is, and its tokens."""
    return {
        "document": span.document,
        "start": span.start,
        "tokens": span.tokens,
        "token_ids": span.token_ids,
    }


def _listed(values: Floats | None, arrays: bool) -> Any:
    return values if arrays or values is None else values.tolist()


def _read_place(row: Fields, n: int) -> Row:
    ids = row.integers("token_ids") if "token_ids" in row else None
    if ids is not None and len(ids) != n:
        raise row.wrong("token_ids", f"{n} numbers, as many as tokens, not {len(ids)}")
    if ids and not 0 <= min(ids) <= max(ids) < _LARGEST_ID:
        raise row.wrong("token_ids", "numbers from 0 to 2^32 - 1")
    return {
        "token_ids": ids,
        "document": row.maybe_integer("document", least=0),
        "start": row.maybe_integer("start", least=0),
    }


def ngram_row(ngram: Ngram) -> Row:
    """An n-gram with responses."""
    numbers = {name: getattr(ngram, name) for name in ("mean_response", "max_response", "count")}
    return {"ngram": ngram.text, **numbers}


def read_ngram(row: Fields) -> Ngram:
    """The reverse of `ngram_row`."""
    responses = row.number("mean_response"), row.number("max_response")
    return Ngram(row.text("ngram"), *responses, row.integer("count", least=0))


def explanation_row(own: ExplanationRecord) -> Row:
    """An explanation without scores and simulations."""
    values = vars(own)
    return {name: values[name] for name in PLAIN} | {"settings": dict(own.settings)}


def read_explanation(
    row: Fields, scores: Iterable[Fields], simulations: Iterable[SimulationRecord]
) -> ExplanationRecord:
    """The reverse of `explanation_row`, with what is told elsewhere."""
    texts: Row = {name: row.maybe_text(name) for name in _TEXTS}
    status = row.choice("status", Literal["ok", "failed"])
    if (status == "failed") != (texts["reason"] is not None):
        raise row.wrong(
            "reason", "a code of the failure where the status is failed, and only there"
        )
    return ExplanationRecord(
        text=row.text("text"),
        explainer=row.text("explainer"),
        status=status,
        settings=row.mapping("settings"),
        data=row.values.get("data"),
        scale=row.maybe_number("scale"),
        **texts,
        scores=tuple(map(read_score, scores)),
        simulations=tuple(simulations),
    )


def simulation_row(simulation: SimulationRecord) -> Row:
    """A simulation without its spans."""
    names = ("simulator", "split", "llm", "key")
    plain = {name: getattr(simulation, name) for name in names}
    return plain | {"settings": dict(simulation.settings)}


def read_simulation(row: Fields, spans: Sequence[Fields]) -> SimulationRecord:
    """The reverse of `simulation_row`, with its spans."""
    return SimulationRecord(
        simulator=row.text("simulator"),
        split=row.choice("split", Split),
        spans=tuple(map(read_levels, spans)),
        llm=row.maybe_text("llm"),
        settings=row.mapping("settings"),
        key=row.maybe_text("key"),
    )


def levels_row(span: SpanLevels, *, arrays: bool = False) -> Row:
    """Levels of a span; with `arrays`, whatever is a list in JSON stays as the record has it."""
    return {
        **_place(span),
        "expected": _listed(span.expected, arrays),
        "activations": _listed(span.activations, arrays),
        "reason": span.reason,
        "message": span.message,
        "raw_reply": span.raw_reply,
    }


def read_levels(row: Fields) -> SpanLevels:
    """The reverse of `levels_row`."""
    tokens = row.texts("tokens")
    if not tokens:
        raise row.wrong("tokens", "at least one token")
    expected = _beside(row, "expected", len(tokens))
    reason = row.maybe_text("reason")
    if (expected is None) != (reason is not None):
        raise row.wrong("expected", "a level for every token, or the reason why there are none")
    return SpanLevels(
        tokens=tokens,
        expected=expected,
        activations=_beside(row, "activations", len(tokens)),
        reason=reason,
        message=row.maybe_text("message"),
        raw_reply=row.maybe_text("raw_reply"),
        **_read_place(row, len(tokens)),
    )


def _beside(row: Fields, key: str, n: int) -> Floats | None:
    """A number for every token, where there are any."""
    if key not in row:
        return None
    values = row.floats(key)
    if len(values) != n:
        raise row.wrong(key, f"{n} numbers, as many as tokens, not {len(values)}")
    return values
