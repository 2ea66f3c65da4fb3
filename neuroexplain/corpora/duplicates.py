"""Near duplicates: documents that share most of their wording, found so that they can go to one split."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

SHINGLE = 5
"""Words in a row that are compared."""
THRESHOLD = 0.7
"""Share of two texts' shingles (Jaccard) from which they are near duplicates."""

# 25 bands of 5 rows bring up 99 % of the pairs at the threshold; an exact comparison then decides, so that the
# sketch can only miss a pair, never invent one.
_BANDS, _ROWS = 25, 5
# Texts of so many groups may share a band: where all texts share half of their wording, comparing everything with
# everything would take for ever.
_CROWD = 32
# Shingles hashed at a time: MinHash needs a kilobyte for each.
_CHUNK = 4096

Shingles = NDArray[np.uint32]


class Index:
    """Texts seen so far, to be searched for near duplicates of the next one.

    Words are compared without regard to case. Texts shorter than five words match only texts with the same words.

    >>> base = "the river froze over in the night and the boats lay still until spring came"
    >>> index = Index()
    >>> [index.add(text) for text in (base, "something else entirely is said in this one", base.upper())]
    [False, False, True]
    >>> index.groups()
    [0, 1, 0]
    """

    def __init__(self) -> None:
        self._words = _WordHashes()
        self._shingles: list[Shingles] = []
        self._parents: list[int] = []
        self._bands: dict[int, tuple[int, ...]] = {}
        self._empty = MinHash(num_perm=_BANDS * _ROWS, hashfunc=int)

    def add(self, text: str, *, only_new: bool = False) -> bool:
        """Whether an earlier text is a near duplicate of this one, which is added.

        Args:
            text: the next text.
            only_new: do not add near duplicates.
        """
        shingles = _shingles(text, self._words)
        bands = self._sketch(shingles)
        roots = self._similar_roots(shingles, bands, stop_at_one=only_new)
        if roots and only_new:
            return True
        i = len(self._parents)
        root = min(roots, default=i)
        self._shingles.append(shingles)
        self._parents.append(root)
        for other in roots:
            self._parents[other] = root
        for band in bands:
            crowd = self._bands.get(band, ())
            if not crowd or (len(crowd) < _CROWD and root not in map(self._root, crowd)):
                self._bands[band] = (*crowd, i)
        return bool(roots)

    def groups(self) -> list[int]:
        """For every text the index of the first text of its group; chains of similar texts are one group."""
        return [self._root(i) for i in range(len(self._parents))]

    def _similar_roots(
        self, shingles: Shingles, bands: Sequence[int], *, stop_at_one: bool
    ) -> set[int]:
        """First texts of the groups that hold a near duplicate."""
        roots: set[int] = set()
        for j in sorted({j for band in bands for j in self._bands.get(band, ())}):
            root = self._root(j)
            if root not in roots and _similar(shingles, self._shingles[j]):
                roots.add(root)
                if stop_at_one:
                    break
        return roots

    def _sketch(self, shingles: Shingles) -> list[int]:
        """Hashes of the bands of a text's MinHash."""
        sketch = self._empty.copy()
        for k in range(0, len(shingles), _CHUNK):
            sketch.update_batch(shingles[k : k + _CHUNK].tolist())
        rows = sketch.hashvalues.astype(np.uint64).reshape(_BANDS, _ROWS)
        hashes: list[int] = _polynomials([np.arange(_BANDS, dtype=np.uint64), *rows.T]).tolist()
        return hashes

    def _root(self, i: int) -> int:
        while self._parents[i] != i:
            self._parents[i] = self._parents[self._parents[i]]
            i = self._parents[i]
        return i


class _WordHashes(dict[str, int]):
    """64-bit hashes of words, each made once."""

    def __missing__(self, word: str) -> int:
        value = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
        self[word] = value
        return value


def _shingles(text: str, words: _WordHashes) -> Shingles:
    """Sorted, distinct hashes of the word 5-grams.

    MinHash is given the upper 32 bits of these numbers as they are.
    """
    hashes = np.fromiter(map(words.__getitem__, text.lower().split()), dtype=np.uint64)
    width = min(SHINGLE, len(hashes))
    if not width:
        return np.zeros(0, dtype=np.uint32)
    count = len(hashes) - width + 1
    grams = _polynomials([hashes[k : k + count] for k in range(width)])
    return np.unique((grams >> np.uint64(32)).astype(np.uint32))


def _polynomials(columns: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """[row]; a hash of every row's numbers in order."""
    total = columns[0]
    for column in columns[1:]:
        total = total * np.uint64(0x9E3779B97F4A7C15) + column
    return total


def _similar(a: Shingles, b: Shingles) -> bool:
    if min(len(a), len(b)) < THRESHOLD * max(len(a), len(b)):
        return False
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared >= THRESHOLD * (len(a) + len(b) - shared)
