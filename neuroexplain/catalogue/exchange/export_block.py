"""A block of neurons as records: one statement for each thing that is read of all of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import packing
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.exchange.export_results import given_ids, read_explanations
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.exchanged import ExplanationRecord, NeuronRecord, SpanRecord
from neuroexplain.recorded import QUANTILE_LEVELS
from neuroexplain.records import (
    KINDS,
    POLARITIES,
    SPLITS,
    Exemplar,
    Floats,
    NeuronId,
    Ngram,
    Statistics,
)

Side = tuple[int, int]
"""Row of a neuron, and polarity."""
_Tokens = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Parts:
    """What is exported beside neurons and their statistics."""

    spans: bool = True
    explanations: bool = True
    """With their scores."""
    simulations: bool = True


EVERYTHING = Parts()


@dataclass(frozen=True)
class Place:
    """A neuron that is wanted."""

    row: int
    neuron: NeuronId
    sides: tuple[int, ...] | None = None
    """Polarities; None for those of which anything is known, of a neuron that was recorded at least the upper one."""


@dataclass(frozen=True)
class Block:
    """All that is read of some neurons."""

    collection: Collection
    statistics: dict[int, Statistics]
    spans: dict[Side, tuple[SpanRecord, ...]]
    explanations: dict[Side, tuple[ExplanationRecord, ...]]
    ngrams: dict[Side, tuple[Ngram, ...]]
    output: dict[int, tuple[_Tokens, _Tokens]]
    """What the upper side promotes and suppresses."""
    sides: dict[int, set[int]]
    """Polarities of which something is known, of neurons that the collection recorded or that are explained."""

    def records(self, place: Place) -> Iterator[NeuronRecord]:
        """A record of every side of a neuron."""
        subject, neuron = self.collection.subject, place.neuron
        known = self.sides.get(place.row, set())
        for polarity in place.sides or [p for p in POLARITIES if p in known]:
            side = place.row, polarity
            promoted, suppressed = self._output(*side)
            yield NeuronRecord(
                neuron=replace(neuron, polarity=polarity),
                site=subject.site,
                statistics=self.statistics.get(place.row),
                spans=self.spans.get(side) or self.spans.get((place.row, 0), ()),
                explanations=self.explanations.get(side, ()),
                promoted=promoted,
                suppressed=suppressed,
                width=subject.widths[neuron.layer] if neuron.layer < len(subject.widths) else None,
                ngrams=self.ngrams.get(side, ()),
            )

    def _output(self, row: int, polarity: int) -> tuple[_Tokens, _Tokens]:
        """The lower side promotes what the upper one suppresses."""
        promoted, suppressed = self.output.get(row, ((), ()))
        if polarity > 0:
            return promoted, suppressed
        return _negated(suppressed), _negated(promoted)


def _negated(tokens: _Tokens) -> _Tokens:
    return tuple((token, -logit) for token, logit in tokens)


def _of_neurons(table: Any, columns: Sequence[Any], *order: Any) -> Prepared:
    """Rows of a table about some neurons, from one collection."""
    return Prepared(
        select(*(col(c) for c in columns))
        .where(
            col(table.neuron_id).in_(listed("neurons")),
            col(table.collection_id) == bindparam("collection"),
        )
        .order_by(*(col(c) for c in order))
    )


_S, _X, _G, _O, _V = (
    tables.Statistics,
    tables.Exemplar,
    tables.Ngram,
    tables.OutputToken,
    tables.Vocabulary,
)
_MOMENTS = tuple(f.name for f in fields(Statistics) if f.name != "quantiles")
_TOLD = ("n_tokens", "mean", "std", "min", "max", "frac_positive", "quantiles")
_STATISTICS = _of_neurons(_S, (_S.neuron_id, *(getattr(_S, m) for m in _MOMENTS), _S.quantiles))
_EXEMPLARS = _of_neurons(
    _X,
    (
        *(_X.neuron_id, _X.split, _X.kind, _X.polarity, _X.spans, _X.peaks, _X.peak_positions),
        *(_X.exponents, _X.activations, _X.inclusion_probability, _X.unit),
    ),
    *(_X.neuron_id, _X.split, _X.kind),
)
_NGRAMS = _of_neurons(
    _G,
    (_G.neuron_id, _G.polarity, _G.ngram, _G.mean_response, _G.max_response, _G.count),
    *(_G.neuron_id, _G.polarity, _G.rank),
)
_OUTPUT = Prepared(
    select(
        *(col(_O.neuron_id), col(_O.promoted), col(_O.promoted_logits)),
        *(col(_O.suppressed), col(_O.suppressed_logits)),
    ).where(col(_O.neuron_id).in_(listed("neurons")), col(_O.n) > 0)
)
_TEXTS = Prepared(
    select(col(_V.token_id), col(_V.text))
    .join(tables.Subject, col(tables.Subject.id) == col(_V.subject_id))
    .where(
        col(tables.Subject.name) == bindparam("subject"), col(_V.token_id).in_(listed("token_ids"))
    )
)


def read_block(
    connection: Connection,
    spans: SpanReader,
    collection: Collection,
    places: Sequence[Place],
    parts: Parts,
) -> Block:
    """Read some neurons of a collection's subject; `connection` is in a transaction."""
    ids = json.dumps([place.row for place in places])
    own = {"neurons": ids, "collection": collection.id}
    kept: dict[Side, tuple[SpanRecord, ...]] = {}
    truths: dict[Side, dict[int, Floats]] = {}
    if parts.spans or parts.simulations:
        kept, truths = _spans(connection, spans, collection, _EXEMPLARS(connection, **own))
    explanations = {}
    if parts.explanations:
        truth = truths if parts.simulations else None
        explanations = read_explanations(connection, spans, collection.id, ids, truth)
    recorded = _STATISTICS(connection, **own)
    sides: dict[int, set[int]] = {row.neuron_id: {0} for row in recorded}
    for row, polarity in [*kept, *explanations]:
        sides.setdefault(row, {0}).add(polarity)
    return Block(
        collection=collection,
        statistics=_statistics(recorded),
        spans=kept if parts.spans else {},
        explanations=explanations,
        ngrams=_ngrams(_NGRAMS(connection, **own)),
        output=_output(connection, collection.subject.name, ids),
        sides={row: known - {0} or {1} for row, known in sides.items()},
    )


