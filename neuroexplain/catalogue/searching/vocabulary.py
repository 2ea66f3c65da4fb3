"""The few names of a catalogue, and queries that ask for names that are none of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import Connection

from neuroexplain.catalogue.language import fields
from neuroexplain.catalogue.language.query import Query
from neuroexplain.catalogue.searching.sql import Sql, fetch
from neuroexplain.errors import QueryError, unknown


@dataclass(frozen=True)
class Vocabulary:
    """The few names of a catalogue: subjects, methods, and what scores are of."""

    subjects: dict[int, str]
    methods: dict[int, tuple[str, str | None]]
    """Plug-in and language model."""
    measures: dict[int, tuple[str, str, str | None]]
    """Scorer, simulator and language model of scores on the test split."""
    scorers: dict[str, int]

    @classmethod
    def read(cls, connection: Connection) -> Vocabulary:
        """Those of a catalogue."""
        measures = Sql(
            "SELECT m.id, s.name, m.simulator, m.llm FROM measure m JOIN scorer s ON s.id = m.scorer_id "
            "WHERE m.split = 'test'"
        )
        return cls(
            subjects=dict(fetch(connection, Sql("SELECT id, name FROM subject"))),
            methods={
                n: (p, m)
                for n, p, m in fetch(connection, Sql("SELECT id, plugin, llm FROM method"))
            },
            measures={n: (s, p, m) for n, s, p, m in fetch(connection, measures)},
            scorers={name: n for n, name in fetch(connection, Sql("SELECT id, name FROM scorer"))},
        )


def check_names(
    query: Query, names: Vocabulary, explained_by: Callable[[], AbstractSet[int]], *, found: bool
) -> None:
    """Refuse names that occur nowhere, where they are why nothing was found.

    An unknown scorer hides no rows, but shows all of them without a score, so it is always refused.

    Args:
        query: the query.
        names: of the catalogue.
        explained_by: methods that explanations are made by, as there are also those of simulations.
        found: whether anything was.

    Raises:
        QueryError: a name is unknown; the message has those that are known.
    """
    known: dict[str, Callable[[], set[str]]] = {
        "subject": lambda: set(names.subjects.values()),
        "explainer": lambda: {names.methods[n][0] for n in explained_by()},
        "llm": lambda: {llm for n in explained_by() if (llm := names.methods[n][1])},
        "simulator": lambda: {simulator for _, simulator, _ in names.measures.values()},
        "scorer": lambda: {scorer for scorer, _, _ in names.measures.values()},
    }
    asked: list[tuple[str, str, int | None]] = []
    if query.scorer != "correlation":
        asked.append(("scorer", query.scorer, None))
    if not found:
        asked += [
            (term.field, name, term.column)
            for term in query.terms()
            if term.field in known
            for name in fields.names(term)
        ]
    for field, name, column in asked:
        valid = known[field]()
        if valid and name not in valid:
            raise QueryError(unknown(field, name, sorted(valid)), column=column)
