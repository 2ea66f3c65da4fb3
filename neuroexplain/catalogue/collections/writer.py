"""Saving a collection: subject, corpus, neurons and what was recorded of them, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select, update
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.collections.corpora import save_corpus
from neuroexplain.catalogue.collections.recorder import Recorder
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.engine import Database, add_one
from neuroexplain.catalogue.storage.room import writing_much
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus


def save_collection(
    database: Database,
    key: str,
    config: Mapping[str, Any],
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: Iterable[LayerCollection],
    on_layer: Callable[[int], None] | None = None,
) -> int:
    """Save one collection and make it the current one of its subject; see `Catalogue.save_collection`."""
    table = tables.Collection
    neurons = 0
    with writing_much(database, lambda: neurons / max(1, sum(subject.widths))) as connection:
        known = connection.scalar(select(col(table.id)).where(col(table.key) == key))
        if known is not None:
            return known
        subject_id = _subject(connection, subject)
        row = {
            "key": key,
            "subject_id": subject_id,
            "corpus_id": save_corpus(connection, corpus),
            "site": subject.site,
            "widths": codec.to_json(subject.widths, "widths"),
            "layers": "[]",
            "kept": 0,
            "responses": 0,
            "config": codec.to_json(config, "config of the collection"),
            "current": 0,
            "created_at": codec.now(),
        }
        collection_id = add_one(connection, table, row)
        recorder = Recorder(connection, collection_id, subject_id, subject.site, corpus)
        for layer in layers:
            recorder.add(layer)
            neurons += len(layer.mean)
            if on_layer is not None:
                on_layer(layer.layer)
        layers_json = codec.to_json(sorted(recorder.layers), "layers")
        connection.execute(
            update(table)
            .where(col(table.id) == collection_id)
            .values(layers=layers_json, kept=recorder.kept, responses=recorder.responses)
        )
        make_current(connection, collection_id)
    return collection_id


def make_current(connection: Connection, collection_id: int) -> None:
    """Make a collection the one that views and commands show of its subject."""
    table = tables.Collection
    row = col(table.id) == collection_id
    subject_id = connection.scalar(select(col(table.subject_id)).where(row))
    same_subject = col(table.subject_id) == subject_id
    connection.execute(update(table).where(same_subject).values(current=0))
    connection.execute(update(table).where(row).values(current=1))


def _subject(connection: Connection, info: SubjectInfo) -> int:
    table = tables.Subject
    number = known_subject(connection, info)
    if number is None:
        values = {k: getattr(info, k) for k in ("name", "spec", "weights_sha256", "architecture")}
        return add_one(connection, table, values)
    return number


def known_subject(connection: Connection, info: SubjectInfo) -> int | None:
    """The row of a subject, if it is there.

    Raises:
        CatalogueError: the name stands for other weights.
    """
    table = tables.Subject
    row = connection.execute(select(table).where(col(table.name) == info.name)).one_or_none()
    if row is None:
        return None
    if row.weights_sha256 != info.weights_sha256:
        raise CatalogueError(
            f'the catalogue has a subject "{info.name}" with other weights ({row.weights_sha256[:12]}, '
            f"now {info.weights_sha256[:12]}); give this one another name by --name"
        )
    return int(row.id)
