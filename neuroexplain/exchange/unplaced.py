"""Places for spans of which a format does not tell the place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from neuroexplain.exchanged import SpanRecord


def ranked(spans: Iterable[SpanRecord], polarity: int) -> list[SpanRecord]:
    """Spans with ranks within split and kind: the strongest on the polarity's side first, equal ones as they came."""
    order = sorted(spans, key=lambda span: -float((polarity * span.activations).max()))
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for span in order:
        counts[span.split, span.kind] += 1
        found.append(replace(span, rank=counts[span.split, span.kind] - 1))
    return found
