from __future__ import annotations

import pytest

from neuroexplain.corpora import spans


@pytest.mark.parametrize(
    ("tokens", "first", "lengths"),
    [
        (0, 0, []),
        (1, 0, []),
        (2, 0, [2]),
        (4, 0, [4]),
        (5, 0, [4]),
        (6, 0, [4, 2]),
        (6, 1, [4, 2]),
        (6, 2, [4]),
        (7, 2, [4, 3]),
        (8, 3, [4, 4]),
    ],
)
def test_lengths(tokens: int, first: int, lengths: list[int]) -> None:
    assert spans.cut([tokens], seq_len=4, first=first).length.tolist() == lengths


def test_spans_know_their_documents() -> None:
    found = spans.cut([6, 1, 3], seq_len=4, first=0)
    assert found.document.tolist() == [0, 0, 2]
    assert found.start.tolist() == [0, 4, 0]


def test_no_documents() -> None:
    assert len(spans.cut([], seq_len=4, first=0).start) == 0
