"""Documents → explain, select and test, by the hash of their text, so that the same text is always in the same split."""

from __future__ import annotations

from collections.abc import Sequence

from neuroexplain.records import Split

_EXPLAIN, _SELECT = 50, 15  # per cent; the rest is test


def assign(sha256: str) -> Split:
    """The split of a document: explain 50 %, select 15 %, test 35 %.

    Only the last digits decide: the first order the `docs` corpus, where a prefix must hold all splits.

    Args:
        sha256: hash of the text, as hex.
    """
    percent = int(sha256[-8:], 16) * 100 >> 32
    if percent < _EXPLAIN:
        return "explain"
    return "select" if percent < _EXPLAIN + _SELECT else "test"


def assign_groups(hashes: Sequence[str], groups: Sequence[int]) -> list[Split]:
    """Splits of documents whose near duplicates go together.

    Args:
        hashes: [document]; SHA-256 as hex.
        groups: [document]; any number that the members of a group share.

    Returns:
        [document]; a group has the split of its member with the smallest hash, whatever the order.
    """
    smallest: dict[int, str] = {}
    for sha256, group in zip(hashes, groups, strict=True):
        smallest[group] = min(sha256, smallest.get(group, sha256))
    return [assign(smallest[group]) for group in groups]
