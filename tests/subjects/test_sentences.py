"""Vectors of texts and of their tokens: against plain passes of tiny random models and of MiniLM, whatever runs beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroexplain.errors import SubjectError
from neuroexplain.records import Floats
from neuroexplain.subjects import Subject
from neuroexplain.subjects.sentences import SentenceModel, shared

Make = Callable[..., Any]
Save = Callable[..., Path]
ROWS = np.eye(5, dtype=np.float32)
"""Vectors of five tokens, of which each is told by its place."""

PLACES: dict[str, tuple[list[tuple[int, int]], list[str], list[list[int]]]] = {
    "token by token": ([(0, 2), (2, 5), (5, 6)], ["ab", "cde", "f"], [[0], [1], [2]]),
    "several tokens in a piece": ([(0, 2), (2, 5), (5, 6)], ["abcd", "ef"], [[0, 1], [1, 2]]),
    "several pieces in a token": ([(0, 3), (3, 6)], ["a", "b", "cd", "ef"], [[0], [0], [0, 1], [1]]),
    "white space between": ([(0, 2), (3, 5)], ["ab", " ", "cd"], [[0], [0], [1]]),
    "white space in a piece": ([(0, 2), (3, 5)], ["ab", " c", "d"], [[0], [1], [1]]),
    "white space before all": ([(2, 4)], [" ", " ", "ab", "\n"], [[0], [0], [0], [0]]),
    "parts of a character": ([(0, 1), (1, 2)], ["é", "", "", "x"], [[0], [0], [0], [1]]),
    "a part of one that is gone": ([(0, 1), (1, 2)], ["", "a", "b"], [[0], [0], [1]]),
    "parts of a character on both sides": (
        [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)],
        ["a", "漢", "", "b"],
        [[0], [1, 2, 3], [1, 2, 3], [4]],
    ),
    "special tokens are not in between": ([(0, 0), (0, 1), (1, 2)], ["a", "b"], [[1], [2]]),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_a_piece_gets_the_mean_over_the_tokens_that_it_shares_characters_with(case: str) -> None:
    offsets, pieces, expected = PLACES[case]
    vectors = ROWS[: len(offsets)]
    found = shared(vectors, np.array(offsets), pieces)
    np.testing.assert_allclose(found, [vectors[places].mean(0) for places in expected], atol=1e-7)


TEXTS = ["the river froze", "A ship sailed by.", "Snow fell on the mill by the river", "ice", " "]
OWN = {"bert": "cls_tokenizer", "roberta": "cls_tokenizer", "llama": "bos_tokenizer"}
"""Tokenizers; those of others add nothing to a text."""


@pytest.fixture(params=["bert", "roberta", "gpt2", "llama", "t5", "bart"])
def subject(request: pytest.FixtureRequest, make: Make, save: Save) -> Subject:
    """Encoders, decoders, and both."""
    own = request.getfixturevalue(OWN.get(request.param, "tokenizer"))
    return Subject.load(str(save(make(request.param), own)))


def unit(vectors: Any) -> Floats:
    found: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def by_hand(subject: Subject, ids: list[int]) -> tuple[Floats, Floats]:
    """[token, dimension] along a text, and [position, dimension] behind the last layer."""
    model: Any = subject.model
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    start = len(subject.prefix)
    with torch.no_grad():
        whole = torch.tensor([[*subject.prefix, *ids, *subject.suffix]])
        output = model(input_ids=whole, output_hidden_states=True)
    layers = [layer[0, start : start + len(ids)].numpy() for layer in output.hidden_states[1:]]
    along = unit(np.mean([unit(layer) for layer in layers], axis=0))
    return along, output.last_hidden_state[0].numpy()


def cut(subject: Subject, text: str) -> tuple[list[int], list[str]]:
    """A text as the model's own tokens: ids and texts."""
    found = subject.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return found["input_ids"], [text[a:b] for a, b in found["offset_mapping"]]


def test_vectors_equal_those_of_a_plain_pass(subject: Subject) -> None:
    model = SentenceModel(subject)
    ids, pieces = zip(*(cut(subject, text) for text in TEXTS), strict=True)
    assert ["".join(p) for p in pieces] == TEXTS
    for own, text, along in zip(ids, TEXTS, model.pieces(pieces), strict=True):
        expected, last = by_hand(subject, own)
        whole = model.text(text)
        assert along is not None and whole is not None
        np.testing.assert_allclose(along, expected, atol=1e-5)
        np.testing.assert_allclose(whole, unit(last.mean(axis=0)), atol=1e-5)


def test_what_runs_beside_a_text_makes_no_difference(subject: Subject) -> None:
    model = SentenceModel(subject)
    texts = [cut(subject, text)[1] for text in [*TEXTS, *TEXTS[::-1], *("a" * n for n in range(1, 20))]]  # fmt: skip
    together = model.pieces(texts)
    for text, along in zip(texts, together, strict=True):
        (alone,) = model.pieces([text])
        assert along is not None and alone is not None
        np.testing.assert_allclose(along, alone, atol=1e-6)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_a_text_that_is_too_long_is_read_in_parts(
    architecture: str, make: Make, save: Save, request: pytest.FixtureRequest
) -> None:
    own = request.getfixturevalue(OWN.get(architecture, "tokenizer"))
    subject = Subject.load(str(save(make(architecture), own)))
    text = " ".join(f"the river {i}" for i in range(60))
    ids, pieces = cut(subject, text)
    room = 64 - len(subject.prefix) - len(subject.suffix)
    parts = [by_hand(subject, ids[at : at + room]) for at in range(0, len(ids), room)]
    assert len(parts) > 2
    model = SentenceModel(subject)
    (along,), whole = model.pieces([pieces]), model.text(text)
    assert along is not None and whole is not None
    np.testing.assert_allclose(along, np.concatenate([a for a, _ in parts]), atol=1e-5)
    pooled = np.concatenate([last for _, last in parts]).mean(axis=0)
    np.testing.assert_allclose(whole, unit(pooled), atol=1e-5)


def test_special_tokens_that_a_text_spells_are_text(
    make: Make, save: Save, cls_tokenizer: Any
) -> None:
    subject = Subject.load(str(save(make("bert"), cls_tokenizer)))
    model = SentenceModel(subject)
    pieces = [*"a[SEP]b"]
    (along,) = model.pieces([pieces])
    assert along is not None
    ids = [cls_tokenizer(c, add_special_tokens=False)["input_ids"][0] for c in pieces]
    np.testing.assert_allclose(along, by_hand(subject, ids)[0], atol=1e-5)
    assert subject.tokenizer("[SEP]", add_special_tokens=False)["input_ids"] == [1], (
        "left as it was"
    )


def test_a_text_without_tokens_has_no_vector(subject: Subject) -> None:
    model = SentenceModel(subject)
    assert model.text("") is None
    found = model.pieces([["", ""], ["the"], []])
    assert [along is None for along in found] == [True, False, True]


def test_a_tokenizer_without_offsets(make: Make) -> None:
    from transformers import ByT5Tokenizer

    subject = Subject("here", "here", make("gpt2"), ByT5Tokenizer(), "0")
    with pytest.raises(
        SubjectError, match="here has no fast tokenizer, and so no character offsets"
    ):
        SentenceModel(subject)
