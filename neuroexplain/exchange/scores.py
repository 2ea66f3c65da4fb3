"""Scores as JSON objects, whole as this package writes them, or as little of one as other formats have."""

from __future__ import annotations

from typing import Any

from neuroexplain.exchange.fields import NOT_TOLD, Fields
from neuroexplain.exchanged import ScoreRecord
from neuroexplain.records import Score, Split

_NUMBERS = ("value", "ci_low", "ci_high", "null_mean", "null_own", "p_value", "floor")
_REASONS = ("reason", "null_reason")
_COUNTS = ("null_n", "n_tokens", "n_nonzero")


def score_row(scored: ScoreRecord) -> dict[str, Any]:
    """A score with what it is of."""
    of = {
        "simulator": scored.simulator,
        "split": scored.split,
        "llm": scored.llm,
        "key": scored.key,
    }
    return vars(scored.score) | of


def read_score(row: Fields) -> ScoreRecord:
    """A score that this package wrote.

    Raises:
        ExchangeError: a key is missing or has another type.
    """
    score = Score(
        scorer=row.text("scorer"),
        coverage=row.number("coverage"),
        **{key: row.maybe_number(key) for key in _NUMBERS},  # type: ignore[arg-type]
        **{key: row.maybe_text(key) for key in _REASONS},  # type: ignore[arg-type]
        **{key: row.integer(key, least=0) for key in _COUNTS},  # type: ignore[arg-type]
    )
    split: Split = row.choice("split", Split)
    return ScoreRecord(
        score, row.text("simulator"), split, row.maybe_text("llm"), row.maybe_text("key")
    )


def bare_score(
    scorer: str, value: float | None, *, n_tokens: int = 0, n_nonzero: int = 0, coverage: float = 1
) -> Score:
    """A score of which a format has little more than the value: interval, null and floor are not in the file."""
    return Score(
        scorer=scorer,
        value=value,
        reason=NOT_TOLD if value is None else None,
        ci_low=None,
        ci_high=None,
        null_mean=None,
        null_own=None,
        null_n=0,
        p_value=None,
        null_reason=NOT_TOLD,
        floor=None,
        n_tokens=n_tokens,
        n_nonzero=n_nonzero,
        coverage=coverage,
    )
