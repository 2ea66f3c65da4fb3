"""What a word is, wherever texts are taken apart into words: n-grams, keywords, evidence lists."""

from __future__ import annotations

import re
from collections.abc import Iterator

# By exclusion: \w knows letters but not the vowel signs of Indian and Thai words.
_MARKS = (
    r"!-/:-@\[-^`{-©«-±´¶-¸»-¿×÷"  # of Latin-1, with controls and currencies
    r"،؛؟۔।॥"  # Arabic, Devanagari
    r"\u2000-\u200b\u200e-\u2bff\u3000-\u303f\ufe30-\ufe6f\uff00-\uff0f\ufffc-\uffff\U0001f000-\U0001faff"
)
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = r"[^\W\d_]"
_INSIDE = rf"[^\s{_MARKS}{_HAN}]"
_WORD = re.compile(
    rf"(?:{_LETTER}\.){{2,}}(?:{_LETTER}(?!\w))?"  # U.S., e.g.
    rf"|{_INSIDE}+(?:['’]{_INSIDE}+|(?<=\d)[.,:](?=\d){_INSIDE}+)*"  # 1990s, father's, 4.5
    r"|['’](?i:s|t|re|ve|ll|d|m)\b"  # of "father 's", as some corpora write it
    r"|\S"
)


def words(text: str) -> list[str]:
    """Words and single punctuation marks, as they are written.

    Apostrophes between letters, and points, commas and colons between digits belong to their word, and so do the
    points of abbreviations of single letters. All other marks are words by themselves, hyphens and Han characters too.

    >>> words("In 4.5 hours the U.S. father's well-known 1990s car, stops.")
    ['In', '4.5', 'hours', 'the', 'U.S.', "father's", 'well', '-', 'known', '1990s', 'car', ',', 'stops', '.']
    """
    return _WORD.findall(text)


def places(text: str) -> Iterator[tuple[str, int, int]]:
    """The same with the first and one-past-last character of each."""
    for match in _WORD.finditer(text):
        yield match[0], match.start(), match.end()


def telling(word: str) -> bool:
    """Whether a word holds a letter or a digit, and so is no mere mark."""
    return any(map(str.isalnum, word))
