"""Saving and finding explanations, and the n-grams that some are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    select,
)
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.results.live import superseded
from neuroexplain.catalogue.results.methods import method_id
from neuroexplain.catalogue.searching.entries import add_words, refresh
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add, add_many
from neuroexplain.records import Explanation, NeuronId, Ngram

_EXPLANATION, _METHOD = tables.Explanation, tables.Method


@dataclass(frozen=True)
class NewExplanation:
    """An explanation that is to be saved, or the record of a failed one."""

    collection: Collection
    key: str
    """Hash of everything that determines it."""
    explanation: Explanation
    parent_id: int | None = None
    """Row of the explanation that it revises."""
    ngrams: Sequence[Ngram] = ()
    """Of its neuron, where it is made of some."""


def save_explanations(
    connection: Connection, run_id: int, entries: Sequence[NewExplanation]
) -> list[int]:
    """Add explanations; returns their rows. The same failure once more is not added again.

    Raises:
        CatalogueError: a collection has no such neuron, or a number is not finite.
    """
    rows = [_row(connection, run_id, entry) for entry in entries]
    known = [_known_failure(connection, row) if row["status"] == "failed" else None for row in rows]
    new = [row for row, number in zip(rows, known, strict=True) if number is None]
    numbers = add_many(connection, _EXPLANATION, new)
    add_words(connection, [row["text"] for row in new])
    refresh(connection, numbers)
    added = iter(numbers)
    for entry, row in zip(entries, rows, strict=True):
        if entry.ngrams:
            place = (row["neuron_id"], row["polarity"])
            save_ngrams(connection, entry.collection, *place, entry.ngrams)
    return [next(added) if number is None else number for number in known]


def _row(connection: Connection, run_id: int, entry: NewExplanation) -> dict[str, Any]:
    explanation = entry.explanation
    codec.finite(f"explanation of {explanation.neuron}", scale=explanation.scale)
    data, prompt = explanation.data, explanation.prompt_sha256
    return {
        "key": codec.digest(entry.key),
        "collection_id": entry.collection.id,
        "neuron_id": reader.neuron_id(connection, entry.collection, explanation.neuron),
        "polarity": explanation.neuron.polarity,
        "method_id": method_id(
            connection,
            explanation.explainer,
            explanation.llm,
            explanation.settings,
            explanation.template_sha256,
        ),
        "prompt_sha256": None if prompt is None else codec.digest(prompt),
        "text": explanation.text,
        "data": None if data is None else _packed(data),
        "scale": float(explanation.scale),
        "status": explanation.status,
        **codec.failure(explanation.failure),
        "parent_id": entry.parent_id,
        "run_id": run_id,
        "created_ms": codec.now_ms(),
    }


def _packed(data: Any) -> bytes:
    return codec.packed_text(codec.to_json(data, "data of the explanation"))


def _known_failure(connection: Connection, row: dict[str, Any]) -> int | None:
    same = [
        col(getattr(_EXPLANATION, name)) == codec.clean(row[name])
        for name in ("key", "reason", "message", "raw_reply")
    ]
    return connection.scalar(select(col(_EXPLANATION.id)).where(*same).limit(1))


def explanation(connection: Connection, number: int) -> Explanation | None:
    """A good explanation by its row, also where there is a newer one of its key."""
    table = tables.Explanation
    query = _explanations().where(col(table.id) == number, col(table.status) == "ok")
    row = connection.execute(query).one_or_none()
    return None if row is None else _explanation(row)


def find_explanations(
    connection: Connection, *conditions: ColumnElement[bool]
) -> list[tuple[int, Explanation]]:
    """Good explanations that meet the conditions, the newest of every key, by id."""
    table = tables.Explanation
    query = _explanations().where(col(table.status) == "ok", ~superseded(table), *conditions)
    return [
        (row.id, _explanation(row)) for row in connection.execute(query.order_by(col(table.id)))
    ]


_KNOWN = (
    select(col(_EXPLANATION.key), func.max(col(_EXPLANATION.id)))
    .where(
        col(_EXPLANATION.key).in_(bindparam("keys", expanding=True)),
        col(_EXPLANATION.status) == "ok",
    )
    .group_by(col(_EXPLANATION.key))
)


def known_explanations(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """Rows of the newest good explanations of some keys."""
    named = {codec.digest(key): key for key in keys}
    return {named[key]: row for key, row in connection.execute(_KNOWN, {"keys": list(named)})}


@dataclass(frozen=True)
class ExplanationRef:
    """Which explanation: enough to choose by, without its text and data."""

    number: int
    """Row in the catalogue."""
    neuron: NeuronId
    explainer: str
    llm: str | None
    key: str
    """Hash of everything that determines it."""
    made_by: str
    """Settings and prompt that it was written with."""

    @property
    def kind(self) -> tuple[str, str, str, int]:
        """What explanations of a layer have in common that can be each other's null."""
        return self.explainer, self.llm or "", self.made_by, self.neuron.polarity


