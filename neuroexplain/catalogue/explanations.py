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
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from neuroexplain.catalogue import codec, reader, tables
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.rows import add, add_many
from neuroexplain.records import Explanation, NeuronId, Ngram

_EXPLANATION = tables.Explanation


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
    added = iter(
        add_many(
            connection, _EXPLANATION, [r for r, k in zip(rows, known, strict=True) if k is None]
        )
    )
    for entry, row in zip(entries, rows, strict=True):
        if entry.ngrams:
            place = (row["neuron_id"], row["polarity"])
            save_ngrams(connection, entry.collection, *place, entry.ngrams)
    return [next(added) if number is None else number for number in known]


def _row(connection: Connection, run_id: int, entry: NewExplanation) -> dict[str, Any]:
    explanation = entry.explanation
    codec.finite(f"explanation of {explanation.neuron}", scale=explanation.scale)
    data = explanation.data
    return {
        "key": entry.key,
        "collection_id": entry.collection.id,
        "neuron_id": reader.neuron_id(connection, entry.collection, explanation.neuron),
        "polarity": explanation.neuron.polarity,
        "explainer": explanation.explainer,
        "llm": explanation.llm,
        "settings": codec.to_json(explanation.settings, "settings of the explainer"),
        "template_sha256": explanation.template_sha256,
        "prompt_sha256": explanation.prompt_sha256,
        "text": explanation.text,
        "data": None if data is None else codec.to_json(data, "data of the explanation"),
        "scale": float(explanation.scale),
        "status": explanation.status,
        **codec.failure(explanation.failure),
        "parent_id": entry.parent_id,
        "run_id": run_id,
        "created_at": codec.now(),
    }


def _known_failure(connection: Connection, row: dict[str, Any]) -> int | None:
    same = [
        col(getattr(_EXPLANATION, name)) == codec.clean(row[name])
        for name in ("key", "reason", "message", "raw_reply")
    ]
    return connection.scalar(select(col(_EXPLANATION.id)).where(*same).limit(1))


def superseded(table: type[tables.Explanation]) -> ColumnElement[bool]:
    """Whether an explanation of the same key replaces a row: a later one, or a good one if the row is a failure."""
    other = aliased(tables.Explanation)
    later = and_(col(other.status) == col(table.status), col(other.id) > col(table.id))
    better = and_(col(other.status) == "ok", col(table.status) == "failed")
    return exists().where(col(other.key) == col(table.key), or_(later, better))


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
    return dict(connection.execute(_KNOWN, {"keys": list(keys)}).all())


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
        select(col(table.explainer), func.count(func.distinct(col(table.key))))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .where(col(table.collection_id) == collection_id, col(table.status) == "ok")
        .group_by(col(table.explainer))
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
        *(table.id, subject.name, neuron.layer, neuron.idx, table.polarity, table.explainer),
        *(table.llm, table.key, table.settings, table.template_sha256),
    )
    query = (
        select(*(col(c) for c in columns))
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
            explainer=r.explainer,
            llm=r.llm,
            key=r.key,
            made_by=f"{r.settings} {r.template_sha256 or ''}",
        )
        for r in connection.execute(query)
    ]


def _explanations() -> Select[*tuple[Any, ...]]:
    table, neuron, subject = tables.Explanation, tables.Neuron, tables.Subject
    return (
        select(table, col(subject.name), col(neuron.layer), col(neuron.idx))
        .join(neuron, col(neuron.id) == col(table.neuron_id))
        .join(subject, col(subject.id) == col(neuron.subject_id))
    )


def _explanation(row: Row[Any]) -> Explanation:
    return Explanation(
        neuron=NeuronId(row.name, row.layer, row.idx, row.polarity),
        explainer=row.explainer,
        text=row.text,
        scale=row.scale,
        data=None if row.data is None else json.loads(row.data),
        llm=row.llm,
        settings=json.loads(row.settings),
        template_sha256=row.template_sha256,
        prompt_sha256=row.prompt_sha256,
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
