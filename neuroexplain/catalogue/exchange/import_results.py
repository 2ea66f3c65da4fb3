"""Imported explanations, scores and simulations: added where nothing of the same key is there, never over it."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.exchange.import_scores import save_scores
from neuroexplain.catalogue.exchange.import_simulations import save_simulations, storable
from neuroexplain.catalogue.exchange.import_spans import Shown
from neuroexplain.catalogue.results.methods import method_id
from neuroexplain.catalogue.searching import entries
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add_many, listed
from neuroexplain.errors import ExchangeError
from neuroexplain.exchanged import ExplanationRecord
from neuroexplain.records import NeuronId

_E, _X = tables.Explanation, tables.Exemplar
_AT_ONCE = 500


@dataclass
class Outcome:
    """What came of a batch."""

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)
    """What was left out because the catalogue says something else, one line each."""

    def conflict(self, what: str) -> None:
        """Note one."""
        self.counts["conflicts"] += 1
        self.conflicts.append(what)


@dataclass(frozen=True)
class Incoming:
    """An explanation with the neuron that it is about."""

    neuron: NeuronId
    row: int
    """Of the neuron."""
    record: ExplanationRecord

    @property
    def key(self) -> bytes:
        """Its own, or the hash of what it says."""
        record = self.record
        if record.key is not None:
            return codec.digest(record.key)
        content = (
            *(str(self.neuron), record.explainer, record.llm, dict(record.settings), record.text),
            *(record.data, record.status, record.reason),
        )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


class ResultImport:
    """Writes explanations of one collection.

    Args:
        collection_id: row of the collection.
        run_id: that imports.
    """

    def __init__(self, collection_id: int, run_id: int) -> None:
        self._collection_id = collection_id
        self._run_id = run_id

    def save(
        self,
        connection: Connection,
        incoming: Sequence[Incoming],
        spans: Mapping[Shown, int],
        outcome: Outcome,
    ) -> None:
        """Add explanations with their scores and simulations.

        Args:
            connection: in a transaction that holds the write lock.
            incoming: the explanations.
            spans: numbers of the spans in the collection's corpus.
            outcome: takes counts and conflicts.

        Raises:
            ExchangeError: a number is not finite, or out of its range.
        """
        keyed = _keyed(incoming, outcome)
        parents = {codec.digest(e.record.parent) for e in incoming if e.record.parent is not None}
        known = _known(connection, keyed.keys() | parents)
        rows: dict[bytes, int] = {}
        new: dict[bytes, Incoming] = {}
        for key, entry in keyed.items():
            found = _same(entry, known.get(key, ()))
            if found is None:
                new[key] = entry
            elif found.conflict:
                outcome.conflict(
                    f"explanation {key.hex()[:12]} of {entry.neuron}: {found.conflict}"
                )
            else:
                rows[key] = found.row
                outcome.counts["explanations that were there"] += 1
        before = {key: max(r.id for r in versions) for key, versions in known.items()}
        added = self._add(connection, new, before)
        outcome.counts["explanations"] += len(added)
        everything = rows | added
        with_rows = [(everything[key], keyed[key]) for key in everything]
        simulations = save_simulations(connection, self._run_id, with_rows, spans, outcome.counts)
        noted = save_scores(connection, self._run_id, with_rows, simulations, outcome)
        entries.refresh(connection, sorted(added.values()))
        entries.add_words(connection, [new[key].record.text for key in added])
        entries.note_scores(connection, noted)

    def _add(
        self, connection: Connection, new: Mapping[bytes, Incoming], known: Mapping[bytes, int]
    ) -> dict[bytes, int]:
        """Rows of new explanations by key; those that others revise come first."""
        scales = _scales(connection, self._collection_id, new.values())
        added: dict[bytes, int] = {}
        waiting = dict(new)
        while waiting:
            ready = {key: e for key, e in waiting.items() if _parent(e) not in waiting}
            ready = ready or waiting  # they revise each other, which no sweep does
            rows = [
                self._row(connection, key, e, scales, {**known, **added})
                for key, e in ready.items()
            ]
            added |= dict(zip(ready, add_many(connection, _E, rows), strict=True))
            waiting = {key: e for key, e in waiting.items() if key not in ready}
        return added

    def _row(
        self,
        connection: Connection,
        key: bytes,
        entry: Incoming,
        scales: Mapping[tuple[int, int], float],
        known: Mapping[bytes, int],
    ) -> dict[str, Any]:
        record, side = entry.record, (entry.row, entry.neuron.polarity)
        parent = _parent(entry)
        prompt = record.prompt_sha256
        storable(record.settings, f"settings of the explanation of {entry.neuron}")
        return {
            "key": key,
            "collection_id": self._collection_id,
            "neuron_id": entry.row,
            "polarity": entry.neuron.polarity,
            "method_id": method_id(
                connection, record.explainer, record.llm, record.settings, record.template_sha256
            ),
            "prompt_sha256": None if prompt is None else codec.digest(prompt),
            "text": record.text,
            "data": _data(entry),
            "scale": _scale(entry, scales.get(side, 0.0)),
            "status": record.status,
            "reason": record.reason,
            "message": record.message,
            "raw_reply": record.raw_reply,
            "parent_id": None if parent is None else known.get(parent),
            "run_id": self._run_id,
            "created_ms": _created(entry),
        }


def _keyed(incoming: Iterable[Incoming], outcome: Outcome) -> dict[bytes, Incoming]:
    """By key; of several with one key the first."""
    found: dict[bytes, Incoming] = {}
    for entry in incoming:
        first = found.setdefault(entry.key, entry)
        if first.record.text != entry.record.text or first.neuron != entry.neuron:
            outcome.conflict(f"explanation of {entry.neuron}: the file has its key twice")
    return found


def _parent(entry: Incoming) -> bytes | None:
    parent = entry.record.parent
    return None if parent is None else codec.digest(parent)


def _data(entry: Incoming) -> bytes | None:
    data = entry.record.data
    if data is None:
        return None
    return codec.packed_text(storable(data, f"data of the explanation of {entry.neuron}"))


def _scale(entry: Incoming, peak: float) -> float:
    """Activation of level 10; where nobody tells, the largest of the neuron's explain spans."""
    scale = entry.record.scale
    if scale is None:
        return peak
    if not (math.isfinite(scale) and scale >= 0):
        raise ExchangeError(f"{entry.neuron}: scale is {scale}, wanted a number from 0 on")
    return float(scale)


