"""Saving and finding texts about explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add_many
from neuroexplain.records import Failure

Source = Literal["llm", "corpus"]
"""Texts are written by a language model, or n-grams of the test split."""
_TABLE = tables.TextSet
_AT_ONCE = 500


@dataclass(frozen=True)
class TextSet:
    """Texts that show what an explanation says, or the record of why there are none."""

    explanation_id: int
    key: str
    """Hash of everything that determines them."""
    source: Source
    texts: tuple[str, ...]
    wanted: int
    n_duplicates: int = 0
    """Left out because they had come already."""
    n_unusable: int = 0
    """Left out because no tokenizer reads them, or they are empty or far too long."""
    llm: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    template_sha256: str | None = None
    prompt_sha256: str | None = None
    failure: Failure | None = None


def save_texts(connection: Connection, run_id: int, entries: Sequence[TextSet]) -> list[int]:
    """Add texts, or the records of failed ones; returns their rows."""
    return add_many(connection, _TABLE, [_row(run_id, entry) for entry in entries])


def _row(run_id: int, entry: TextSet) -> dict[str, Any]:
    return {
        "explanation_id": entry.explanation_id,
        "key": entry.key,
        "source": entry.source,
        "llm": entry.llm,
        "settings": codec.to_json(entry.settings, "settings of the scorer"),
        "template_sha256": entry.template_sha256,
        "prompt_sha256": entry.prompt_sha256,
        "wanted": entry.wanted,
        "texts": json.dumps(entry.texts),
        "n": len(entry.texts),
        "n_duplicates": entry.n_duplicates,
        "n_unusable": entry.n_unusable,
        **codec.failure(entry.failure),
        "run_id": run_id,
        "created_at": codec.now(),
    }


_KNOWN = (
    select(_TABLE)
    .where(col(_TABLE.key).in_(bindparam("keys", expanding=True)))
    .order_by(col(_TABLE.id))
)


def known_texts(connection: Connection, keys: Sequence[str]) -> dict[str, TextSet]:
    """The newest texts of some keys, those that did not fail before those that did."""
    found: dict[str, TextSet] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = list(keys[start : start + _AT_ONCE])
        for row in connection.execute(_KNOWN, {"keys": some}):
            if row.key not in found or row.reason is None or found[row.key].failure is not None:
                found[row.key] = _text_set(row)
    return found


def _text_set(row: Any) -> TextSet:
    failure = None
    if row.reason is not None:
        failure = Failure("score", row.reason, row.message, row.raw_reply)
    return TextSet(
        explanation_id=row.explanation_id,
        key=row.key,
        source=row.source,
        texts=tuple(json.loads(row.texts)),
        wanted=row.wanted,
        n_duplicates=row.n_duplicates,
        n_unusable=row.n_unusable,
        llm=row.llm,
        settings=json.loads(row.settings),
        template_sha256=row.template_sha256,
        prompt_sha256=row.prompt_sha256,
        failure=failure,
    )
