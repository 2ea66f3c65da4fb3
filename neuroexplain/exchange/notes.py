"""What other formats have no place for in an explanation, as one JSON object that some let us put beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.scores import read_score, score_row
from neuroexplain.exchanged import ExplanationRecord


def notes(own: ExplanationRecord) -> dict[str, Any]:
    """Everything but its text, its author and its simulations; scores first, for whoever looks at it."""
    return {
        "scores": [score_row(score) for score in own.scores],
        "key": own.key,
        "parent": own.parent,
        "settings": dict(own.settings),
        "data": own.data,
        "scale": own.scale,
        "template_sha256": own.template_sha256,
        "prompt_sha256": own.prompt_sha256,
        "created_at": own.created_at,
    }


def noted(plain: ExplanationRecord, row: Fields) -> ExplanationRecord:
    """An explanation with its notes.

    Raises:
        ExchangeError: a note has another type.
    """
    return replace(
        plain,
        settings=row.mapping("settings"),
        key=row.maybe_text("key"),
        parent=row.maybe_text("parent"),
        data=row.values.get("data"),
        scale=row.maybe_number("scale"),
        template_sha256=row.maybe_text("template_sha256"),
        prompt_sha256=row.maybe_text("prompt_sha256"),
        created_at=row.maybe_text("created_at"),
        scores=tuple(read_score(score) for score in row.objects("scores")),
    )
