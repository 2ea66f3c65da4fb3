"""The collection that an import goes into: one that a subject has, or one that its first batch makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.exchange.import_neurons import Rows
from neuroexplain.catalogue.exchange.import_output import OutputImport
from neuroexplain.catalogue.exchange.import_results import ResultImport
from neuroexplain.catalogue.exchange.import_spans import SpanImport
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add_one
from neuroexplain.config import CollectConfig, as_dict
from neuroexplain.errors import ExchangeError, unknown
from neuroexplain.exchanged import About, NeuronRecord


@dataclass(frozen=True)
class Target:
    """Where an import goes, and what it is known by."""

    about: About
    """What the records are of; the subject under the name that it has, or gets, in the catalogue."""
    source: str
    """Where the files are. The same source goes on with the collection that it began."""
    format: str
    attach: bool = False
    """Add explanations to the collection that the subject has, instead of making one."""

    @property
    def key(self) -> str:
        """Of the collection."""
        parts = ["import", self.format, self.source, self.about.subject]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Place:
    """The collection that batches go into, with what writes each kind of thing."""

    rows: Rows
    subject: str
    spans: SpanImport
    output: OutputImport
    results: ResultImport


def grow(
    connection: Connection, collection_id: int, records: Sequence[NeuronRecord], longest: int
) -> None:
    """Note what layers and neurons a collection has by now."""
    table = tables.Collection
    own = col(table.id) == collection_id
    columns = (table.widths, table.layers, table.kept)
    row = connection.execute(select(*(col(c) for c in columns)).where(own)).one()
    layers = set(json.loads(row.layers))
    widths = dict(enumerate(json.loads(row.widths)))
    for record in records:
        layer, index = record.neuron.layer, record.neuron.index
        layers.add(layer)
        widths[layer] = max(widths.get(layer, 0), index + 1, record.width or 0)
    changed = {
        "widths": json.dumps(
            [widths.get(layer, 0) for layer in range(max(widths, default=-1) + 1)]
        ),
        "layers": json.dumps(sorted(layers)),
        "kept": max(row.kept, longest),
    }
    connection.execute(update(table).where(own).values(**changed))


def placed(
    connection: Connection, run_id: int, target: Target, records: Sequence[NeuronRecord]
) -> Place:
    """The collection of an import; made where there is none yet."""
    table, corpus = tables.Collection, tables.Corpus
    subject_id = _subject(connection, target)
    own = (
        (col(table.subject_id) == subject_id, col(table.current) == 1)
        if target.attach
        else (col(table.key) == target.key,)
    )
    columns = (col(table.id), col(table.corpus_id), col(table.site), col(corpus.first))
    query = select(*columns).join(corpus, col(corpus.id) == col(table.corpus_id)).where(*own)
    row = connection.execute(query).one_or_none()
    if row is None:
        if target.attach:
            raise ExchangeError(
                f'the catalogue has no collection of subject "{target.about.subject}" to add explanations to; '
                "import its neurons too, or collect them first"
            )
        _make(connection, subject_id, target, records)
        row = connection.execute(query).one()
    return Place(
        rows=Rows(row.id, subject_id, row.site, row.first),
        subject=target.about.subject,
        spans=SpanImport(row.corpus_id, grows=not target.attach),
        output=OutputImport(subject_id),
        results=ResultImport(row.id, run_id),
    )


def _subject(connection: Connection, target: Target) -> int:
    """Row of the subject; a new one, where its collection is made."""
    table, about = tables.Subject, target.about
    row = connection.execute(select(table).where(col(table.name) == about.subject)).one_or_none()
    if row is None:
        if target.attach:
            raise ExchangeError(unknown("subject", about.subject, _subjects(connection)))
        values = {"name": about.subject, "spec": about.spec or about.subject}
        told = {"weights_sha256": about.weights_sha256, "architecture": about.architecture}
        return add_one(connection, table, values | told)
    told_weights = {row.weights_sha256, about.weights_sha256} - {""}
    if len(told_weights) > 1:
        raise ExchangeError(
            f'the catalogue has a subject "{about.subject}" with other weights ({row.weights_sha256[:12]}, the files '
            f"{about.weights_sha256[:12]}); give this one another name by --subject"
        )
    return int(row.id)


def _subjects(connection: Connection) -> list[str]:
    return list(connection.scalars(select(col(tables.Subject.name))))


def _make(
    connection: Connection, subject_id: int, target: Target, records: Sequence[NeuronRecord]
) -> None:
    """Add the collection of an import, with its corpus; current only where the subject has no other."""
    about, table = target.about, tables.Collection
    spec = about.corpus or f"import:{target.source}"
    row = {
        "sha256": hashlib.sha256(f"corpus {target.key}".encode()).hexdigest(),
        "spec": spec,
        "tokenizer_sha256": about.tokenizer_sha256,
        "seq_len": about.seq_len or 0,
        "first": about.first,
        **dict.fromkeys(("n_documents", "n_tokens", "n_exact_duplicates", "n_near_duplicates"), 0),
    }
    sites = {record.site for record in records} - {None}
    site = str(sites.pop()) if len(sites) == 1 else about.site
    config = about.config or as_dict(
        CollectConfig(about.spec or about.subject, spec, site=site, name=about.subject)
    )
    corpus_id = add_one(connection, tables.Corpus, row)
    current = select(col(table.id)).filter_by(subject_id=subject_id, current=1)
    row = {
        "key": target.key,
        "subject_id": subject_id,
        "corpus_id": corpus_id,
        "site": site,
        "widths": codec.to_json(about.widths, "widths"),
        "layers": "[]",
        "kept": 0,
        "responses": 0,
        "config": codec.to_json(config, "config of the collection"),
        "current": 1 if connection.scalar(current) is None else 0,
        "created_at": about.created_at or codec.now(),
    }
    add_one(connection, table, row)
