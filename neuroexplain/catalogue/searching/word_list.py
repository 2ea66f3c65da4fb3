"""The words of a text, as searches for a part of a word know them."""

from __future__ import annotations

import json
import re
import unicodedata

_WORD = re.compile(r"\w+")
LONGEST = 60
"""Characters of a word that are kept."""


def words_of(text: str) -> set[str]:
    """Distinct words in lower case, without accents.

    >>> sorted(words_of("Été, été: snow-white"))
    ['ete', 'snow', 'white']
    """
    return {word[:LONGEST] for word in _WORD.findall(plain(text))}


def plain(text: str) -> str:
    """A text in lower case, without accents, as the full-text index compares it."""
    lower = text.lower()
    if lower.isascii():
        return lower
    decomposed = unicodedata.normalize("NFKD", lower)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def text_words(text: str) -> str:
    """`words_of` as a JSON list, for SQL."""
    return json.dumps(sorted(words_of(text)))
