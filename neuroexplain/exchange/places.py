"""Where a span was found, as the text that an activation's `dataIndex` is: `test top 0 p 1.0 at 12:64`.

Split, kind, rank, the chance that the sampling design keeps such a span, and its document and first token; the last two parts
only where they are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from neuroexplain.exchanged import SpanRecord
from neuroexplain.records import Kind, Split

_PLACE = re.compile(
    r"(explain|select|test) (top|quantile|random|contrastive) (\d{1,9})"
    r"(?: p ([0-9.e+-]{1,25}))?(?: at (\d{1,15}):(\d{1,15}))?"
)


@dataclass(frozen=True)
class Place:
    """A span's place in a collection."""

    split: Split
    kind: Kind
    rank: int
    inclusion_probability: float | None = None
    document: int | None = None
    start: int | None = None

    @classmethod
    def of(cls, span: SpanRecord) -> Place:
        """A span's."""
        return cls(
            *(span.split, span.kind, span.rank, span.inclusion_probability),
            *(span.document, span.start),
        )

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """Read the text; None where it is another."""
        match = _PLACE.fullmatch(text)
        if match is None:
            return None
        try:
            probability = None if match[4] is None else float(match[4])
        except ValueError:
            return None
        at = (None, None) if match[5] is None else (int(match[5]), int(match[6]))
        return cls(*(cast(Split, match[1]), cast(Kind, match[2]), int(match[3])), probability, *at)

    def __str__(self) -> str:
        parts = [f"{self.split} {self.kind} {self.rank}"]
        if self.inclusion_probability is not None:
            parts.append(f"p {float(self.inclusion_probability)!r}")
        if self.document is not None and self.start is not None:
            parts.append(f"at {self.document}:{self.start}")
        return " ".join(parts)
