"""One neuron as the JSON object of `neuroexplain show --json`: finite numbers or null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import (
    look_alikes,
    ngrams,
    output_tokens,
    packing,
    reader,
    sketches,
)
from neuroexplain.catalogue.collections.spans import Excerpt, SpanReader
from neuroexplain.catalogue.results.explained import explained
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared
from neuroexplain.records import KINDS, SPLITS, Kind, NeuronId, Split

_NGRAM = ("ngram", "mean_response", "max_response", "count")


def show(
    connection: Connection, spans: SpanReader, collection: reader.Collection, neuron: NeuronId
) -> dict[str, Any]:
    """All about one neuron of a current collection, on the side of its polarity."""
    row = reader.only_neuron_id(connection, collection, neuron)
    polarity = neuron.polarity
    kept = reader.exemplar_rows(connection, collection, row, polarity)
    said = explained(connection, collection.id, row, polarity)
    alike = look_alikes.find(connection, collection, row, polarity)
    # All at once: what costs is the statement, not the span.
    numbers = {*said.spans(), *(n for found in kept for n in _numbers(found)), *_numbers(alike)}
    shown = spans.excerpts(connection, collection.corpus_id, list(numbers))
    return {
        "neuron": {
            "subject": neuron.subject,
            "layer": neuron.layer,
            "index": neuron.index,
            "polarity": polarity,
            "site": collection.subject.site,
        },
        "statistics": _statistics(connection, collection, row, polarity),
        "exemplars": [
            exemplar
            for found in kept
            for exemplar in _exemplars(
                found, SPLITS[found.split], KINDS[found.kind], shown, polarity
            )
        ],
        "explanations": said.shown(shown),
        "ngrams": [
            *_in_context(connection, collection.id, row, polarity),
            *_alone(connection, collection, row, polarity),
        ],
        "look_alikes": _look_alikes(alike, shown, polarity),
        "output_tokens": _output_tokens(connection, row, polarity),
    }


def _numbers(row: Any | None) -> list[int]:
    """Of a row's spans."""
    return [] if row is None else codec.unfixed(row.spans, 4).tolist()


def _statistics(
    connection: Connection, collection: reader.Collection, neuron: int, polarity: int
) -> dict[str, Any]:
    found = reader.statistics(connection, collection, neuron)
    responses = sketches.token_responses(connection, collection, neuron, polarity)
    names = ("token", "mean", "extreme", "count", "token_id")
    return {
        **vars(found),
        "quantiles": {str(level): value for level, value in found.quantiles},
        "tokens": [{name: getattr(response, name) for name in names} for response in responses],
    }


def _exemplars(
    row: Any, split: Split, kind: Kind, shown: Mapping[int, Excerpt], polarity: int
) -> Iterator[dict[str, Any]]:
    """The spans of one row."""
    spans = [shown[number] for number in _numbers(row)]
    first = spans[0].first if spans else 0
    found = packing.activations(row, [len(span.tokens) for span in spans], first, polarity)
    for rank, (span, (values, position)) in enumerate(zip(spans, found, strict=True)):
        activations = values.tolist()
        yield {
            "split": split,
            "kind": kind,
            "rank": rank,
            "document": span.document,
            "start": span.start,
            "tokens": list(span.tokens),
            "activations": activations,
            "inclusion_probability": row.inclusion_probability,
            "first": first,
            "peak": activations[position],
            "peak_position": position,
        }


def _look_alikes(
    row: Any | None, shown: Mapping[int, Excerpt], polarity: int
) -> dict[str, Any] | None:
    """None where nobody has sought them."""
    if row is None:
        return None
    likeness = codec.unhalf(row.likeness).tolist()
    found = _exemplars(row, "explain", "contrastive", shown, polarity)
    spans = [{**span, "likeness": alike} for span, alike in zip(found, likeness, strict=True)]
    return {"spans": spans, "reason": row.reason}


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


_IN_CONTEXT = Prepared(
    select(*(col(getattr(tables.Ngram, name)) for name in _NGRAM))
    .where(
        col(tables.Ngram.neuron_id) == bindparam("neuron"),
        col(tables.Ngram.collection_id) == bindparam("collection"),
        col(tables.Ngram.polarity) == bindparam("polarity"),
    )
    .order_by(col(tables.Ngram.rank))
)


def _in_context(
    connection: Connection, collection_id: int, neuron: int, polarity: int
) -> list[dict[str, Any]]:
    """What explainer `ngram` found in running text."""
    place = {"neuron": neuron, "collection": collection_id, "polarity": polarity}
    return [
        {**dict(zip(_NGRAM, row, strict=True)), "source": "context", "aggregator": None}
        for row in _IN_CONTEXT(connection, **place)
    ]


def _alone(
    connection: Connection, collection: reader.Collection, neuron: int, polarity: int
) -> list[dict[str, Any]]:
    """What the n-gram pass found, thinned out, no response below 0; where there is one."""
    found = ngrams.current(connection, collection)
    if found is None:
        return []
    return [
        {**dict(zip(_NGRAM, entry, strict=True)), "source": "alone", "aggregator": aggregator}
        for aggregator, entry in ngrams.thin_lists(connection, found, neuron, polarity)
    ]