def explainers(
    connection: Connection, collection_id: int, layer: int | None = None
) -> dict[str, int]:
    """Explainers of the good explanations from a collection, and how many there are of each."""
    table, neuron = tables.Explanation, tables.Neuron
    query = (
        select(col(_METHOD.plugin), func.count(func.distinct(col(table.key))))
        .join(_METHOD, col(_METHOD.id) == col(table.method_id))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .where(col(table.collection_id) == collection_id, col(table.status) == "ok")
        .group_by(col(_METHOD.plugin))
    )
    if layer is not None:
        query = query.where(col(neuron.layer) == layer)
    return dict(connection.execute(query).all())


def explanation_refs(
    connection: Connection, collection_id: int, layer: int | None = None
) -> list[ExplanationRef]:
    """Every good explanation from a collection, or from a layer of it, the newest of every key, by row."""
    table, neuron, subject = tables.Explanation, tables.Neuron, tables.Subject
    columns = (
        *(table.id, subject.name, neuron.layer, neuron.idx, table.polarity, table.key),
        *(_METHOD.plugin, _METHOD.llm, _METHOD.settings, _METHOD.template_sha256),
    )
    query = (
        select(*(col(c) for c in columns))
        .join(_METHOD, col(_METHOD.id) == col(table.method_id))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .join(subject, col(subject.id) == col(neuron.subject_id))
        .where(
            col(table.collection_id) == collection_id, col(table.status) == "ok", ~superseded(table)
        )
        .order_by(col(table.id))
    )
    if layer is not None:
        query = query.where(col(neuron.layer) == layer)
    return [
        ExplanationRef(
            number=r.id,
            neuron=NeuronId(r.name, r.layer, r.idx, r.polarity),
            explainer=r.plugin,
            llm=r.llm,
            key=r.key.hex(),
            made_by=f"{r.settings} {r.template_sha256 or ''}",
        )
        for r in connection.execute(query)
    ]


def _explanations() -> Select[*tuple[Any, ...]]:
    table, neuron, subject = tables.Explanation, tables.Neuron, tables.Subject
    place = (subject.name, neuron.layer, neuron.idx)
    made = (_METHOD.plugin, _METHOD.llm, _METHOD.settings, _METHOD.template_sha256)
    columns = (col(c) for c in (*place, *made))
    return (
        select(table, *columns)
        .join(_METHOD, col(_METHOD.id) == col(table.method_id))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .join(subject, col(subject.id) == col(neuron.subject_id))
    )


def _explanation(row: Row[Any]) -> Explanation:
    return Explanation(
        neuron=NeuronId(row.name, row.layer, row.idx, row.polarity),
        explainer=row.plugin,
        text=row.text,
        scale=row.scale,
        data=None if row.data is None else json.loads(codec.unpacked_text(row.data)),
        llm=row.llm,
        settings=json.loads(row.settings),
        template_sha256=row.template_sha256,
        prompt_sha256=None if row.prompt_sha256 is None else row.prompt_sha256.hex(),
    )


def save_ngrams(
    connection: Connection,
    collection: Collection,
    neuron_id: int,
    polarity: int,
    ngrams: Sequence[Ngram],
) -> None:
    """Replace the n-grams of a neuron's polarity."""
    place = {"neuron_id": neuron_id, "collection_id": collection.id, "polarity": polarity}
    connection.execute(delete(tables.Ngram).filter_by(**place))
    rows = []
    for rank, ngram in enumerate(ngrams):
        numbers = {"mean_response": ngram.mean_response, "max_response": ngram.max_response}
        codec.finite(f"n-gram {ngram.text!r}", **numbers)
        rows.append({**place, "rank": rank, "ngram": ngram.text, **numbers, "count": ngram.count})
    add(connection, tables.Ngram, rows)
