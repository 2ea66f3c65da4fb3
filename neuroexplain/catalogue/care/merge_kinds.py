"""How the rows of a table are merged: what they are known by, and what is done where two say something else."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection, LargeBinary, Table
from sqlmodel import SQLModel

from neuroexplain.catalogue.storage import codec

LISTED = 1000
"""Conflicts that are listed; all are counted."""
Row = dict[str, Any]
Found = Sequence[Row]
"""Rows of the target that a row is known by, oldest first."""
Added = Sequence[tuple[Row, Row]]
"""Rows that were added: as they are in the source, and in the target."""
Kept = Literal["target", "both", "newer"]


@dataclass(frozen=True)
class Conflict:
    """A row that both catalogues have, with other content."""

    table: str
    source: Mapping[str, Any]
    """What the row is known by, in the source's numbers; hashes as hex."""
    columns: tuple[str, ...]
    """In which the two differ."""
    kept: Kept
    """`target`: its row stands, and the source's was not taken; `both`, or `newer`: the source's was added, and stands."""


@dataclass
class Tally:
    """What became of the source's rows, by table."""

    added: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    """Rows that the target had."""
    conflicts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that belong to one that was not taken, or that are not merged at all."""
    listed: list[Conflict] = field(default_factory=list)

    def conflict(self, found: Conflict) -> None:
        """Count a conflict, and list it where there is room."""
        self.conflicts[found.table] += 1
        if len(self.listed) < LISTED:
            self.listed.append(found)


@dataclass(frozen=True)
class Verdict:
    """What is to become of a row that is known."""

    number: int | None = None
    """The target's row that stands for it; None adds it."""
    columns: tuple[str, ...] = ()
    """In which the two differ, where that is to be reported."""
    kept: Kept = "target"
    stands_in: bool = False
    """Whether the target's row stands for it only where others refer to what it revises."""


@dataclass(frozen=True)
class Kind:
    """How the rows of a table are merged.

    Attributes:
        table: whose rows.
        same: columns that a row is known by.
        indexed: how many of these, from the first, an index finds; None: all.
        free: columns in which rows may differ without a conflict.
        whole: whether the rows that are known by the same belong together, and are taken or left as a whole.
        arrives: column of the hash that stands for all that belongs to a row, where much does.
        changed: values that a row has in the target, whatever it has in the source.
        judge: decides about a row that is there already; None keeps the target's.
        after: called with source, target and the rows that were added, in the transaction that added them.
    """

    table: type[SQLModel]
    same: tuple[str, ...]
    indexed: int | None = None
    free: frozenset[str] = frozenset()
    whole: bool = False
    arrives: str | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)
    judge: Callable[[Kind, Row, Found], Verdict] | None = None
    after: Callable[[Connection, Connection, Added], None] | None = None

    @property
    def name(self) -> str:
        """Of the table."""
        return str(self.table.__tablename__)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(column.name for column in self._made.columns)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Columns of the primary key, those that a row is known by first."""
        names = [column.name for column in self._made.primary_key]
        return tuple(sorted(names, key=[*self.same, *names].index))

    @cached_property
    def numbered(self) -> bool:
        """Whether rows have numbers of their own."""
        return self.order == ("id",)

    @cached_property
    def refers(self) -> Mapping[str, str]:
        """Tables that columns refer to."""
        return {
            column.name: key.column.table.name
            for column in self._made.columns
            for key in column.foreign_keys
        }

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """Columns in which rows that are known by the same should agree."""
        skipped = {"id", *self.same, *self.free}
        return tuple(name for name in self.columns if name not in skipped)

    @cached_property
    def packed(self) -> tuple[str, ...]:
        """Columns of bytes; rows of older versions have plain texts there."""
        return tuple(c.name for c in self._made.columns if isinstance(c.type, LargeBinary))

    @property
    def _made(self) -> Table:
        made: Table = self.table.__table__  # type: ignore[attr-defined]
        return made

    def key(self, row: Row) -> tuple[Any, ...]:
        """What a row is known by."""
        return tuple(row[name] for name in self.same)

    def content(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """What rows say that are known by the same."""
        return sorted(tuple(row[name] for name in self.compared) for row in rows)

    def differing(self, row: Row, other: Row) -> tuple[str, ...]:
        """Columns in which two rows disagree; compressed ones count by what they hold."""
        return tuple(
            name
            for name in self.compared
            if row[name] != other[name] and _read(row[name]) != _read(other[name])
        )


def _read(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        return value
    try:
        return codec.inflate(value)
    except zlib.error:
        return value


def keep(kind: Kind, row: Row, found: Found) -> Verdict:
    """The target's row stands."""
    return Verdict(found[-1].get("id", 0), kind.differing(row, found[-1]))


def both(kind: Kind, row: Row, found: Found) -> Verdict:
    """Rows that differ are versions, and stand beside each other."""
    for other in found:
        if not kind.differing(row, other):
            return Verdict(other["id"])
    return Verdict(None, kind.differing(row, found[-1]), "both")


def later(kind: Kind, row: Row, found: Found) -> Verdict:
    """Explanations: of good ones the one made later stands, as if both had been written into one file.

    The source's is added where it is the later one, and not taken where the target's would supersede it at once. Failures
    are added beside.
    """
    for other in found:
        if not kind.differing(row, other):
            return Verdict(other["id"])
    good = [other for other in found if other["status"] == "ok"]
    if row["status"] == "failed" or not good:
        return Verdict()
    newest = good[-1]
    columns = kind.differing(row, newest)
    if row["created_ms"] > newest["created_ms"]:
        return Verdict(None, columns, "newer")
    return Verdict(newest["id"], columns, stands_in=True)


def one_reply(kind: Kind, row: Row, found: Found) -> Verdict:
    """The ledger: an equal reply to a request is kept once, whoever paid for it; failed and retired calls are each kept."""
    replies = [other for other in found if _answers(other)]
    if not _answers(row) or not replies:
        same = (other["id"] for other in found if not kind.differing(row, other))
        return Verdict(next(same, None))
    equal = (other["id"] for other in replies if other["reply"] == row["reply"])
    number = next(equal, None)
    return Verdict(number) if number is not None else Verdict(None, ("reply",), "both")


def _answers(call: Row) -> bool:
    """Whether a call is what its request would be answered with."""
    return bool(call["status"] == "ok" and not call["retired"])
