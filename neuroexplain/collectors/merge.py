"""Parts → the record of every layer. Nothing here depends on how many parts there were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.blocks import Traces, quantile_block, random_block, top_blocks
from neuroexplain.collectors.moments import Moments
from neuroexplain.collectors.part import Part
from neuroexplain.collectors.plan import Numbers, Plan, slots
from neuroexplain.collectors.sketch import sketch
from neuroexplain.collectors.topk import Arrays, TopSpans
from neuroexplain.recorded import ExemplarBlock, LayerCollection, LayerSketch
from neuroexplain.records import POLARITIES, SPLITS

Number = TypeVar("Number", bound=np.generic)


def merged(parts: Sequence[Part], plan: Plan) -> Iterator[LayerCollection]:
    """Put finished parts together, one layer at a time, in order.

    Args:
        parts: every shard of every layer.
        plan: of the collection.
    """
    for layer in sorted({layer for part in parts for layer in part.header.widths}):
        # A shard that was run again with other groups of layers has a layer twice, the same both times.
        by_shard = {part.header.shard: part for part in parts if layer in part.header.widths}
        yield _merge_layer(layer, [by_shard[shard] for shard in sorted(by_shard)], plan)


def _merge_layer(layer: int, parts: Sequence[Part], plan: Plan) -> LayerCollection:
    width = parts[0].header.widths[layer]
    moments = Moments(width)
    for part in parts:
        moments.merge(part.state(layer))
    seen = moments.n_tokens > 0
    return LayerCollection(
        layer=layer,
        n_tokens=moments.n_tokens,
        n_spans=moments.n_spans,
        mean=moments.mean,
        std=moments.std,
        # An expert that no token was routed to has no extremes.
        min=np.where(seen, moments.min, 0),
        max=np.where(seen, moments.max, 0),
        frac_positive=moments.frac_positive,
        peaks_excluded=moments.peaks_excluded,
        troughs_excluded=moments.troughs_excluded,
        blocks=tuple(_blocks(layer, parts, plan)),
        sketch=_sketch(layer, parts, plan),
    )


def _blocks(layer: int, parts: Sequence[Part], plan: Plan) -> Iterator[ExemplarBlock]:
    first = plan.corpus.info.first
    sampled = _SampledSpans(layer, parts, plan)
    for number, (split, sample) in enumerate(zip(SPLITS, plan.samples, strict=True)):
        yield from top_blocks(_merge_top(number, layer, parts, plan), split, first)
        if sample.bands:
            pool = sampled.of(sample.pool)
            for polarity in POLARITIES:
                yield quantile_block(pool, sample, split, first, layer=layer, polarity=polarity)
        if len(sample.random):
            yield random_block(sampled.of(sample.random), sample, split, first)


def _merge_top(split: int, layer: int, parts: Sequence[Part], plan: Plan) -> Arrays:
    result = parts[0].top(split, layer)
    if len(parts) == 1:
        return result
    sides, k, seq_len = result["traces"].shape
    top = TopSpans(sides // len(POLARITIES), k, seq_len, plan.corpus.span_document)
    top.restore(result)
    for part in parts[1:]:
        top.merge(part.top(split, layer))
    return top.arrays()


class _SampledSpans:
    """The sampled spans of a layer, from wherever a part put them."""

    def __init__(self, layer: int, parts: Sequence[Part], plan: Plan) -> None:
        numbers = [_slots(part, plan)[0] for part in parts]
        pieces = [
            part.spools[layer].read_spans(len(n)) for part, n in zip(parts, numbers, strict=True)
        ]
        self._packed = _joined([packed for packed, _ in pieces])
        self._exponents = _joined([exponents for _, exponents in pieces])
        spans = np.concatenate(numbers)
        self._order = np.argsort(spans)
        self._spans = spans[self._order]

    def of(self, spans: Numbers) -> Traces:
        """Traces of some spans, in the order given."""
        rows = self._order[np.searchsorted(self._spans, spans)]
        return self._packed[rows], self._exponents[rows]


def _sketch(layer: int, parts: Sequence[Part], plan: Plan) -> LayerSketch | None:
    if not len(plan.tokens):
        return None
    places = [_slots(part, plan)[1] for part in parts]
    pieces = [part.spools[layer].read_tokens(len(p)) for part, p in zip(parts, places, strict=True)]
    order = np.argsort(np.concatenate(places))
    return sketch(_joined(pieces), order, _token_ids(plan), _in_explain(plan))


def _joined(pieces: Sequence[NDArray[Number]]) -> NDArray[Number]:
    """Concatenated, but for a copy of a single piece."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _slots(part: Part, plan: Plan) -> tuple[Numbers, Numbers]:
    return slots(plan, plan.shard(part.header.shard, part.header.shards))


def _token_ids(plan: Plan) -> NDArray[np.uint32]:
    """Of every sampled token."""
    corpus, sample = plan.corpus, plan.tokens
    documents = corpus.span_document[sample.spans]
    places = corpus.span_start[sample.spans] + sample.positions
    ids = [
        corpus.documents[d].token_ids[p]
        for d, p in zip(documents.tolist(), places.tolist(), strict=True)
    ]
    return np.array(ids, dtype=np.uint32)


def _in_explain(plan: Plan) -> NDArray[np.bool_]:
    return np.asarray(plan.corpus.span_split[plan.tokens.spans] == SPLITS.index("explain"))