def _created(entry: Incoming) -> int:
    text = entry.record.created_at
    if text is None:
        return codec.now_ms()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExchangeError(
            f"{entry.neuron}: created_at is {text!r}, wanted an ISO time"
        ) from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


_BY_KEY = select(
    *(col(c) for c in (_E.id, _E.key, _E.neuron_id, _E.polarity, _E.status, _E.text))
).where(col(_E.key).in_(bindparam("keys", expanding=True)))


def _known(connection: Connection, keys: Iterable[bytes]) -> dict[bytes, list[Any]]:
    """Rows of some keys."""
    found: defaultdict[bytes, list[Any]] = defaultdict(list)
    wanted = sorted(keys)
    for start in range(0, len(wanted), _AT_ONCE):
        some = {"keys": wanted[start : start + _AT_ONCE]}
        for row in connection.execute(_BY_KEY, some):
            found[row.key].append(row)
    return found


@dataclass(frozen=True)
class _Found:
    """An explanation that is there under the key of another."""

    row: int
    conflict: str | None = None


def _same(entry: Incoming, versions: Sequence[Any]) -> _Found | None:
    """What the catalogue has under the key of an explanation; None where it has to be added."""
    if not versions:
        return None
    good = [row for row in versions if row.status == "ok"]
    row = max(good or versions, key=lambda version: version.id)
    if (row.neuron_id, row.polarity) != (entry.row, entry.neuron.polarity):
        return _Found(row.id, "the catalogue has this key of another neuron")
    if not good:
        return None if entry.record.status == "ok" else _Found(row.id)
    if entry.record.status == "ok" and row.text != codec.clean(entry.record.text):
        return _Found(row.id, f"the catalogue says {row.text!r}, the file {entry.record.text!r}")
    return _Found(row.id)


_PEAKS = Prepared(
    select(*(col(c) for c in (_X.neuron_id, _X.polarity, _X.peaks, _X.exponents))).where(
        col(_X.neuron_id).in_(listed("neurons")),
        col(_X.collection_id) == bindparam("collection"),
        col(_X.split) == 0,
        col(_X.kind) == 0,
    )
)


def _scales(
    connection: Connection, collection_id: int, new: Iterable[Incoming]
) -> dict[tuple[int, int], float]:
    """Largest activations of neurons whose explanations tell no scale, by side."""
    untold = json.dumps(sorted({entry.row for entry in new if entry.record.scale is None}))
    found = {}
    for row in _PEAKS(connection, neurons=untold, collection=collection_id):
        peaks = np.ldexp(codec.unhalf(row.peaks), codec.unfixed(row.exponents, 1)) * row.polarity
        found[row.neuron_id, row.polarity] = max(0.0, float(peaks.max(initial=0.0)))
    return found
