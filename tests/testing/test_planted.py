"""A planted subject is a subject like any other, whose activations are its meanings'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuroexplain as nx
from neuroexplain.errors import SubjectError
from neuroexplain.records import POLARITIES, Floats, NeuronId
from neuroexplain.subjects import LayerActivations, Subject
from neuroexplain.testing.planted import (
    DEAD,
    DOING,
    MONTHS,
    After,
    Constant,
    Meaning,
    Noise,
    Pattern,
    PlantedSubject,
    Position,
    WordSet,
    documents,
)
from tests.testing.planting import collected

MONTH, SINGING = WordSet(MONTHS.words), Pattern(r"\b\w+ing\b")
LAYERS = [[MONTH, SINGING.noisy(0.5)], [Noise(1.0), After(SINGING, MONTH), Constant(-2.0)]]
TEXTS = ["In May, an old horse went singing.", "May singing be free!"]


@pytest.fixture(scope="module")
def subject() -> PlantedSubject:
    return PlantedSubject(LAYERS, TEXTS)


def run(subject: Subject, token_ids: Sequence[Sequence[int]]) -> dict[int, Floats]:
    """Everything that a pass shows, [text, position, neuron] by layer."""
    seen: dict[int, Floats] = {}

    def show(layer: LayerActivations) -> None:
        seen[layer.layer] = layer.neurons.numpy().copy()

    subject.run(token_ids, subject.layers, show)
    return seen


def test_what_it_says_of_itself(subject: PlantedSubject) -> None:
    assert subject.layers == (0, 1)
    assert subject.info.widths == (2, 3)
    assert (subject.info.name, subject.info.architecture) == ("planted", "planted")
    assert [len(subject.prefix), len(subject.suffix), subject.first] == [1, 1, 0]
    assert isinstance(subject, nx.Subject)
    subject.verify()


def test_activations_are_the_meanings(subject: PlantedSubject) -> None:
    first, second = (subject.activations(TEXTS[0], layer) for layer in (0, 1))
    words = ["in", "may", ",", "an", "old", "horse", "went", "singing", "."]
    assert subject.tokenizer.tokenize(TEXTS[0]) == words
    assert first[:, 0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert second[:, 1].tolist() == [0.0] * 9
    assert subject.activations(TEXTS[1], 1)[:, 1].tolist() == [0, 1, 0, 0, 0]
    assert second[:, 2].tolist() == [-2.0] * 9


@pytest.mark.parametrize("text", TEXTS)
def test_every_token_is_a_word_of_the_texts(subject: PlantedSubject, text: str) -> None:
    encoded = subject.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    shown = [text[start:stop] for start, stop in encoded["offset_mapping"]]
    assert "".join(shown) == text.replace(" ", "")
    assert subject.tokenizer.unk_token_id not in encoded["input_ids"]


def test_other_words_are_spelt_and_mean_what_they_mean(subject: PlantedSubject) -> None:
    text = "May Zed go skating"
    tokens = subject.tokenizer.tokenize(text)
    assert tokens[:4] == ["may", "z", "##e", "##d"]
    fired = subject.activations(text, 1)[:, 1]
    assert fired.tolist() == [0.0] * len(tokens)
    noisy = subject.activations(text, 0)[:, 1]
    assert (noisy[-7:] == noisy[-1]).all() and noisy[-1] > 0.5, "seven letters of one word"
    assert not subject.activations("Maying", 0)[:, 0].any()
    assert subject.activations("河 may", 0)[:, 0].tolist() == [0.0, 1.0]


def test_capital_letters_count_where_they_are_kept() -> None:
    meaning = Pattern("May")
    kept = PlantedSubject([[meaning]], TEXTS, lowercase=False)
    assert kept.activations("may May", 0)[:, 0].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert not PlantedSubject([[meaning]], TEXTS).activations("may May", 0).any()


def test_company_changes_nothing(subject: PlantedSubject) -> None:
    """The same bits alone, among others, in another process of the same making, and whatever layers are asked for."""
    ids = [subject.tokenizer(t, add_special_tokens=False)["input_ids"][:5] for t in TEXTS * 3]
    together = run(subject, ids)
    again = run(PlantedSubject(LAYERS, TEXTS), ids[::-1])
    for layer, neurons in together.items():
        alone = np.concatenate([run(subject, [row])[layer] for row in ids])
        assert neurons.tobytes() == alone.tobytes() == again[layer][::-1].tobytes()
    assert together[1][0].tobytes() == together[1][2].tobytes() != together[1][1].tobytes()


def test_what_tells_subjects_apart() -> None:
    def made(layers: Any = LAYERS, texts: Sequence[str] = TEXTS, **settings: Any) -> str:
        return PlantedSubject(layers, texts, **settings).weights_sha256

    assert made() == made(name="other")
    changes: list[Callable[[], str]] = [
        lambda: made(LAYERS[::-1]),
        lambda: made([[MONTH, SINGING.noisy(0.4)], LAYERS[1]]),
        lambda: made(texts=[*TEXTS, "more"]),
        lambda: made(seed=1),
        lambda: made(lowercase=False),
        lambda: made(special=False),
        lambda: made(sink=0.0),
    ]
    assert len({made(), *(change() for change in changes)}) == 1 + len(changes)
    (one,), (other,) = (
        PlantedSubject([[Noise(1.0)]], TEXTS, seed=seed).activations("a", 0) for seed in (0, 1)
    )
    assert one != other


@pytest.mark.parametrize("layers", [[], [[]], [[DEAD], []]])
def test_no_neurons(layers: list[list[Meaning]]) -> None:
    with pytest.raises(SubjectError, match="at least one layer"):
        PlantedSubject(layers, TEXTS)


def test_long_texts_are_refused() -> None:
    small = PlantedSubject([[DEAD]], TEXTS, positions=6)
    assert small.activations("a b c d", 0).shape == (4, 1)
    with pytest.raises(SubjectError, match="takes 6 tokens"):
        small.activations("a b c d e", 0)


def test_no_command_looks_for_it_anywhere(subject: PlantedSubject) -> None:
    with pytest.raises(SubjectError, match="no directory planted in memory"):
        Subject.load(subject.spec)


@pytest.fixture(params=[True, False], ids=["encoder", "decoder"])
def sunk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[nx.Catalogue, Any]]:
    """A collection of meanings between 0 and 2, with 100 on the tokens that should not count."""
    texts = documents(60, {MONTHS: 0.02, DOING: 0.02})
    layer = [MONTH, SINGING + MONTH, Position(0, 2), Noise(0.1)]
    subject = PlantedSubject([layer], texts, special=request.param)
    with nx.Catalogue(tmp_path / "c.sqlite") as catalogue:
        yield catalogue, collected(catalogue, subject, texts, seq_len=16)


def test_tokens_that_do_not_count_are_nowhere(sunk: tuple[nx.Catalogue, Any]) -> None:
    """No special token is in a span, and no peak, statistic or token list knows of the huge activation there."""
    catalogue, collection = sunk
    first = collection.corpus.first
    for index in range(4):
        for polarity in POLARITIES:
            neuron = NeuronId("planted", 0, index, polarity)
            evidence = catalogue.evidence(collection, neuron)
            assert evidence.statistics.max is not None and evidence.statistics.max <= 2
            assert evidence.scale <= 2
            for exemplar in evidence.exemplars:
                assert not {"[CLS]", "[SEP]"} & set(map(str.strip, exemplar.span.tokens))
                assert exemplar.peak_position >= first and abs(exemplar.peak) <= 2
                assert np.abs(exemplar.activations[first:]).max() <= 2
                assert (exemplar.activations[:first] == 100).all()
            responses = catalogue.token_responses(collection, neuron)
            assert all(abs(response.extreme) <= 2 for response in responses)
        assert evidence.statistics.peaks_excluded == evidence.statistics.n_spans
        assert evidence.statistics.troughs_excluded == 0
