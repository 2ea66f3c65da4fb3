"""A look at a text rules out no text that the full-text index would find."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest

from neuroexplain.catalogue.language.query import Words
from neuroexplain.catalogue.searching import stems
from neuroexplain.catalogue.searching.word_list import words_of
from neuroexplain.corpora import python_docs


@pytest.fixture(scope="module")
def same_stem() -> dict[str, list[str]]:
    """The words of the installed documentation, by stem."""
    text = " ".join(text for (text, _), _ in zip(python_docs.read(), range(400), strict=False))
    words = sorted(w for w in words_of(text) if w.isascii() and w.isalpha())
    found = defaultdict(list)
    with closing(sqlite3.connect(":memory:")) as connection:
        tokenizer = "porter unicode61 remove_diacritics 2"
        connection.execute(f"CREATE VIRTUAL TABLE t USING fts5(text, tokenize = '{tokenizer}')")
        connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
        connection.executemany("INSERT INTO t (rowid, text) VALUES (?, ?)", enumerate(words))
        for stem, row in connection.execute("SELECT term, doc FROM v"):
            found[stem].append(words[row])
    return found


def test_words_of_one_stem_have_its_letters(same_stem: dict[str, list[str]]) -> None:
    families = [words for words in same_stem.values() if len(words) > 1]
    assert len(families) > 300
    sure = 0
    for words in families:
        for word in words:
            part = stems.letters(Words(word, "word", 1))
            if part is not None:
                sure += 1
                assert [w for w in words if part not in w] == []
    assert sure > 0.9 * sum(map(len, families))


@pytest.mark.parametrize(
    ("words", "letters"),
    [
        (Words("rivers", "word", 1), "riv"),
        (Words("possibilities", "word", 1), "possi"),
        (Words("of ice-cold", "phrase", 1), "col"),
        (Words("Ünder", "word", 1), "und"),
        (Words("riv", "prefix", 1), None),
        (Words("ive", "part", 1), None),
        (Words("of ice", "phrase", 1, star=True), None),
        (Words("河", "word", 1), None),
        (Words("a", "word", 1), None),
    ],
)
def test_letters_of_words(words: Words, letters: str | None) -> None:
    assert stems.letters(words) == letters
