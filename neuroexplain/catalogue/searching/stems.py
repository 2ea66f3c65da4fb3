"""A look at a text that rules most of it out before the full-text index is asked, for walks past many rows.

To ask FTS5 whether one row has a word takes ten to thirty microseconds; to look for some letters in its text takes one. A
word matches where the stems agree, and of two words with one stem all but the last letters are the same.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache

from neuroexplain.catalogue.language.query import All, Either, Node, Words
from neuroexplain.catalogue.searching.sql import Sql, all_of, any_of
from neuroexplain.catalogue.searching.word_list import plain, words_of

PLAIN = "*[^ -~“”‘’–—…]*"
"""A pattern of texts that may have letters with accents, which the index takes for those without."""


def letters(words: Words) -> str | None:
    """Letters that every text with a word has; None where none are sure."""
    found = words_of(words.text)
    longest = max(found, key=len, default="")
    if not longest.isascii():
        return None
    if words.kind in ("prefix", "part") or words.star:
        return None  # what is meant is the beginning of a stem, which may have other letters than any word
    stem = stem_of(longest)
    # The last letter of a stem may be another than the word's (y, i), and so may two (bility, ble).
    shared = stem[: len(stem) - (2 if len(stem) > 4 else 1)]
    return shared if len(shared) > 1 and longest.startswith(shared) else None


def may_have(node: Node) -> Sql | None:
    """Whether an explanation `x` may have some words; None where that takes a look at the index."""
    match node:
        case All(parts):
            looks = [look for part in parts if (look := may_have(part)) is not None]
            return all_of(looks) if looks else None
        case Either(parts):
            each = [may_have(part) for part in parts]
            known = [look for look in each if look is not None]
            return any_of(known) if len(known) == len(each) else None
        case Words():
            return _has_letters(node)
    return None


def _has_letters(words: Words) -> Sql | None:
    part = letters(words)
    if part is None:
        return None
    return Sql("(instr(lower(x.text), ?) > 0 OR x.text GLOB ?)", (part, PLAIN))


@lru_cache(maxsize=4096)
def stem_of(word: str) -> str:
    """What the index makes of a word."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE t USING fts5(text, tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, row)")
        connection.execute("INSERT INTO t VALUES (?)", (plain(word),))
        found = [term for (term,) in connection.execute("SELECT term FROM v")]
    return found[0] if len(found) == 1 else ""
