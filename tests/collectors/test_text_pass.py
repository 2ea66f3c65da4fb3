"""Short texts through a subject: what is kept is what the subject does on each by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from neuroexplain.collectors.text_pass import (
    ReadTexts,
    Targets,
    TextResponses,
    Wanted,
    read,
    text_responses,
)
from neuroexplain.errors import CollectError
from neuroexplain.recorded import Aggregator
from neuroexplain.subjects import Subject

TEXTS = [
    "the river froze", "rivers", "a pond that froze over night", "ice on the river", "the lake",
    "he said: no [SEP] yes", "the river froze",
]  # fmt: skip


@pytest.fixture(scope="module")
def minilm() -> Subject:
    torch.set_num_threads(1)
    return Subject.load("minilm")


def targets(*neurons: tuple[int, int, int]) -> Targets:
    return Targets(*np.array(neurons, dtype=np.int64).T)


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def respond(
    subject: Subject,
    texts: ReadTexts,
    neurons: Targets,
    wanted: Wanted,
    aggregator: Aggregator = "mean",
    batch_tokens: int = 16,
    done: list[int] | None = None,
) -> TextResponses:
    return text_responses(
        subject,
        texts,
        neurons,
        wanted,
        aggregator=aggregator,
        batch_tokens=batch_tokens,
        advance=(done if done is not None else []).append,
    )


NEURONS = targets((0, 3, 1), (5, 1535, 1), (2, 700, -1), (2, 700, 1), (0, 3, -1))
SOME = Wanted(numbers(0, 2, 3), numbers(1, 4, 1, 5, 0), numbers(0, 2, 4, 1, 3))


@pytest.mark.parametrize("aggregator", ["mean", "max"])
@pytest.mark.parametrize("batch_tokens", [1, 1000])
def test_responses_are_those_of_each_text_by_itself(
    minilm: Subject, aggregator: Aggregator, batch_tokens: int
) -> None:
    texts = read(minilm, TEXTS)
    done: list[int] = []
    found = respond(minilm, texts, NEURONS, SOME, aggregator, batch_tokens, done)

    def alone(text: int, neuron: int) -> np.ndarray:
        layer, index, sign = (
            int(a[neuron]) for a in (NEURONS.layer, NEURONS.index, NEURONS.polarity)
        )
        activations = sign * minilm.activations(TEXTS[text].replace("[SEP]", "[ sep ]"), layer)
        return np.asarray(activations[:, index])

    def down(values: np.ndarray) -> float:
        return float(values.mean() if aggregator == "mean" else values.max())

    expected = [[down(alone(t, n)) for n in range(5)] for t in SOME.texts]
    np.testing.assert_allclose(found.of_all, expected, atol=2e-5)
    pairs = [alone(t, n) for t, n in zip(SOME.pair_text, SOME.pair_neuron, strict=True)]
    np.testing.assert_allclose(found.of_pairs, [down(p) for p in pairs], atol=2e-5)
    assert found.nonzero.tolist() == [(p > 0).sum() for p in pairs]
    assert sum(done) == 6, "each text that is wanted, once; the last is not"


def test_special_tokens_in_a_text_are_ordinary_characters(minilm: Subject) -> None:
    texts = read(minilm, TEXTS)
    special = {101, 102}
    assert not any(special & set(ids.tolist()) for ids in texts.token_ids)
    assert texts.counted.tolist() == [len(ids) for ids in texts.token_ids]
    assert texts.first == 0


@pytest.mark.parametrize("length", [3, 600])
def test_what_the_subject_cannot_be_given_counts_for_nothing(minilm: Subject, length: int) -> None:
    texts = read(minilm, ["", "ice " * length, "ice"])
    assert texts.counted.tolist() == [0, length if length < 512 else 0, 1]


def test_a_decoders_first_position_is_not_counted() -> None:
    """SmolLM2 is given its beginning-of-text token first, at the place that counts for nothing."""
    torch.set_num_threads(1)
    subject = Subject.load("smollm2")
    texts = read(subject, ["ice", "The river froze"])
    assert texts.first == 1
    assert [len(ids) - c for ids, c in zip(texts.token_ids, texts.counted, strict=True)] == [1, 1]
    assert {int(ids[0]) for ids in texts.token_ids} == {subject.tokenizer.bos_token_id}
    assert texts.counted[0] == 1
    wanted = Wanted(numbers(0, 1), numbers(), numbers())
    found = respond(subject, texts, targets((0, 5, 1), (1, 7, -1)), wanted)
    for text in (0, 1):
        for column, (layer, index, sign) in enumerate([(0, 5, 1), (1, 7, -1)]):
            rows: list[np.ndarray] = []
            subject.run(
                [texts.token_ids[text].tolist()],
                [layer],
                lambda seen, rows=rows: rows.append(seen.neurons[0, 1:].float().numpy()),  # type: ignore[misc]
            )
            expected = sign * rows[0][:, index].mean()
            assert found.of_all[text, column] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_numbers_that_are_none_are_refused(
    make_subject: Callable[[str], Subject], kind: str
) -> None:
    subject = make_subject(kind)
    texts = ReadTexts((numbers(10, 11, 12), numbers(13, 14)), numbers(3, 2), subject.first)
    wanted = Wanted(numbers(0, 1), numbers(), numbers())
    assert np.isfinite(respond(subject, texts, targets((1, 7, 1)), wanted).of_all).all()
    with torch.no_grad():
        next(subject.model.parameters())[12] = torch.nan
    with pytest.raises(CollectError, match="layer 1, neuron 7: an activation on a text is NaN"):
        respond(subject, texts, targets((1, 7, 1)), wanted)
