"""What a search gives: rows, counts, and where to go on."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from neuroexplain.catalogue.storage.frames import frame
from neuroexplain.errors import QueryError

_LARGEST = 2**63 - 1
"""Number of a row that a database can hold."""


@dataclass(frozen=True)
class SearchRow:
    """One explanation, with its newest score on the test split."""

    explanation_id: int
    neuron: str
    """Address, SUBJECT/LAYER/INDEX and + or -."""
    layer: int
    idx: int
    polarity: int
    text: str
    explainer: str
    llm: str | None
    status: str
    """`ok` or `failed`."""
    scorer: str | None
    """None where the explanation has no score."""
    score: float | None
    null_mean: float | None
    p_value: float | None
    floor: float | None
    state: str
    """`unreviewed`, `reviewed` or `failed`."""
    reason: str | None
    """Why there is no explanation, or why its score is undefined; None where neither is the case."""
    similarity: float | None = None
    """What a ranking gives it, for queries by meaning, likeness, activation or relevance; see `SearchResult.ranked_by`."""


@dataclass(frozen=True)
class Count:
    """How many, as far as was counted."""

    n: int
    capped: bool = False
    """Whether there are more."""

    def __str__(self) -> str:
        return f"{self.n:,}" + ("+" if self.capped else "")


@dataclass(frozen=True)
class FacetValue:
    """How many of the explanations found share a value."""

    value: str | int
    n: int


@dataclass(frozen=True)
class ScoreBin:
    """How many of the explanations found have a correlation from `low` to `high`."""

    low: float | None
    """None, as `high`, for those without a score."""
    high: float | None
    n: int


@dataclass(frozen=True)
class Facets:
    """What the explanations found have in common, most frequent first; layers and scores in their own order."""

    total: Count
    subject: tuple[FacetValue, ...]
    layer: tuple[FacetValue, ...]
    explainer: tuple[FacetValue, ...]
    llm: tuple[FacetValue, ...]
    state: tuple[FacetValue, ...]
    polarity: tuple[FacetValue, ...]
    score: tuple[ScoreBin, ...]
    """Of correlation, whatever scorer the query names."""


@dataclass(frozen=True)
class SearchResult:
    """The rows of a search, in order."""

    rows: tuple[SearchRow, ...]
    truncated: bool
    """Whether there are more than the limit let through."""
    next: str | None = None
    """Where the next page begins, for `after`; None at the end."""
    total: Count | None = None
    """How many match; None unless asked for."""
    facets: Facets | None = None
    """None unless asked for."""
    cut: str | None = None
    """Why matches may be missing, for example because the time was up; None where none are."""
    ranked_by: str | None = None
    """What `similarity` of the rows is: cosine, correlation, quantile, bm25."""

    @property
    def total_shown(self) -> int:
        """How many rows there are here."""
        return len(self.rows)

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as JSON values."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> Any:
        """The rows as a data frame of pandas or polars, whichever is installed.

        Raises:
            CatalogueError: neither is.
        """
        return frame(SearchRow, self.rows)


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: the next page begins behind it."""

    keys: tuple[float, ...] | None
    """What the rows are sorted by; None among those that have no such value."""
    id: int
    """Of the explanation."""

    def text(self, query: str) -> str:
        """The cursor as a word for addresses and command lines."""
        packed = json.dumps([_mark(query), self.keys, self.id], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, query: str) -> Cursor:
        """The reverse of `text`.

        Raises:
            QueryError: it is no cursor, or one of another query.
        """
        try:
            packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            mark, keys, number = json.loads(packed)
            cursor = cls(None if keys is None else tuple(map(float, keys)), int(number))
            if not (abs(cursor.id) <= _LARGEST and all(map(isfinite, cursor.keys or ()))):
                raise ValueError("numbers that no result has")
        except (ValueError, TypeError, OverflowError) as error:
            raise QueryError(
                f'after: "{text[:40]}" is no place in a result; take it from `next` of a result'
            ) from error
        if mark != _mark(query):
            raise QueryError("after: this place is one in the result of another query")
        return cursor


def _mark(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()[:8]
