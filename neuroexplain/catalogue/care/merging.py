"""Two catalogues of the same subjects put together: what one lacks of the other is added, by what rows say.

Rows go in by short transactions, so that others may go on writing to the target. Each leaves it sound, and a merge that was
cut off is completed by another: what is there already is found and not added again.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, text

from neuroexplain.catalogue.care import merge_order
from neuroexplain.catalogue.care.merge_kinds import Kind, Row, Tally
from neuroexplain.catalogue.care.merge_rows import ARRIVING, Merge, batches, read
from neuroexplain.catalogue.searching import sql
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.errors import CatalogueError

OnRows = Callable[[str, int], None]
"""Called with a table and how many more of its rows are done."""


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    source: str
    tally: Tally

    def to_json(self) -> dict[str, Any]:
        """As `neuroexplain db merge --json` prints it."""
        tally = self.tally
        return {
            "source": self.source,
            "added": {name: n for name, n in tally.added.items() if n},
            "there_already": {name: n for name, n in tally.same.items() if n},
            "left_out": {name: n for name, n in tally.left_out.items() if n},
            "conflicts": dict(tally.conflicts),
            "listed": [vars(conflict) for conflict in tally.listed],
        }

    def lines(self, shown: int) -> Iterator[str]:
        """The same for people, with so many conflicts at most."""
        tally = self.tally
        added = {name: n for name, n in tally.added.items() if n}
        yield f"{self.source}: {_counted(added) or 'nothing new'}"
        for conflict in tally.listed[:shown]:
            place = ", ".join(f"{name} {value}" for name, value in conflict.source.items())
            yield f"differs: {conflict.table} ({place}) in {', '.join(conflict.columns)}; {_KEPT[conflict.kept]}"
        if tally.conflicts:
            yield f"differ in all: {_counted(tally.conflicts)}"
        if left_out := _counted(tally.left_out):
            yield f"left out: {left_out}"


_KEPT = {
    "target": "the target's stands",
    "both": "both are kept",
    "newer": "the source's is later, and stands",
}


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)


def merge(target: Database, source: Database, on_rows: OnRows | None = None) -> Merged:
    """Add to a catalogue what it lacks of another.

    Where both know a row, by its key, place or content, the target's stands, except for explanations: of two versions the
    one made later does. Offline batches that are under way are not merged, and neither is what can be made anew (entries,
    word lists, embeddings).

    Args:
        target: opened for writing.
        source: another catalogue, which is only read, and all of one moment.
        on_rows: told of the progress.

    Returns:
        What was added, what was there, and what differed.

    Raises:
        CatalogueError: both are the same file, a subject's name stands for other weights, or the target cannot be written.
    """
    if target.place == source.place or (
        target.path.exists() and source.path.exists() and target.path.samefile(source.path)
    ):
        raise CatalogueError(f"{source.name} cannot be merged into itself")
    with source.reading() as connection:
        _check_weights(target, connection, source.name)
        state = Merge(connection, foreign=_other_texts(target, connection))
        _bring(target, state, merge_order.RECORDED, on_rows)
        with target.writing() as writing:
            _finish(writing, state)
        _bring(target, state, merge_order.MADE, on_rows)
        for table, _ in merge_order.LEFT:
            (n,) = sql.fetch(connection, Sql(f"SELECT count(*) FROM {table}"))[0]
            state.tally.left_out[table] += n
    target.shorten_log()
    return Merged(source.name, state.tally)


def rows_of(source: Database) -> int:
    """How many rows a merge of a catalogue goes through."""
    kinds = (*merge_order.RECORDED, *merge_order.MADE)
    with source.reading() as connection:
        return sum(
            int(sql.fetch(connection, Sql(f"SELECT count(*) FROM {kind.name}"))[0][0])
            for kind in kinds
        )


def _bring(target: Database, state: Merge, kinds: Iterable[Kind], on_rows: OnRows | None) -> None:
    for kind in kinds:
        for batch in batches(kind, read(state.source, kind)):
            with target.writing() as connection:
                state.step(connection, kind, batch)
            if on_rows is not None:
                on_rows(kind.name, len(batch))


def _check_weights(target: Database, source: Connection, name: str) -> None:
    weights = Sql("SELECT name, weights_sha256 FROM subject")
    with target.reading() as connection:
        ours = dict(sql.fetch(connection, weights))
    for subject, theirs in sql.fetch(source, weights):
        own = ours.get(subject, theirs)
        if own and theirs and own != theirs:  # an import may not know
            raise CatalogueError(
                f'"{subject}" has other weights in {name} ({theirs[:12]}) than in {target.name} ({own[:12]}): these are two '
                "models, and their neurons are not the same; collect one of them under another name by --name"
            )


def _other_texts(target: Database, source: Connection) -> frozenset[str]:
    """Hashes of corpora that both have, with other spans: of imports, which give their spans numbers as they come."""
    with target.reading() as connection:
        ours, theirs = _texts(connection), _texts(source)
    return frozenset(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])


def _texts(connection: Connection) -> dict[str, bytes]:
    """A hash of every corpus's spans, with their texts."""
    query = """
        SELECT corpus.sha256, span.number, span.start, span.length, span.split, document.position, document.sha256
        FROM corpus
        JOIN span ON span.corpus_id = corpus.id
        JOIN document ON document.id = span.document_id
        ORDER BY span.corpus_id, span.number
    """
    found: dict[str, Any] = defaultdict(hashlib.sha256)
    for name, *values in sql.stream(connection, Sql(query)):
        found[name].update(repr(values).encode())
    return {name: digest.digest() for name, digest in found.items()}


