from __future__ import annotations

import hashlib
from collections import Counter

from neuroexplain.corpora import splits


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_shares() -> None:
    counts = Counter(splits.assign(digest(str(i))) for i in range(20_000))
    assert abs(counts["explain"] / 20_000 - 0.50) < 0.02
    assert abs(counts["select"] / 20_000 - 0.15) < 0.02
    assert abs(counts["test"] / 20_000 - 0.35) < 0.02


def test_bounds() -> None:
    ends = ["00000000", "7fffffff", "80000000", "a6666666", "a6666667", "ffffffff"]
    found = [splits.assign("0" * 56 + end) for end in ends]
    assert found == ["explain", "explain", "select", "select", "test", "test"]


def test_fixed_for_ever() -> None:
    # A changed split would let test documents of old catalogues into new explanations.
    texts = ["The river froze.", "A boat.", "Spring came late.", "Night fell over the mill."]
    assert [splits.assign(digest(t)) for t in texts] == ["test", "explain", "test", "test"]


def test_a_group_follows_its_smallest_hash() -> None:
    hashes = [digest(str(i)) for i in range(6)]
    groups = [0, 1, 0, 0, 1, 5]
    found = splits.assign_groups(hashes, groups)
    for group in set(groups):
        members = [i for i in range(6) if groups[i] == group]
        smallest = min(hashes[i] for i in members)
        assert {found[i] for i in members} == {splits.assign(smallest)}
    backwards = splits.assign_groups(hashes[::-1], groups[::-1])
    assert backwards == found[::-1]
