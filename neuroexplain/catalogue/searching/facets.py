"""How many of the explanations found share a layer, an explainer, a state or a score.

Every entry has one number for all of these, its cell: counting equal numbers in an index counts everything at once, and the
counts of the whole catalogue answer every query that asks for nothing finer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from neuroexplain.catalogue.language import fields
from neuroexplain.catalogue.language.query import All, Either, Node, Not, Term
from neuroexplain.catalogue.searching.entries import BINS, FAILED, Cell
from neuroexplain.catalogue.searching.found import Count, Facets, FacetValue, ScoreBin
from neuroexplain.catalogue.searching.shown import STATES
from neuroexplain.catalogue.searching.sql import Sql, fetch
from neuroexplain.catalogue.searching.vocabulary import Vocabulary

SAMPLED = 200_000
"""Matches up to which facets are counted."""
Test = Callable[[Cell], bool]


@dataclass(frozen=True)
class Cells:
    """Cells with how many entries each has."""

    counts: tuple[tuple[Cell, int], ...]

    def where(self, test: Test) -> Cells:
        """Those that pass a test."""
        return Cells(tuple((cell, n) for cell, n in self.counts if test(cell)))


def all_cells(connection: Connection) -> Cells:
    """Those of the whole catalogue, from one walk through an index."""
    return _cells(fetch(connection, Sql("SELECT cell, count(*) FROM entry GROUP BY cell")))


def counted(connection: Connection, entries: Sql, names: Vocabulary) -> Facets:
    """Facets of the entries that a statement finds.

    Args:
        connection: a reading transaction.
        entries: selects the column `cell`.
        names: of the catalogue.
    """
    limited = Sql("SELECT cell, count(*) FROM (") + entries + Sql(" LIMIT ?) AS k", (SAMPLED,))
    cells = _cells(fetch(connection, limited + " GROUP BY cell"))
    return facets(cells, names, capped=sum(n for _, n in cells.counts) >= SAMPLED)


def _cells(rows: Iterable[tuple[int, int]]) -> Cells:
    return Cells(tuple((Cell.of(number), n) for number, n in rows))


def facets(cells: Cells, names: Vocabulary, *, capped: bool) -> Facets:
    """What some cells add up to."""
    found: dict[str, Counter[str | int]] = {
        name: Counter()
        for name in ("subject", "layer", "explainer", "llm", "state", "polarity", "score")
    }
    for cell, n in cells.counts:
        plugin, llm = names.methods[cell.method_id]
        found["subject"][names.subjects[cell.subject_id]] += n
        found["layer"][cell.layer] += n
        found["explainer"][plugin] += n
        found["state"][STATES[cell.state]] += n
        found["polarity"]["+" if cell.polarity > 0 else "-"] += n
        found["score"][cell.bin] += n
        if llm is not None:
            found["llm"][llm] += n
    by_number = {name: sorted(found[name].items()) for name in ("layer", "score")}
    often = {
        name: sorted(found[name].items(), key=lambda entry: (-entry[1], str(entry[0])))
        for name in ("subject", "explainer", "llm", "state", "polarity")
    }
    values = {
        name: tuple(FacetValue(value, n) for value, n in items)
        for name, items in (often | {"layer": by_number["layer"]}).items()
    }
    scores = tuple(_bin(int(place), n) for place, n in by_number["score"])
    return Facets(Count(sum(n for _, n in cells.counts), capped), **values, score=scores)


def _bin(place: int, n: int) -> ScoreBin:
    if place == BINS:
        return ScoreBin(None, None, n)
    return ScoreBin(round(2 * place / BINS - 1, 2), round(2 * (place + 1) / BINS - 1, 2), n)


def by_cell(where: All, names: Vocabulary) -> Test | None:
    """A query's conditions as a test of cells; None where cells do not tell.

    Failures count only where the query names states.
    """
    test = _test(where, names)
    if test is None:
        return None
    if _names_states(where):
        return test
    return lambda cell: cell.state != FAILED and test(cell)


def _names_states(node: Node) -> bool:
    match node:
        case All(parts) | Either(parts):
            return any(_names_states(part) for part in parts)
        case Not(part):
            return _names_states(part)
        case Term():
            return node.field == "state"
    return False


def _test(node: Node, names: Vocabulary) -> Test | None:
    match node:
        case All(parts) | Either(parts):
            tests = [_test(part, names) for part in parts]
            known = [test for test in tests if test is not None]
            if len(known) < len(tests):
                return None
            quantifier = all if isinstance(node, All) else any
            return lambda cell: quantifier(test(cell) for test in known)
        case Not(part):
            inner = _test(part, names)
            return None if inner is None else lambda cell: not inner(cell)
        case Term():
            return _of_term(node, names)
    return None


def _of_term(term: Term, names: Vocabulary) -> Test | None:
    match term.field:
        case "layer":
            ranges = fields.alternatives(term)
            return lambda cell: any(
                all(COMPARE[op](cell.layer, number) for op, number in bounds) for bounds in ranges
            )
        case "polarity":
            side = fields.polarity(term)
            return lambda cell: cell.polarity == side
        case "state":
            wanted = {STATES.index(state) for state in fields.states(term)}
            return lambda cell: cell.state in wanted
        case "subject":
            named = fields.names(term)
            return lambda cell: names.subjects[cell.subject_id] in named
        case "explainer" | "llm":
            made, place = fields.names(term), 0 if term.field == "explainer" else 1
            return lambda cell: names.methods[cell.method_id][place] in made
    return None


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