def _finish(target: Connection, state: Merge) -> None:
    """Give what has arrived its name, and make it current where nothing is."""
    for kind in merge_order.RECORDED:
        for row in state.arriving[kind.name]:
            number = state.numbers[kind.name][row["id"]]
            _name(target, kind, number)
            if kind.name == "collection":
                _widen(target, "collection", number, row, ("kept", "responses"))
                _join_layers(target, number, row)
                _make_current(target, "collection", "subject_id", number, row)
            elif kind.name == "ngram_pass":
                _widen(target, "ngram_pass", number, row, ("kept",))
                _make_current(target, "ngram_pass", "collection_id", number, row)


def _name(target: Connection, kind: Kind, number: int) -> None:
    column = f'"{kind.arrives}"'
    _do(
        target,
        f"UPDATE {kind.name} SET {column} = substr({column}, :start) WHERE id = :id AND {column} LIKE :arriving",
        {"start": len(ARRIVING) + 1, "id": number, "arriving": f"{ARRIVING}%"},
    )


def _widen(target: Connection, table: str, number: int, row: Row, columns: Iterable[str]) -> None:
    """Have bounds hold for the rows of both."""
    for name in columns:
        statement = f"UPDATE {table} SET {name} = :bound WHERE id = :id AND {name} < :bound"
        _do(target, statement, {"bound": row[name], "id": number})


def _join_layers(target: Connection, number: int, row: Row) -> None:
    """Layers and their widths, as a collection has them that was imported in part."""
    query = Sql("SELECT widths, layers FROM collection WHERE id = ?", (number,))
    widths, layers = map(json.loads, sql.fetch(target, query)[0])
    pairs = zip_longest(widths, json.loads(row["widths"]), fillvalue=0)
    joined = {
        "widths": json.dumps([max(pair) for pair in pairs]),
        "layers": json.dumps(sorted({*layers, *json.loads(row["layers"])})),
    }
    if joined != {"widths": json.dumps(widths), "layers": json.dumps(layers)}:
        statement = "UPDATE collection SET widths = :widths, layers = :layers WHERE id = :id"
        _do(target, statement, {**joined, "id": number})


def _make_current(target: Connection, table: str, of: str, number: int, row: Row) -> None:
    if row["current"]:
        same = f"other.{of} = (SELECT {of} FROM {table} WHERE id = :id)"
        _do(
            target,
            f"UPDATE {table} SET current = 1 WHERE id = :id AND NOT EXISTS "
            f"(SELECT 1 FROM {table} AS other WHERE other.current = 1 AND {same})",
            {"id": number},
        )


def _do(target: Connection, statement: str, values: Mapping[str, Any]) -> None:
    target.execute(text(statement), values)