def _statistics(rows: Sequence[Any]) -> dict[int, Statistics]:
    """Without those of which nothing is known; of others a moment may be None."""
    found = {}
    for row in rows:
        if any(getattr(row, name) is not None for name in _TOLD):
            found[row.neuron_id] = _moments(row)
    return found


def _moments(row: Any) -> Statistics:
    values: dict[str, Any] = {name: getattr(row, name) for name in _MOMENTS}
    sampled = [] if row.quantiles is None else codec.unfloats(row.quantiles).tolist()
    return Statistics(**values, quantiles=tuple(zip(QUANTILE_LEVELS, sampled, strict=False)))


def _spans(
    connection: Connection, spans: SpanReader, collection: Collection, rows: Sequence[Any]
) -> tuple[dict[Side, tuple[SpanRecord, ...]], dict[Side, dict[int, Floats]]]:
    """Kept spans of every side, by split, kind and rank, and activations by the number of the span.

    Those of a neuron's random spans, which serve both sides, are under polarity 0 too.
    """
    numbers = [codec.unfixed(row.spans, 4).tolist() for row in rows]
    found = spans.read(connection, collection.corpus_id, [n for block in numbers for n in block])
    own: defaultdict[Side, list[tuple[Any, ...]]] = defaultdict(list)
    truths: defaultdict[Side, dict[int, Floats]] = defaultdict(dict)
    for row, block in zip(rows, numbers, strict=True):
        shown = [found[n] for n in block]
        split, kind, probability = SPLITS[row.split], KINDS[row.kind], row.inclusion_probability
        exemplars = packing.unpacked(row, shown, split, kind, row.polarity or 1, probability)
        side = row.neuron_id, row.polarity
        own[side].append((row.split, row.kind, [_span(exemplar) for exemplar in exemplars]))
        truths[side].update(zip(block, (e.activations for e in exemplars), strict=True))
    kept = {}
    for neuron, polarity in list(own):
        shared = (neuron, 0)
        blocks = own[neuron, polarity] + (own.get(shared, []) if polarity else [])
        blocks.sort(key=lambda block: block[:2])
        kept[neuron, polarity] = tuple(record for *_, records in blocks for record in records)
        if polarity:
            truths[neuron, polarity] = truths.get(shared, {}) | truths[neuron, polarity]
    return kept, truths


def _span(exemplar: Exemplar) -> SpanRecord:
    span = exemplar.span
    placed = span.document >= 0
    return SpanRecord(
        tokens=span.tokens,
        activations=exemplar.activations,
        split=exemplar.split,
        kind=exemplar.kind,
        rank=exemplar.rank,
        inclusion_probability=exemplar.inclusion_probability,
        token_ids=given_ids(span.token_ids),
        document=span.document if placed else None,
        start=span.start if placed else None,
    )


def _ngrams(rows: Sequence[Any]) -> dict[Side, tuple[Ngram, ...]]:
    found: defaultdict[Side, list[Ngram]] = defaultdict(list)
    for row in rows:
        ngram = Ngram(row.ngram, row.mean_response, row.max_response, row.count)
        found[row.neuron_id, row.polarity].append(ngram)
    return {side: tuple(ngrams) for side, ngrams in found.items()}


def _output(connection: Connection, subject: str, ids: str) -> dict[int, tuple[_Tokens, _Tokens]]:
    rows = _OUTPUT(connection, neurons=ids)
    sorts = (("promoted", "promoted_logits"), ("suppressed", "suppressed_logits"))
    listed_ids = [
        [codec.unfixed(getattr(row, tokens), 4).tolist() for tokens, _ in sorts] for row in rows
    ]
    wanted = sorted({n for both in listed_ids for some in both for n in some})
    found = _TEXTS(connection, subject=subject, token_ids=json.dumps(wanted)) if wanted else []
    texts = {entry.token_id: entry.text for entry in found}
    output = {}
    for row, both in zip(rows, listed_ids, strict=True):
        promoted, suppressed = (
            tuple(
                zip(
                    (texts[n] for n in some),
                    codec.unhalf(getattr(row, logits)).tolist(),
                    strict=True,
                )
            )
            for some, (_, logits) in zip(both, sorts, strict=True)
        )
        output[row.neuron_id] = promoted, suppressed
    return output
