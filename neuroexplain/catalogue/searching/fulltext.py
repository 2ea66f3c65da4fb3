"""Words of a query as the engine's full-text search takes them: FTS5 of SQLite, `tsquery` of PostgreSQL.

Every user's word is quoted and stripped of what an engine cannot take, so no word is an operator and none an error of
syntax. A word of several, such as `snow-white`, is the phrase of its words in both. One without any finds nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from neuroexplain.catalogue.language.query import Words

SQLITE = "SELECT rowid FROM explanation_fts WHERE explanation_fts MATCH :match"
"""Explanations' ids for an FTS5 expression."""
POSTGRESQL = "SELECT id FROM explanation WHERE words @@ to_tsquery('explanation_words', :match)"
"""Explanations' ids for a `tsquery` expression."""

_UNFIT = re.compile("[\0\ud800-\udfff]")
_BETWEEN = re.compile(r"[!-/:-@\[-`{-~\u2000-\u206f\u3000-\u303f\s\0\ud800-\udfff]+")
"""What parts words; the generated column `explanation.words` has the same."""
_ACCENTS = re.compile("[\u0300-\u036f]+")
_NOTHING = "'\ufffd'"


def fts5(words: Sequence[Words]) -> str:
    """An FTS5 expression for explanations that have all of some words."""
    return " AND ".join(map(_fts5, words))


def fts5_any(words: Sequence[Words]) -> str:
    """An FTS5 expression for explanations that have one of some words."""
    return f"({' OR '.join(map(_fts5, words))})"


def tsquery(words: Sequence[Words]) -> str:
    """A `tsquery` expression for explanations that have all of some words."""
    return " & ".join(map(_tsquery, words))


def tsquery_any(words: Sequence[Words]) -> str:
    """A `tsquery` expression for explanations that have one of some words."""
    return f"({' | '.join(map(_tsquery, words))})"


def _fts5(words: Words) -> str:
    text = _UNFIT.sub(" ", words.text).replace('"', '""')
    return f'"{text}"' + (" *" if _starred(words) else "")


def _tsquery(words: Words) -> str:
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", words.text))
    # Punctuation is gone, and with it every quote and backslash.
    parts = [f"'{part}'" for part in _BETWEEN.split(plain) if part] or [_NOTHING]
    return f"({' <-> '.join(parts)}{':*' if _starred(words) else ''})"


def _starred(words: Words) -> bool:
    return words.kind == "prefix" or words.star
