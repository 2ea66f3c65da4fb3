"""The orders of search results: what is compared, and how a page is cut out of it by its place instead of its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neuroexplain.catalogue.searching.conditions import Values
from neuroexplain.catalogue.searching.found import Cursor
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.errors import QueryError


@dataclass(frozen=True)
class Order:
    """What rows are sorted by; equals by the explanation's row in the same direction."""

    keys: tuple[str, ...]
    """Columns."""
    descending: bool
    optional: bool
    """Whether the column may be NULL; such rows come last in either direction, oldest first."""
    tie: str = "e.id"
    """Column of the explanation's row among those that have keys."""

    def phases(self, after: Cursor | None) -> Iterator[tuple[Sql, str, bool]]:
        """Conditions and orders of the statements whose rows, one after the other, are the result behind a place.

        With whether the rows have keys.

        Raises:
            QueryError: the place is one in another order.
        """
        if self.optional and after is not None and after.keys is None:
            yield self._undefined(after)
            return
        way, compare = ("DESC", "<") if self.descending else ("ASC", ">")
        columns = (*self.keys, self.tie)
        condition = Sql(f"{self.keys[0]} IS NOT NULL" if self.optional else "TRUE")
        if after is not None and after.keys is not None:
            if len(after.keys) != len(self.keys):
                raise QueryError("after: this place is one in a result of another order")
            places = ", ".join("?" for _ in columns)
            values = (*after.keys, after.id)
            condition = Sql(f"({', '.join(columns)}) {compare} ({places})", values)
        yield condition, ", ".join(f"{c} {way}" for c in columns), True
        if self.optional:
            yield self._undefined(None)

    def _undefined(self, after: Cursor | None) -> tuple[Sql, str, bool]:
        condition = Sql(f"{self.keys[0]} IS NULL")
        if after is not None:
            condition = condition + Sql(" AND e.id > ?", (after.id,))
        return condition, "e.id ASC", False


def order(sort: str, descending: bool, values: Values) -> Order:
    """The order of a `sort:` that is no ranking."""
    match sort:
        case "score":
            return Order((values.score,), descending, True, values.tie)
        case "p":
            return Order((values.p_value,), descending, True)
        case "density":
            return Order(("e.density",), descending, True)
        case "layer":
            return Order(("e.layer", "e.idx"), descending, False)
        case "newest":
            return Order((), descending, False)
    raise AssertionError(f"no order: {sort}")
