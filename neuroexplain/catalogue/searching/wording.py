"""Explanations that share rare words with some texts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from neuroexplain.catalogue.language.query import All, Either, Query, Words
from neuroexplain.catalogue.searching.conditions import Conditions
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.catalogue.searching.sql import Sql, fetch
from neuroexplain.catalogue.searching.vocabulary import Vocabulary
from neuroexplain.catalogue.searching.word_list import words_of

MOST = 5_000
"""Explanations that the words may occur in, all together."""
WORDS = 50
"""Words that are looked up, the longest: these are the rarest, as a rule."""


def alike(connection: Connection, texts: Sequence[str]) -> Ranking:
    """Explanations by how much they share with some texts: bm25 over the rarest words, as many as are in MOST of them."""
    words = sorted(set().union(*map(words_of, texts)), key=lambda word: (-len(word), word))
    counted = sorted((_count(connection, word), word) for word in words[:WORDS])
    chosen, total = [], 0
    for n, word in counted:
        total += n
        if total > MOST:
            break
        chosen.append(word)
    if not chosen:
        return Ranking.of_explanations("bm25", [], [])
    conditions = _conditions(connection, chosen)
    expression = conditions.text_expression()
    assert expression is not None
    found = fetch(connection, conditions.weighed(expression, MOST))
    return Ranking.of_explanations("bm25", [row for row, _ in found], [value for _, value in found])


def _count(connection: Connection, word: str) -> int:
    """Explanations that have a word; one more than MOST stands for any larger number."""
    (source,) = _conditions(connection, [word]).sources()
    limited = Sql("SELECT count(*) FROM (") + source.ids + Sql(" LIMIT ?) AS k", (MOST + 1,))
    ((n,),) = fetch(connection, limited)
    return int(n)


def _conditions(connection: Connection, words: Sequence[str]) -> Conditions:
    any_of = Either(tuple(Words(word, "word", 1) for word in words))
    return Conditions(connection, Query(All((any_of,))), Vocabulary({}, {}, {}, {}))
