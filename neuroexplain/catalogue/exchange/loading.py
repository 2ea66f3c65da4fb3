"""Filling a fresh catalogue by the million rows: what takes time by the row is made at the end, all at once.

Not for a catalogue that is worth anything: until the end there is no journal, so a crash leaves a file of no use.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from neuroexplain.catalogue.searching.word_list import words_of

_BATCH = 10_000
_LATER = ("explanation", "score", "review", "review_tag", "entry", "standing", "simulation")
"""Tables whose indexes and triggers are made at the end."""
_FAST = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000", "foreign_keys = OFF")

_ENTRIES = """
INSERT INTO entry
WITH newest (explanation_id, score_id) AS (
    SELECT score.explanation_id, max(score.id)
    FROM score
    JOIN measure ON measure.id = score.measure_id AND measure.split = 'test' AND measure.scorer_id = 1
    GROUP BY score.explanation_id
),
live (id) AS (
    SELECT coalesce(max(CASE status WHEN 'ok' THEN id END), max(id)) FROM explanation GROUP BY "key"
),
found AS (
    SELECT
        explanation.id, explanation.neuron_id, neuron.subject_id, neuron.layer, neuron.idx, explanation.polarity,
        explanation.method_id,
        CASE
            WHEN explanation.status = 'failed' THEN 2
            ELSE explanation.id IN (SELECT explanation_id FROM review)
        END AS state,
        explanation.run_id, statistics.frac_positive, score.value, score.p_value
    FROM explanation
    JOIN live ON live.id = explanation.id
    JOIN neuron ON neuron.id = explanation.neuron_id
    LEFT JOIN statistics
        ON statistics.neuron_id = explanation.neuron_id AND statistics.collection_id = explanation.collection_id
    LEFT JOIN newest ON newest.explanation_id = explanation.id
    LEFT JOIN score ON score.id = newest.score_id
    ORDER BY explanation.id
)
SELECT
    *,
    ((((subject_id * 4096 + layer) * 1048576 + method_id) * 4 + state) * 2 + (polarity > 0)) * 64
    + CASE WHEN value IS NULL THEN 40 ELSE min(max(CAST((value + 1) * 20 AS INTEGER), 0), 39) END
FROM found
"""
_STANDINGS = """
INSERT INTO standing
SELECT newest.scorer_id, newest.explanation_id, newest.score_id, score.value, score.p_value
FROM (
    SELECT measure.scorer_id, score.explanation_id, max(score.id) AS score_id
    FROM score
    JOIN measure ON measure.id = score.measure_id AND measure.split = 'test' AND measure.scorer_id != 1
    GROUP BY measure.scorer_id, score.explanation_id
) AS newest
JOIN score ON score.id = newest.score_id
ORDER BY newest.scorer_id, newest.explanation_id
"""


class Loader:
    """Adds rows to a catalogue that is being loaded."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows given as values in the order of `columns`; a batch is read at a time."""
        names = ", ".join(f'"{name}"' for name in columns)
        places = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table} ({names}) VALUES ({places})"
        remaining = iter(rows)
        while batch := list(islice(remaining, _BATCH)):
            self._connection.executemany(statement, batch)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._connection.execute(query).fetchall()


@contextmanager
def loading(path: Path) -> Iterator[Loader]:
    """Add explanations, scores and reviews to a catalogue that nobody else has open.

    Afterwards the indexes, the full text, and the tables that searches use stand for all rows, and are analysed.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for setting in _FAST:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        later = _taken_down(connection)
        yield Loader(connection)
        connection.execute(later.pop("explanation_key"))
        connection.execute(_ENTRIES)
        connection.execute(_STANDINGS)
        connection.execute("INSERT INTO explanation_fts (explanation_fts) VALUES ('rebuild')")
        _add_words(connection)
        for statement in later.values():
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("INSERT INTO explanation_fts (explanation_fts) VALUES ('optimize')")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA journal_mode = WAL")


def _taken_down(connection: sqlite3.Connection) -> dict[str, str]:
    """Drop the indexes and triggers of the tables that are filled; their SQL, by name."""
    places = ", ".join("?" for _ in _LATER)
    found = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL "
        f"AND tbl_name IN ({places})",
        _LATER,
    ).fetchall()
    for kind, name, _ in found:
        connection.execute(f"DROP {kind} {name}")
    return {name: sql for _, name, sql in found}


def _add_words(connection: sqlite3.Connection) -> None:
    """The distinct words of all explanations."""
    words: set[str] = set()
    for (text,) in connection.execute("SELECT text FROM explanation"):
        words.update(words_of(text))
    connection.executemany(
        "INSERT OR IGNORE INTO explanation_word VALUES (?)", ((word,) for word in sorted(words))
    )
