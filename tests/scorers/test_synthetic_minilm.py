"""Texts about 54 matters on MiniLM: sentence embeddings whose meaning is known, and all of its neurons.

The texts were written for this project: `concepts.json` has 20 about each matter and 10 that are not about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from neuroexplain.collectors.text_pass import Targets, Wanted, read, text_responses
from neuroexplain.config import SyntheticConfig
from neuroexplain.scorers.contrasts import Contrast, Panel
from neuroexplain.scorers.exchange import choose, halves, null
from neuroexplain.scorers.standing import Material, standings
from neuroexplain.subjects import Subject
from tests.concepts import CONCEPTS, embeddings

Array = NDArray[Any]

MATTERS, EACH, NEURONS = 54, 20, 9216
ABOUT = [text for concept in CONCEPTS for text in concept["about"]]
NOT_ABOUT = [text for concept in CONCEPTS for text in concept["not_about"]]
WORDS = [concept["concept"] for concept in CONCEPTS]
NO_INTERVAL = SyntheticConfig(bootstrap=0)


@dataclass(frozen=True)
class Seen:
    """What MiniLM makes of the texts."""

    lengths: Array
    """[text]; tokens of the texts about the matters."""
    responses: Array
    """[text, neuron]"""
    about: Array
    """[matter, text, component]; sentence embeddings, of length 1."""
    not_about: Array
    words: Array
    """[matter, component]"""


@pytest.fixture(scope="module")
def minilm() -> Subject:
    torch.set_num_threads(1)
    return Subject.load("minilm")


def run(subject: Subject, neurons: int, aggregator: Literal["mean", "max"]) -> Array:
    """Responses of the first neurons to the texts about the matters, [text, neuron]."""
    places, none = np.arange(neurons), np.zeros(0, np.int64)
    found = text_responses(
        subject,
        read(subject, ABOUT),
        Targets(places // 1536, places % 1536, np.ones(neurons, np.int64)),
        Wanted(np.arange(len(ABOUT)), none, none),
        aggregator=aggregator,
        batch_tokens=1024,
        advance=lambda done: None,
    )
    return found.of_all


@pytest.fixture(scope="module")
def seen(minilm: Subject) -> Seen:
    about, not_about, words = (embeddings(minilm, texts) for texts in (ABOUT, NOT_ABOUT, WORDS))
    return Seen(
        lengths=read(minilm, ABOUT).counted,
        responses=run(minilm, NEURONS, "mean"),
        about=about.reshape(MATTERS, EACH, -1),
        not_about=not_about.reshape(MATTERS, 10, -1),
        words=words,
    )


def panel(lengths: Array, group: Array | None = None, texts: int = EACH) -> Panel:
    """Explanations of so many texts each, each about a matter of its own."""
    n = len(lengths) // texts
    own = np.arange(n)
    return Panel(np.repeat(own, texts), lengths, own if group is None else group, own)


def test_the_texts_are_a_fair_set() -> None:
    assert len(CONCEPTS) == MATTERS
    assert {len(c["about"]) for c in CONCEPTS} == {EACH}
    assert {len(c["not_about"]) for c in CONCEPTS} == {10}
    everything = ABOUT + NOT_ABOUT
    assert len({text.casefold() for text in everything}) == len(everything)
    assert all(2 <= len(text.split()) <= 8 for text in everything)
    words = [np.mean([len(text.split()) for text in c["about"]]) for c in CONCEPTS]
    assert max(words) - min(words) < 1.5
    stems = [c["concept"].split()[0][:5] for c in CONCEPTS]
    echoes = [
        any(stem in text for text in c["about"]) for stem, c in zip(stems, CONCEPTS, strict=True)
    ]
    assert np.mean(echoes) < 0.5, "most matters can be told without their own word"


def modules(seen: Seen, texts: Array) -> Array:
    """A neuron for each matter: minus the distance of a text from the matter's word; [..., matter]."""
    distance: Array = np.linalg.norm(texts[..., None, :] - seen.words, axis=-1)
    return -distance


def right(scores: Array) -> tuple[float, float]:
    """Of scores [explanation, module]: area under the ROC curve of right against wrong, and share of right ones on top."""
    true = np.diag(scores)
    wrong = scores[~np.eye(len(scores), dtype=bool)]
    area = (true[:, None] > wrong).mean()
    return float(area), float((scores.argmax(axis=0) == np.arange(len(scores))).mean())


def test_texts_about_other_matters_are_better_to_compare_with_than_opposites(seen: Seen) -> None:
    k = 10
    about = modules(seen, seen.about[:, ::2])
    lengths = seen.lengths.reshape(MATTERS, EACH)[:, ::2].ravel()
    texts = panel(lengths, texts=k)
    contrasts = Contrast(texts).of(about.reshape(MATTERS * k, MATTERS))
    shared = halves(texts)[1].means(contrasts.difference, texts.starts)
    area, first = right(shared)
    assert area >= 0.98
    assert first >= 0.8
    placed = halves(texts)[1].means(contrasts.placement, texts.starts)
    assert right(placed)[0] >= 0.98
    own = about.mean(axis=1) - modules(seen, seen.not_about).mean(axis=1)
    own_area, own_first = right(own)
    assert 0.55 <= own_first < first
    assert own_area < area


