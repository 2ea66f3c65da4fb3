"""Near duplicates: documents that share most of their wording, found so that they can go to one split."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

SHINGLE = 5
"""Words in a row that are compared."""
THRESHOLD = 0.7
"""Share of two texts' shingles (Jaccard) from which they are near duplicates."""

# 25 bands of 5 rows bring up 99 % of the pairs at the threshold; an exact comparison then decides, so that the
# sketch can only miss a pair, never invent one.
_BANDS, _ROWS = 25, 5
_PERMUTATIONS = _BANDS * _ROWS

Shingles = NDArray[np.uint32]


def groups(texts: Sequence[str]) -> list[int]:
    """For every text the index of the first text of its group; chains of similar texts are one group.

    Words are compared without regard to case. Texts shorter than five words match only texts with the same words.

    >>> base = "the river froze over in the night and the boats lay still until spring came"
    >>> groups([base, "something else entirely is said in this one", base.upper()])
    [0, 1, 0]
    """
    words: dict[str, int] = {}
    shingles = [_shingles(text, words) for text in texts]
    parents = list(range(len(texts)))
    index = MinHashLSH(num_perm=_PERMUTATIONS, params=(_BANDS, _ROWS))
    sketches = MinHash.generator(
        (s.tolist() for s in shingles), num_perm=_PERMUTATIONS, hashfunc=int
    )
    for i, sketch in enumerate(sketches):
        for j in sorted(index.query(sketch)):
            a, b = _root(parents, i), _root(parents, j)
            if a != b and _similar(shingles[i], shingles[j]):
                parents[max(a, b)] = min(a, b)
        index.insert(i, sketch, check_duplication=False)
    return [_root(parents, i) for i in range(len(texts))]


def _shingles(text: str, words: dict[str, int]) -> Shingles:
    """Sorted, distinct hashes of the word 5-grams; `words` remembers word hashes between calls.

    A shingle's hash is a polynomial of its words' hashes, whose upper 32 bits are kept; MinHash is given these
    numbers as they are.
    """
    hashes = np.array([_word(w, words) for w in text.lower().split()], dtype=np.uint64)
    width = min(SHINGLE, len(hashes))
    total = np.zeros(len(hashes) - width + 1 if width else 0, dtype=np.uint64)
    for k in range(width):
        total = total * np.uint64(0x9E3779B97F4A7C15) + hashes[k : k + len(total)]
    return np.unique((total >> np.uint64(32)).astype(np.uint32))


def _word(word: str, words: dict[str, int]) -> int:
    known = words.get(word)
    if known is None:
        known = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
        words[word] = known
    return known


def _similar(a: Shingles, b: Shingles) -> bool:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared >= THRESHOLD * (len(a) + len(b) - shared)


def _root(parents: list[int], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i
