"""What a full-text engine makes of a query's words: statements and conditions of SQLite's FTS5, and of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from neuroexplain.catalogue.language.query import Words
from neuroexplain.catalogue.searching import fulltext
from neuroexplain.catalogue.searching.sql import Sql


class TextEngine(Protocol):
    """Puts words together to expressions, and expressions into SQL over `entry e`."""

    within: str
    """Whether a `word` has a part, as a condition."""

    def one(self, words: Words) -> str:
        """The expression of a word, a phrase or a prefix."""

    def both(self, expressions: Sequence[str]) -> str:
        """What has all of some expressions."""

    def either(self, expressions: Sequence[str]) -> str:
        """What has one of some expressions, or more."""

    def without(self, expression: str, other: str) -> str:
        """What has one expression and lacks another."""

    def ids(self, expression: str) -> Sql:
        """Selects the explanations that have an expression, as `id`."""

    def weighed(self, expression: str, most: int) -> Sql:
        """Selects explanations with how well each answers an expression, of the first that are met."""

    def probe(self, expression: str) -> Sql:
        """Whether the explanation of an entry has an expression."""


class Fts5:
    """Full text of SQLite."""

    within = "instr(word, ?) > 0"

    def one(self, words: Words) -> str:
        """See `TextEngine`."""
        return fulltext.fts5([words])

    def both(self, expressions: Sequence[str]) -> str:
        """See `TextEngine`."""
        return f"({' AND '.join(expressions)})"

    def either(self, expressions: Sequence[str]) -> str:
        """See `TextEngine`."""
        return f"({' OR '.join(expressions)})"

    def without(self, expression: str, other: str) -> str:
        """See `TextEngine`."""
        return f"({expression} NOT {other})"

    def ids(self, expression: str) -> Sql:
        """See `TextEngine`."""
        return Sql(
            "SELECT rowid AS id FROM explanation_fts WHERE explanation_fts MATCH ?", (expression,)
        )

    def weighed(self, expression: str, most: int) -> Sql:
        """See `TextEngine`."""
        return Sql(
            "SELECT rowid, -bm25(explanation_fts) FROM explanation_fts WHERE explanation_fts MATCH ? LIMIT ?",
            (expression, most),
        )

    def probe(self, expression: str) -> Sql:
        """See `TextEngine`."""
        return Sql(
            "EXISTS (SELECT 1 FROM explanation_fts WHERE explanation_fts MATCH ? AND rowid = e.id)",
            (expression,),
        )


class PostgreSql:
    """Full text of PostgreSQL."""

    within = "strpos(word, ?) > 0"

    def one(self, words: Words) -> str:
        """See `TextEngine`."""
        return fulltext.tsquery([words])

    def both(self, expressions: Sequence[str]) -> str:
        """See `TextEngine`."""
        return f"({' & '.join(expressions)})"

    def either(self, expressions: Sequence[str]) -> str:
        """See `TextEngine`."""
        return f"({' | '.join(expressions)})"

    def without(self, expression: str, other: str) -> str:
        """See `TextEngine`."""
        return f"({expression} & !{other})"

    def ids(self, expression: str) -> Sql:
        """See `TextEngine`."""
        return Sql(
            "SELECT id FROM explanation WHERE words @@ to_tsquery('explanation_words', ?)",
            (expression,),
        )

    def weighed(self, expression: str, most: int) -> Sql:
        """See `TextEngine`."""
        return Sql(
            "SELECT id, ts_rank(words, query) FROM explanation, to_tsquery('explanation_words', ?) AS query "
            "WHERE words @@ query LIMIT ?",
            (expression, most),
        )

    def probe(self, expression: str) -> Sql:
        """See `TextEngine`."""
        return Sql(
            "EXISTS (SELECT 1 FROM explanation x WHERE x.id = e.id AND x.words @@ to_tsquery('explanation_words', ?))",
            (expression,),
        )