def test_the_right_explanation_is_told_from_wrong_ones_by_its_p_value(seen: Seen) -> None:
    responses = modules(seen, seen.about).reshape(-1, MATTERS)
    for wrong in (0, 7):
        made = Material(
            texts=panel(seen.lengths),
            responses=responses,
            own=(np.arange(MATTERS) + wrong) % MATTERS,
            sigma=responses.std(axis=0),
            nonzero=np.zeros(len(responses), np.int64),
            wanted=np.full(MATTERS, EACH),
        )
        found = [s.scores[0] for s in standings(made, NO_INTERVAL)]
        significant = np.mean([score.p_value < 0.05 for score in found])  # type: ignore[operator]
        assert significant >= 0.95 if wrong == 0 else significant <= 0.15
        if wrong == 0:
            assert min(score.value for score in found) > 1  # type: ignore[type-var, operator]


def test_unrelated_explanations_are_significant_as_often_as_five_percent_says(seen: Seen) -> None:
    """Every neuron of the model, with a matter drawn by lot for its explanation."""
    spread = seen.responses.std(axis=0)
    made = Material(
        texts=panel(seen.lengths),
        responses=seen.responses,
        own=np.random.default_rng(0).integers(0, MATTERS, NEURONS),
        sigma=np.where(spread > 1e-5, spread, 0.0).astype(np.float64),
        nonzero=np.zeros(len(ABOUT), np.int64),
        wanted=np.full(MATTERS, EACH),
    )
    found = [s.scores for s in standings(made, NO_INTERVAL)]
    assert len(found) == NEURONS
    for kind in (0, 1):
        p = [scores[kind].p_value for scores in found if scores[kind].value is not None]
        assert len(p) > 0.99 * NEURONS
        assert 0.03 <= np.mean([value < 0.05 for value in p]) <= 0.07  # type: ignore[operator]
        assert 0.07 <= np.mean([value < 0.1 for value in p]) <= 0.12  # type: ignore[operator]


@dataclass(frozen=True)
class Best:
    """Share of neurons with p < 0.05 for the best of five unrelated explanations."""

    naive: float
    fresh: float
    corrected: float


@pytest.fixture(scope="module")
def best_of_five(seen: Seen) -> Best:
    """Sixty neurons' worth of five explanations, drawn by lot from the matters, on every eighth neuron."""
    random = np.random.default_rng(1)
    groups = 60
    drawn = np.array([random.permutation(MATTERS)[:5] for _ in range(groups)])
    responses = seen.responses[:, ::8]
    own = np.asarray(random.integers(0, groups, responses.shape[1]))
    columns = np.arange(responses.shape[1])
    texts = panel(seen.lengths)
    difference = Contrast(texts).of(responses).difference
    pieces = difference.reshape(MATTERS, EACH, -1)
    whole, even, odd = (
        pieces[:, half].mean(axis=1) for half in (slice(None), slice(0, None, 2), slice(1, None, 2))
    )

    def p_among_single(scores: Array, chosen: Array) -> Array:
        """Beside the 49 that were not drawn for the neuron, each by itself."""
        others = np.ones((MATTERS, len(columns)), bool)
        others[drawn[own].T, columns] = False
        as_good: Array = (others & (scores >= scores[chosen, columns])).sum(axis=0)
        return (1 + as_good) / 50

    def chosen(by: Array) -> Array:
        found: Array = drawn[own, by[drawn[own].T, columns].argmax(axis=0)]
        return found

    # The procedure of `exchange`: the same choice is made among the five of every other neuron.
    members = np.repeat(np.arange(groups), 5)
    of_group = Panel(np.arange(groups * 5), np.full(groups * 5, 6), members, np.arange(groups * 5))
    picked = choose(of_group, even[drawn.ravel()], odd[drawn.ravel()])
    return Best(
        naive=float((p_among_single(whole, chosen(whole)) < 0.05).mean()),
        fresh=float((p_among_single(odd, chosen(even)) < 0.05).mean()),
        corrected=float((null(picked.score, own).p_value < 0.05).mean()),
    )


def test_the_best_of_five_needs_the_correction(best_of_five: Best) -> None:
    assert best_of_five.naive > 0.15
    assert best_of_five.corrected <= 0.07


def test_fresh_texts_alone_do_not_correct(best_of_five: Best) -> None:
    """What one half of an unrelated explanation's texts does to a neuron, the other half does too."""
    assert 0.07 < best_of_five.fresh < best_of_five.naive


@pytest.mark.parametrize("aggregator", ["mean", "max"])
def test_longer_texts_about_nothing_explain_no_neuron(
    minilm: Subject, aggregator: Literal["mean", "max"]
) -> None:
    """Half of the 200 longest texts stand for one explanation, and the others by lot for 49; neurons of the first layer."""
    found = run(minilm, 1536, aggregator)
    lengths = read(minilm, ABOUT).counted
    random = np.random.default_rng(0)
    longest = random.permutation(np.argsort(lengths, kind="stable")[-200:])
    others = random.permutation(np.setdiff1d(np.arange(len(ABOUT)), longest[:100]))
    order = np.append(longest[:100], others)
    own = np.arange(50)
    texts = Panel(np.repeat(own, [100, *[EACH] * 49]), lengths[order], own, own)
    responses = found[order]
    spread = np.maximum(responses.std(axis=0), 1e-3)
    plain = (responses[:100].mean(axis=0) - responses[100:].mean(axis=0)) / spread
    contrasts = Contrast(texts).of(responses)
    matched = contrasts.difference[:100].mean(axis=0) / spread
    if aggregator == "max":
        assert np.median(plain) > 0.15
    assert abs(np.median(matched)) < 0.02
    assert np.median(np.abs(matched)) < 0.12
    assert np.mean(np.abs(matched) < 0.2) > 0.75
    assert abs(np.median(contrasts.placement[:100].mean(axis=0)) - 0.5) < 0.01
