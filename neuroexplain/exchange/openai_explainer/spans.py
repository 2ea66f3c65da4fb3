"""Spans of a NeuronRecord of neuron-explainer."""

from __future__ import annotations

from collections.abc import Sequence

from neuroexplain.exchange import pieces
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.openai_explainer.beside import Beside
from neuroexplain.exchange.openai_explainer.layout import RANDOM, TOP
from neuroexplain.exchange.unplaced import ranked
from neuroexplain.exchanged import SpanRecord
from neuroexplain.records import Kind, Split


def spans(row: Fields, polarity: int, beside: Beside | None) -> tuple[SpanRecord, ...]:
    """All of a neuron's spans: with the places that our file tells, or by the rules of neuron-explainer.

    Raises:
        ExchangeError: a record has no tokens, or not as many activations; or our file tells of other spans.
    """
    top = list(row.objects("most_positive_activation_records"))
    random = list(row.objects("random_sample"))
    bands = [list(band) for band in row.object_lists("random_sample_by_quantile")]
    rows = [*top, *random, *(entry for band in bands for entry in band)]
    if beside is not None:
        if len(rows) != len(beside.places):
            raise beside.row.wrong("spans", f"{len(rows)} of them, as {row.where.file} has")
        places = zip(rows, beside.places, strict=True)
        return tuple(_span(entry, polarity, plain=True, **vars(place)) for entry, place in places)
    return tuple(
        ranked(
            [
                *_in_turn(top, "top", TOP, polarity),
                *_in_turn(random, "random", RANDOM, polarity),
                *(_span(e, polarity, kind="quantile") for band in reversed(bands) for e in band),
            ],
            polarity,
        )
    )


def _in_turn(
    rows: Sequence[Fields], kind: Kind, turn: Sequence[Split], polarity: int
) -> list[SpanRecord]:
    return [
        _span(row, polarity, kind=kind, split=turn[place % len(turn)])
        for place, row in enumerate(rows)
    ]


def _span(
    row: Fields,
    polarity: int,
    *,
    plain: bool = False,
    kind: Kind = "top",
    split: Split = "explain",
    rank: int = 0,
    inclusion_probability: float | None = None,
    document: int | None = None,
    start: int | None = None,
) -> SpanRecord:
    tokens, values = row.beside("tokens", "activations")
    if not tokens:
        raise row.wrong("tokens", "at least one token")
    ids = row.integers("token_ids") if "token_ids" in row else None
    if ids is not None and len(ids) != len(tokens):
        raise row.wrong("token_ids", f"{len(tokens)}, as many as tokens, not {len(ids)}")
    return SpanRecord(
        tokens if plain else pieces.texts(tokens),
        values if polarity > 0 else -values,
        split=split,
        kind=kind,
        rank=rank,
        inclusion_probability=inclusion_probability,
        token_ids=ids,
        document=document,
        start=start,
    )
