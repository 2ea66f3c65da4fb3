"""Rows of one catalogue brought into another: found there by what they say, added where they are missing.

Row numbers mean nothing outside their file. So a row is known by some of its columns, in which references are first turned
into rows of the target; whatever refers to it later learns its number there from `Numbers`.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from neuroexplain.catalogue.care.merge_kinds import Conflict, Found, Kind, Row, Tally, Verdict, keep
from neuroexplain.catalogue.searching import sql
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import add

BATCH = 200
"""Rows in one transaction, so that others get to write in between."""
ARRIVING = "merging "
"""Before the hash of a collection and the like while its rows arrive: nobody takes a part of it for the whole."""


Known = dict[tuple[Any, ...], list[Row]]
"""Rows of the target by what they are known by, oldest first."""


class Numbers:
    """Rows of the target by those of the source."""

    def __init__(self) -> None:
        self._of = array("q")

    def __setitem__(self, source: int, target: int) -> None:
        missing = source + 1 - len(self._of)
        if missing > 0:
            self._of.extend([0] * missing)
        self._of[source] = target

    def __getitem__(self, source: int) -> int:
        """The row in the target; 0 where there is none."""
        return self._of[source] if source < len(self._of) else 0


@dataclass
class Merge:
    """One source on its way into the target.

    Attributes:
        source: a reading transaction, so that all of it is of one moment.
        foreign: hashes of corpora that are others in the target, so that nothing of theirs can be taken.
        numbers: rows of the target, by table.
        stand_ins: explanations of the target in place of versions that were not taken.
        began: the target's last numbers when the merge came to a table.
        arriving: rows of the source whose counterparts stay under a name of their own until all that belongs to them is there.
        tally: what became of the rows.
    """

    source: Connection
    foreign: frozenset[str] = frozenset()
    numbers: dict[str, Numbers] = field(default_factory=lambda: defaultdict(Numbers))
    stand_ins: Numbers = field(default_factory=Numbers)
    began: dict[str, int] = field(default_factory=dict)
    arriving: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    tally: Tally = field(default_factory=Tally)

    def step(self, target: Connection, kind: Kind, rows: Sequence[Row]) -> None:
        """Bring some rows in; `target` is in a transaction that holds the write lock."""
        keys = [self._translated(kind, row, kind.same) for row in rows]
        known = _present(target, kind, [key for key in keys if key is not None])
        if kind.whole:
            added = self._together(kind, rows, known)
        else:
            last = _last(target, kind) if kind.numbered else 0
            added = self._one_by_one(kind, rows, known, last)
        self._add(target, kind, added)

    def _one_by_one(
        self, kind: Kind, rows: Sequence[Row], known: Known, number: int
    ) -> list[tuple[Row, Row]]:
        """Rows that are to be added; their numbers follow the target's last."""
        self.began.setdefault(kind.name, number)
        added = []
        for row in rows:
            new = self._translated(kind, row, kind.columns)
            if new is None:
                self.tally.left_out[kind.name] += 1
                continue
            found = known[kind.key(new)]
            if self._settled(kind, row, new, found):
                continue
            if kind.numbered:
                number += 1
                new["id"] = self.numbers[kind.name][row["id"]] = number
            found.append(new)
            added.append((row, new))
        return added

    def _together(self, kind: Kind, rows: Sequence[Row], known: Known) -> list[tuple[Row, Row]]:
        """Rows that are to be added, of a table in which some belong together."""
        added: list[tuple[Row, Row]] = []
        for _, group in groupby(rows, kind.key):
            theirs = list(group)
            pairs = [(r, new) for r in theirs if (new := self._translated(kind, r, kind.columns))]
            if len(pairs) < len(theirs):
                self.tally.left_out[kind.name] += len(theirs)
            elif ours := known[kind.key(pairs[0][1])]:
                if kind.content(ours) == kind.content([new for _, new in pairs]):
                    self.tally.same[kind.name] += len(pairs)
                else:
                    verdict = Verdict(columns=kind.compared)
                    self.tally.conflict(_conflict(kind, theirs[0], verdict))
            else:
                added += pairs
        return added

    def _add(self, target: Connection, kind: Kind, added: Sequence[tuple[Row, Row]]) -> None:
        if not added:
            return
        self.tally.added[kind.name] += len(added)
        add(target, kind.table, [self._named(kind, row, new) for row, new in added])
        if kind.after is not None:
            kind.after(self.source, target, added)

    def _named(self, kind: Kind, row: Row, new: Row) -> Row:
        """A row as it is added: under a name of its own where more is to come."""
        changed = dict(kind.changed)
        for name in kind.packed:
            if isinstance(new[name], str):
                changed[name] = codec.packed_text(new[name])
        if kind.arrives is not None:
            self.arriving[kind.name].append(row)
            changed[kind.arrives] = f"{ARRIVING}{new[kind.arrives]}"
        return new | changed

    def _translated(self, kind: Kind, row: Row, columns: Sequence[str]) -> Row | None:
        """Some columns of a row, with references into the target; None where one of these leads nowhere."""
        found = {name: row[name] for name in columns}
        for column, table in kind.refers.items():
            if found.get(column) is None:
                continue
            number = self.numbers[table][row[column]]
            if not number and column == "parent_id":
                number = self.stand_ins[row[column]]
            if not number:
                return None
            found[column] = number
        return found

    def _settled(self, kind: Kind, row: Row, new: Row, found: Found) -> bool:
        """Whether nothing has to be added for a row."""
        if not found:
            return False
        if kind.name == "corpus" and row["sha256"] in self.foreign:
            self.tally.conflict(_conflict(kind, row, Verdict(columns=("spans",))))
            return True
        verdict = (kind.judge or keep)(kind, new, found)
        # What the source itself has several versions of is no conflict with the target.
        ours = found[-1].get("id", 0) <= self.began[kind.name]
        if verdict.columns and ours:
            self.tally.conflict(_conflict(kind, row, verdict))
        if verdict.number is None:
            return False
        if not verdict.columns:
            self.tally.same[kind.name] += 1
        if kind.numbered:
            place = self.stand_ins if verdict.stands_in else self.numbers[kind.name]
            place[row["id"]] = verdict.number
        if kind.arrives is not None:
            self.arriving[kind.name].append(row)
        return True


