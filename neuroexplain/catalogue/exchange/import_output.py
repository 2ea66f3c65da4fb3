"""Imported output tokens: texts with logits, whose token ids nobody tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select
from sqlalchemy import text as sql_text
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.exchange.import_spans import Numbers
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add, listed
from neuroexplain.errors import ExchangeError
from neuroexplain.exchanged import NeuronRecord

_O = tables.OutputToken
_KNOWN = Prepared(select(col(_O.neuron_id)).where(col(_O.neuron_id).in_(listed("neurons"))))
_ADD_TEXT = sql_text(
    "INSERT INTO vocabulary (subject_id, token_id, text) VALUES (:subject_id, :token_id, :text)"
    " ON CONFLICT DO NOTHING"
)


class OutputImport:
    """Writes the output tokens of neurons that have none yet.

    The two lists of a neuron are kept as long as the shorter one.
    """

    def __init__(self, subject_id: int) -> None:
        self._subject_id = subject_id
        self._ids = Numbers(tables.Vocabulary, subject_id=subject_id)

    def save(self, connection: Connection, kept: Sequence[tuple[int, NeuronRecord]]) -> None:
        """Of some neurons; both sides of one say the same.

        Raises:
            ExchangeError: a logit is not finite, or too large for float16.
        """
        told = {row: r for row, r in reversed(kept) if r.promoted and r.suppressed}
        known = {row[0] for row in _KNOWN(connection, neurons=json.dumps(list(told)))}
        texts: dict[int, str] = {}
        rows = [
            self._row(connection, row, record, texts)
            for row, record in told.items()
            if row not in known
        ]
        if rows:
            found = [{"token_id": number, "text": text} for number, text in texts.items()]
            connection.execute(_ADD_TEXT, [{"subject_id": self._subject_id, **f} for f in found])
            add(connection, _O, rows)

    def _row(
        self, connection: Connection, row: int, record: NeuronRecord, texts: dict[int, str]
    ) -> dict[str, Any]:
        n = min(len(record.promoted), len(record.suppressed))
        side = record.neuron.polarity
        columns: dict[str, Any] = {}
        # The row is of the upper side; the lower one promotes what that suppresses.
        for name, tokens in zip(
            ("promoted", "suppressed"), (record.promoted, record.suppressed)[::side], strict=True
        ):
            words = [codec.clean(text) for text, _ in tokens[:n]]
            logits = np.array([logit for _, logit in tokens[:n]], np.float64) * side
            if not (np.abs(logits) <= np.finfo(np.float16).max).all():
                raise ExchangeError(f"{record.neuron}: a logit is not finite, or above 65,504")
            numbers = self._ids.of(connection, words)
            texts |= dict(zip(numbers, words, strict=True))
            columns[name] = codec.fixed(numbers, 4)
            columns[f"{name}_logits"] = codec.half(logits)
        return {"neuron_id": row, "wanted": n, "n": n, **columns}
