"""What reviewers think, written beside the explanations of a catalogue, where searches find it.

The file of reviews is the truth. Of every explanation and reviewer that it knows a verdict of, current or taken back, the
catalogue's tables `review` and `review_tag` get what it says; rows by others are let be.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.catalogue.storage.rows import Prepared, add, add_one, listed
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Judgement, Target

_AT_ONCE = 200
"""Targets in one transaction: a sweep that writes to the same catalogue waits for some milliseconds."""
_E, _N, _S, _R, _T = (
    *(tables.Explanation, tables.Neuron, tables.Subject),
    *(tables.Review, tables.ReviewTag),
)
Standing = Mapping[Target, Mapping[str, Judgement | None]]
"""What every reviewer thinks of a target; None where they have taken it back."""


@dataclass(frozen=True)
class Mirrored:
    """What became of a catalogue."""

    added: int
    """Rows of reviews that were written."""
    removed: int
    """Rows that were taken away, those that others replace among them."""
    unknown: int
    """Targets that the catalogue has no explanation of."""


class _Row(NamedTuple):
    """A row of `review` with its tags."""

    explanation_id: int
    reviewer: str
    verdict: str
    note: str
    seconds: float | None
    created_at: str
    tags: tuple[str, ...]


_EXPLANATIONS = Prepared(
    select(col(_E.id), col(_E.text), col(_N.idx), col(_E.polarity))
    .join(_N, col(_N.id) == col(_E.neuron_id))
    .join(_S, col(_S.id) == col(_N.subject_id))
    .where(
        col(_S.name) == bindparam("subject"),
        col(_N.layer) == bindparam("layer"),
        col(_N.idx).in_(listed("indices")),
        col(_E.status) == "ok",
    )
)
_REVIEWS = Prepared(
    select(
        *(col(_R.id), col(_R.explanation_id), col(_R.reviewer), col(_R.verdict)),
        *(col(_R.note), col(_R.seconds), col(_R.created_at)),
    ).where(col(_R.explanation_id).in_(listed("explanations")))
)
_TAGS = Prepared(
    select(col(_T.review_id), col(_T.tag)).where(col(_T.review_id).in_(listed("reviews")))
)


def mirror(database: Database, standing: Standing) -> Mirrored:
    """Make a catalogue say what reviewers think; where it does so already, nothing is locked.

    Raises:
        CatalogueError: it is open for reading only, or another process keeps it locked.
    """
    added = removed = unknown = 0
    for part in _parts(standing):
        with database.reading() as connection:
            places = _explanations(connection, part)
            new, old = _changes(connection, part, places)
        unknown += len(part) - len(places)
        if new or old:
            with database.writing() as connection:
                new, old = _changes(connection, part, _explanations(connection, part))
                _write(connection, new, old)
            added, removed = added + len(new), removed + len(old)
    return Mirrored(added, removed, unknown)


def _parts(standing: Standing) -> Iterator[Standing]:
    ordered = iter(sorted(standing))
    while part := list(islice(ordered, _AT_ONCE)):
        yield {target: standing[target] for target in part}


def _explanations(connection: Connection, targets: Iterable[Target]) -> dict[Target, list[int]]:
    """Rows with exactly the text of each target, superseded ones too; targets without any are left out."""
    layers: dict[tuple[str, int], set[int]] = defaultdict(set)
    wanted = {(t.neuron, t.text): t for t in targets}
    for target in wanted.values():
        layers[target.neuron.subject, target.neuron.layer].add(target.neuron.index)
    found: dict[Target, list[int]] = defaultdict(list)
    for (subject, layer), indices in layers.items():
        rows = _EXPLANATIONS.plain(
            connection, subject=subject, layer=layer, indices=json.dumps(sorted(indices))
        )
        for number, text, index, polarity in rows:
            target_ = wanted.get((NeuronId(subject, layer, index, polarity), text))
            if target_ is not None:
                found[target_].append(number)
    return dict(found)


def _changes(
    connection: Connection, standing: Standing, places: Mapping[Target, list[int]]
) -> tuple[list[_Row], list[int]]:
    """Rows that are missing, and numbers of those that are there and should not be."""
    known: set[tuple[int, str]] = set()
    missing: set[_Row] = set()
    for target, numbers in places.items():
        for reviewer, judgement in standing[target].items():
            known |= {(number, _fit(reviewer)) for number in numbers}
            if judgement is not None:
                missing |= {_row(number, judgement) for number in numbers}
    old = []
    for review, row in _existing(connection, {number for number, _ in known}):
        if (row.explanation_id, row.reviewer) not in known:
            continue
        if row in missing:
            missing.remove(row)  # a second one like it is one too many
        else:
            old.append(review)
    return sorted(missing, key=lambda row: (row.created_at, row.explanation_id, row.reviewer)), old


def _existing(connection: Connection, explanations: set[int]) -> Iterator[tuple[int, _Row]]:
    rows = _REVIEWS(connection, explanations=json.dumps(sorted(explanations)))
    tags: dict[int, list[str]] = defaultdict(list)
    for review, tag in _TAGS.plain(connection, reviews=json.dumps([row.id for row in rows])):
        tags[review].append(tag)
    for row in rows:
        own = tuple(sorted(tags[row.id]))
        said = row.verdict, row.note, row.seconds, row.created_at
        yield row.id, _Row(row.explanation_id, row.reviewer, *said, own)


def _row(explanation: int, judgement: Judgement) -> _Row:
    return _Row(
        explanation,
        _fit(judgement.reviewer),
        judgement.verdict,
        _fit(judgement.note),
        judgement.seconds,
        judgement.at,
        tuple(sorted({_fit(tag) for tag in judgement.tags})),
    )


def _fit(text: str) -> str:
    """As a server can keep it, which has no place for the character 0."""
    return text.replace("\0", "\u2400")


def _write(connection: Connection, new: Iterable[_Row], old: list[int]) -> None:
    # New ones first: numbers that are free again would be taken anew, and searches know by them that something changed.
    for row in new:
        values = row._asdict()
        tags = values.pop("tags")
        number = add_one(connection, _R, values)
        add(connection, _T, [{"review_id": number, "tag": tag} for tag in tags])
    gone = {"reviews": json.dumps(old)}
    connection.execute(delete(_T).where(col(_T.review_id).in_(listed("reviews"))), gone)
    connection.execute(delete(_R).where(col(_R.id).in_(listed("reviews"))), gone)