def _conflict(kind: Kind, row: Row, verdict: Verdict) -> Conflict:
    shown = ("id", *kind.same) if kind.numbered else kind.same
    values = {name: row[name] for name in shown}
    plain = {n: v.hex() if isinstance(v, bytes) else v for n, v in values.items()}
    return Conflict(kind.name, plain, verdict.columns, verdict.kept)


def _last(target: Connection, kind: Kind) -> int:
    return int(sql.fetch(target, Sql(f"SELECT coalesce(max(id), 0) FROM {kind.name}"))[0][0])


def _present(target: Connection, kind: Kind, rows: Sequence[Row]) -> Known:
    found: Known = defaultdict(list)
    names = kind.same[: kind.indexed]
    if kind.arrives is not None:
        column = kind.arrives
        rows = [*rows, *({**row, column: f"{ARRIVING}{row[column]}"} for row in rows)]
    wanted = list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))
    if not wanted:
        return found
    # Joined from the side of what is wanted: SQLite takes no index of several columns for an IN, and scans the table.
    places = f"({', '.join('?' for _ in names)})"
    equal = " AND ".join(f'own."{n}" = wanted."{n}"' for n in names)
    query = (
        f"WITH wanted ({_listed(names)}) AS (VALUES {', '.join([places] * len(wanted))}) "
        f"SELECT {_listed(kind.columns, 'own.')} FROM wanted CROSS JOIN {kind.name} AS own "
        f"WHERE {equal} ORDER BY {_listed(kind.order, 'own.')}"
    )
    for values in sql.fetch(target, Sql(query, tuple(v for key in wanted for v in key))):
        row = dict(zip(kind.columns, values, strict=True))
        if kind.arrives is not None:
            row[kind.arrives] = row[kind.arrives].removeprefix(ARRIVING)
        found[kind.key(row)].append(row)
    return found


def _listed(names: Iterable[str], table: str = "") -> str:
    return ", ".join(f'{table}"{name}"' for name in names)


def read(
    source: Connection, kind: Kind, condition: str = "", values: Sequence[Any] = ()
) -> Iterator[Row]:
    """Rows of the source, without those that have not all arrived there, in order of their primary key."""
    if kind.arrives is not None:
        condition, values = f"WHERE \"{kind.arrives}\" NOT LIKE '{ARRIVING}%'", ()
    query = f"SELECT {_listed(kind.columns)} FROM {kind.name} {condition} ORDER BY {_listed(kind.order)}"
    for row in sql.stream(source, Sql(query, tuple(values))):
        yield dict(zip(kind.columns, row, strict=True))


def batches(kind: Kind, rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in portions of `BATCH`, or a little more where some belong together."""
    batch: list[Row] = []
    for row in rows:
        if len(batch) >= BATCH and not (kind.whole and kind.key(row) == kind.key(batch[-1])):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
