"""Search in two steps: few candidates from whatever names them soonest, then the narrow table of entries in order.

A statement that names the candidates of a rare word is over in a millisecond. For what matches half of the catalogue it
would take seconds, while a walk through the entries in the order of the result meets enough matches at once. So candidates
are counted up to a limit, and this count decides. Every value of the query is a bound parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from neuroexplain.catalogue.language import grammar
from neuroexplain.catalogue.language.query import Node, Query, Term
from neuroexplain.catalogue.searching import facets, shown
from neuroexplain.catalogue.searching.conditions import FEW, RANKED, Conditions, Source
from neuroexplain.catalogue.searching.found import Count, Cursor, Facets, SearchResult
from neuroexplain.catalogue.searching.orders import Order, order
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.catalogue.searching.rarity import rarity_of
from neuroexplain.catalogue.searching.recall import Recall
from neuroexplain.catalogue.searching.sql import (
    TRUE,
    Sql,
    all_of,
    fetch,
    numbers,
    postgresql,
    stream,
)
from neuroexplain.catalogue.searching.vocabulary import Vocabulary, check_names
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.troubles import CutError
from neuroexplain.errors import QueryError

LIMIT = 100
"""Rows, unless the caller or the query says otherwise."""
FIRST = 500
"""Of a ranking that are looked at first: they usually hold a page."""
COUNTED = 10_000
"""Matches up to which they are counted."""
LOOK, TEST, STEP = 0.7, 0.13, 0.12
"""Microseconds to look at a candidate, to note one for tests, and to go past an entry."""
_SIZE = Sql("SELECT (SELECT max(id) FROM entry), (SELECT max(layer) FROM entry)")
SECONDS = 10.0
"""For a query, unless the caller says otherwise."""
Resolve = Callable[[Term], Ranking]
"""Makes a ranking of what a term asks for."""


@dataclass(frozen=True)
class Wish:
    """What is wanted of a search beside its query."""

    limit: int | None = None
    after: str | None = None
    count: bool = False
    facets: bool = False
    resolve: Resolve | None = None


def search(connection: Connection, recall: Recall, text: str, wish: Wish) -> SearchResult:
    """The explanations that match a query; the smaller of the two limits holds.

    Args:
        connection: a reading transaction, limited in time by the caller.
        recall: what earlier searches found out about this catalogue.
        text: the query.
        wish: what else is wanted.

    Raises:
        QueryError: an unknown field or a bad value; the message has the valid ones and the column.
        CutError: the time was up before anything was found.
    """
    if wish.limit is not None and wish.limit < 1:
        raise QueryError(f"limit must be at least 1, not {wish.limit}")
    text = codec.clean(text)
    query = grammar.parse(text)
    recall.see(connection)
    names = recall.once("names", lambda: Vocabulary.read(connection))
    found = _Search(connection, recall, query, Conditions(connection, query, names), wish)
    most = min((n for n in (wish.limit, query.limit) if n is not None), default=LIMIT)
    after = None if wish.after is None else Cursor.read(wish.after, text)
    ranked_by = found.ranking.name if found.ranking else None
    places = found.page(after, most + 1)
    check_names(query, names, found.methods, found=bool(places))
    page = places[:most]
    rows = shown.rows(connection, names, query.scorer, found.conditions.simulators, page)
    more = len(places) > most
    return SearchResult(
        rows=rows,
        truncated=more,
        next=page[-1].cursor.text(text) if more else None,
        total=found.total() if wish.count else None,
        facets=found.facets() if wish.facets else None,
        cut=found.cut,
        ranked_by=ranked_by,
    )


def matches(
    connection: Connection, recall: Recall, text: str, columns: str
) -> Iterator[tuple[Any, ...]]:
    """Columns of `entry e` of everything that a query finds, in no order; has to be read to its end, or closed.

    Raises:
        QueryError: as `search`; or the query ranks, or has a limit, and so finds no set.
    """
    text = codec.clean(text)
    query = grammar.parse(text)
    for part in query.where.parts:
        if isinstance(part, Term) and part.field in RANKED:
            raise QueryError(f"{part.field} ranks, and finds no set", column=part.column)
    if query.limit is not None:
        raise QueryError("limit: a set is wanted, not the first of it; leave it out")
    recall.see(connection)
    names = recall.once("names", lambda: Vocabulary.read(connection))
    conditions = Conditions(connection, query, names)
    found = _Search(connection, recall, replace(query, sort=None), conditions, Wish())
    check_names(query, names, found.methods, found=False)
    yield from stream(connection, found._matches(columns, TRUE, found.fewest))


@dataclass
class _Search:
    """One search under way."""

    connection: Connection
    recall: Recall
    query: Query
    conditions: Conditions
    wish: Wish
    cut: str | None = None
    answered: tuple[Node, ...] = ()
    """Parts of the query that the ranking answers."""
    candidates: Source | None = None
    """Where all matches are among few; None where they are among many."""
    n_candidates: int = 0
    fewest: Source | None = None
    """The source that names fewest, few or many."""
    ranking: Ranking | None = None

    def __post_init__(self) -> None:
        self._rank()
        counts = [(self._count(source), source) for source in self.conditions.sources()]
        counts.sort(key=lambda entry: entry[0] / max(entry[1].few, 1))
        if counts:
            n, self.fewest = counts[0]
            if n <= self.fewest.few:
                self.candidates, self.n_candidates = self.fewest, n

    def _ranked_parts(self) -> tuple[Term, ...]:
        parts = self.query.where.parts
        return tuple(p for p in parts if isinstance(p, Term) and p.field in RANKED)

    def _rank(self) -> None:
        """Resolve the one part that needs more than SQL, if there is one."""
        parts = self._ranked_parts()
        self.answered = parts
        if len(parts) > 1:
            message = "one of meaning, similar and activates at a time"
            raise QueryError(message, column=parts[1].column)
        for term in parts:
            if self.wish.resolve is None:
                message = f"{term.field} takes more than the catalogue: use neuroexplain.search()"
                raise QueryError(message, column=term.column)
            self.ranking = self.wish.resolve(term)
        if self.query.sort == "relevance":
            self.ranking = self._relevance()
        elif self.query.sort == "similarity" and self.ranking is None:
            raise QueryError("sort:similarity needs meaning, similar or activates")
        if self.ranking is not None and self.ranking.missing:
            self.cut = f"{self.ranking.missing:,} could not be ranked"

    def _relevance(self) -> Ranking:
        expression = self.conditions.text_expression()
        if expression is None:
            raise QueryError("sort:relevance needs words")
        found = fetch(self.connection, self.conditions.weighed(expression, FEW + 1))
        if len(found) > FEW:
            self.cut = f"sorted by relevance among the first {FEW:,} matches"
        ids, weights = zip(*found[:FEW], strict=True) if found else ((), ())
        return Ranking.of_explanations("relevance", ids, weights)

    def _count(self, source: Source) -> int:
        """How many a source names, as far as these are few."""

        def count() -> int:
            limited = source.ids + Sql(" LIMIT ?", (source.few + 1,))
            ((n,),) = fetch(self.connection, Sql("SELECT count(*) FROM (") + limited + ") AS k")
            return int(n)

        return self.recall.once((source.ids.text, source.ids.values), count)

    def _where(self, source: Source | None) -> Sql:
        answered = (*self.answered, *(source.parts if source else ()))
        remaining = [part for part in self.query.where.parts if part not in answered]
        plain = [self.conditions.of(part) for part in remaining if isinstance(part, Term)]
        plain.append(self.conditions.default_state())
        others = [self.conditions.of(part) for part in remaining if not isinstance(part, Term)]
        if not others:
            return all_of(plain)
        # Without the CASE, SQLite may look into the full-text index before it knows that a row is wanted at all.
        guard = Sql("CASE WHEN ") + all_of(plain) + " THEN " + all_of(others) + " ELSE FALSE END"
        return all_of([*plain, guard])

    def _matches(
        self,
        columns: str,
        condition: Sql,
        source: Source | None,
        *,
        walk: bool = False,
        by_score: bool = False,
    ) -> Sql:
        """Selects what meets the query and a condition besides, among what a source names.

        Args:
            columns: that are selected.
            condition: besides those of the query.
            source: names candidates, or is None.
            walk: go through the entries and ask of each whether it is a candidate, instead of looking at all of these.
            by_score: only entries with a score are wanted, in the order of these.
        """
        conditions = [self._where(source), condition]
        entries = Sql("entry e") + self.conditions.values.join
        if by_score and (walk or source is None):
            entries, conditions[:0] = self._walked()
        if source is not None and walk:  # the + keeps SQLite from beginning with them after all
            conditions.append(Sql("+e.id IN (") + source.ids + ")")
        elif source is not None:
            # CROSS JOIN has SQLite begin with what stands before it.
            entries = Sql("(") + source.ids + ") c CROSS JOIN " + entries
            conditions.insert(0, Sql("e.id = c.id"))
        return Sql(f"SELECT {columns} FROM ") + entries + " WHERE " + all_of(conditions)

    def _walked(self) -> tuple[Sql, list[Sql]]:
        """What stands behind FROM for a walk in the order of scores, and its conditions."""
        values = self.conditions.values
        if values.walked is None or not values.join.text:
            return Sql("entry e") + values.join, []
        same = Sql("n.scorer_id = ? AND n.explanation_id = e.id", (values.scorer_id,))
        return values.walked, [same]

    def _walk_is_shorter(self, source: Source, most: int) -> bool:
        """Whether a walk that ends after a page takes less than a look at every candidate, as far as one can tell."""
        if postgresql(self.connection):  # which weighs that itself
            return False
        ((last, layer),) = self.recall.once("size", lambda: fetch(self.connection, _SIZE))
        entries, layers = float(last or 0), int(layer or 0) + 1
        rarity = 1.0
        for part in self.query.where.parts:
            if part not in source.parts:
                rarity *= rarity_of(part, layers)
        steps = min(most * rarity * entries / max(self.n_candidates, 1), entries)
        return TEST * self.n_candidates + STEP * steps < LOOK * self.n_candidates

    def page(self, after: Cursor | None, most: int) -> list[shown.Place]:
        """The next matches behind a place, in order; fewer where the time was up."""
        if self.ranking is not None and self.query.sort in (None, "similarity", "relevance"):
            return list(islice(self._ranked(self.ranking, after), most))
        if self.ranking is not None:
            self._narrow(self.ranking)
        wanted = order(self.query.sort or "score", self.query.descending, self.conditions.values)
        places: list[shown.Place] = []
        try:
            for place in self._in_order(wanted, after, most):
                places.append(place)
        except CutError as error:
            if not places:
                raise
            self.cut = str(error)
        return places

    def _in_order(self, wanted: Order, after: Cursor | None, most: int) -> Iterator[shown.Place]:
        columns = ", ".join(("e.id", *wanted.keys))
        values, found = self.conditions.values, 0
        by_score = wanted.keys == (values.score,)
        # No index has the order of the others: all that matches is found, and sorted.
        unsorted = wanted.keys in (("e.density",), (values.p_value,))
        self.conditions.scans = unsorted or (by_score and values.walked is None)
        source = self.candidates
        walk = not self.conditions.scans and (
            source is not None
            and not (by_score and source.unscored)
            and self._walk_is_shorter(source, most)
        )
        for condition, sorting, defined in wanted.phases(after):
            if by_score and defined and source is not None and not self._any_scored(source):
                continue
            statement = self._matches(
                columns, condition, source, walk=walk, by_score=by_score and defined
            )
            statement += Sql(f" ORDER BY {sorting} LIMIT ?", (most - found,))
            for number, *keys in stream(self.connection, statement):
                found += 1
                yield shown.Place(number, tuple(keys) if defined else None)
            if found >= most:
                return

    def _any_scored(self, source: Source) -> bool:
        """Whether to look for entries with a score among some that hardly have any."""
        if not source.unscored or self.conditions.values.score != "e.score":
            return True
        found = Sql("SELECT 1 FROM entry e WHERE e.score IS NOT NULL AND e.id IN (") + source.ids
        limited = found + ") LIMIT 1"
        return self.recall.once(
            (limited.text, limited.values), lambda: bool(fetch(self.connection, limited))
        )

    def _ranked(self, ranking: Ranking, after: Cursor | None) -> Iterator[shown.Place]:
        """Matches in the order of a ranking, as many entries at a time as are few."""
        before = int(after.keys[0]) if after is not None and after.keys else -1
        start, end = max(before, 0), max(before, 0) + FIRST
        while start < len(ranking):
            some = slice(start, end)
            start, end = end, end + FEW
            for place, number in self._among(ranking, some):
                if after is None or (place, number) > (before, after.id):
                    value = float(ranking.values[place])
                    yield shown.Place(number, (place,), value)

    def _among(self, ranking: Ranking, some: slice) -> list[tuple[int, int]]:
        """Matches among some places of a ranking, with these; a neuron may have several explanations."""
        rows, sides = ranking.rows[some].tolist(), ranking.polarities[some].tolist()
        keys = list(zip(rows, sides, strict=True))
        places = {key: some.start + i for i, key in enumerate(keys)}
        given = Sql("SELECT c.id FROM ") + numbers(self.connection, set(rows)) + " c"
        if ranking.kind == "neuron":
            given = Sql("SELECT x.id FROM ") + numbers(self.connection, set(rows))
            given += " c CROSS JOIN explanation x ON x.neuron_id = c.id"
        inside = TRUE
        if self.candidates is not None:
            inside = Sql("e.id IN (SELECT id FROM (") + self.candidates.ids + ") AS k)"
        answered = self.candidates.parts if self.candidates else ()
        source = Source(given, answered, FEW)
        statement = self._matches("e.id, e.neuron_id, e.polarity", inside, source)
        found = fetch(self.connection, statement)
        if ranking.kind == "explanation":
            return sorted((places[number, 0], number) for number, _, _ in found)
        return sorted((places[n, side], number) for number, n, side in found if (n, side) in places)

    def _narrow(self, ranking: Ranking) -> None:
        """Make the first of a ranking the candidates, to sort them otherwise."""
        inside = {number for _, number in self._among(ranking, slice(0, FEW))}
        if len(ranking) > FEW:
            self.cut = f"among the first {FEW:,} by {ranking.name}"
        ids = Sql("SELECT id FROM ") + numbers(self.connection, inside) + " AS r"
        self.candidates = self.fewest = Source(ids, self.query.where.parts, FEW)
        self.ranking = None

    def total(self) -> Count:
        """How many match, as far as is counted."""
        if self.ranking is not None:
            self._narrow(self.ranking)
        inner = self._matches("1 AS one", TRUE, self.fewest)
        statement = Sql("SELECT count(*) FROM (") + inner + Sql(" LIMIT ?) AS k", (COUNTED + 1,))
        try:
            ((n,),) = fetch(self.connection, statement)
        except CutError as error:
            self.cut = str(error)
            return Count(0, capped=True)
        return Count(min(n, COUNTED), n > COUNTED)

    def methods(self) -> set[int]:
        """Those that explanations are made by."""
        return {cell.method_id for cell, _ in self._cells().counts}

    def _cells(self) -> facets.Cells:
        return self.recall.once("cells", lambda: facets.all_cells(self.connection))

    def _of_cells(self, test: facets.Test) -> Facets:
        return facets.facets(self._cells().where(test), self.conditions.names, capped=False)

    def facets(self) -> Facets:
        """What the matches have in common."""
        if self.ranking is not None:
            self._narrow(self.ranking)
        whole = facets.by_cell(self.query.where, self.conditions.names)
        if whole is not None and self.fewest is None:
            return self.recall.once(("facets", self.query.where), lambda: self._of_cells(whole))
        inner = self._matches("e.cell", TRUE, self.fewest)
        return self.recall.once(
            (inner.text, inner.values),
            lambda: facets.counted(self.connection, inner, self.conditions.names),
        )
