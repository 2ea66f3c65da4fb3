"""Queues of explanations with a high score that share no word with what their neuron's n-grams tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from neuroexplain.catalogue import Catalogue, Collection, Reviews
from neuroexplain.errors import ConfigError
from neuroexplain.queueing import Plan, plan
from neuroexplain.queueing.disagreeing import LIFT
from neuroexplain.records import NeuronId
from neuroexplain.words import words
from tests.catalogue.conftest import Sweep, make_score
from tests.catalogue.test_ngrams import TEXTS, make_layer, make_pass, make_set

WANTED = Plan("by n-grams", kind="disagreement", between="ngrams", above=0.4)


@pytest.fixture
def reviews(tmp_path: Path) -> Iterator[Reviews]:
    with Reviews(tmp_path / "r.reviews.sqlite") as opened:
        yield opened


def telling(catalogue: Catalogue, collection: Collection, neuron: NeuronId) -> set[str]:
    """Words that are far more common in a neuron's n-grams than in the set."""
    return {
        word
        for ngram in catalogue.ngrams(collection, neuron)
        for word, lift in zip(words(ngram.text), ngram.lifts or (), strict=True)
        if lift >= LIFT
    }


def test_high_scores_without_a_telling_word_are_looked_at(
    catalogue: Catalogue, collection: Collection, sweep: Sweep, reviews: Reviews
) -> None:
    others = tuple(f"other{n}" for n in range(2_000))
    made = make_set(collection, (*TEXTS, *others))
    wanted = [TEXTS.index(t) for t in ("cold ice", "the ice", "ice melts", "in", "river", "河")]
    layers = []
    for layer in map(make_layer, (0, 2)):
        layer.numbers[:, :, 0] = wanted
        layers.append(replace(layer, moments=replace(layer.moments, n=len(made))))
    catalogue.save_ngram_pass(collection, make_pass(collection, ngrams=made, layers=layers))
    name = collection.subject.name
    neuron = NeuronId(name, 0, 0)
    assert telling(catalogue, collection, neuron) == {"ice"}
    texts = {"about ice and snow": 0.9, "the colour of steel": 0.8, "numbers": 0.7, "dates": 0.3}
    for text, score in texts.items():
        number = sweep.explain(str(neuron), text, explainer=text.split()[-1])
        sweep.score(number, make_score(score))
    queue, items = plan(catalogue, reviews, WANTED, by="ann")
    assert [item.target.text for item in items] == ["the colour of steel", "numbers"]
    assert queue.mode == "verdict"
    assert queue.plan["cut"] is None


def test_without_n_grams_it_says_how_to_get_them(
    catalogue: Catalogue, sweep: Sweep, reviews: Reviews
) -> None:
    name = sweep.collection.subject.name
    sweep.score(sweep.explain(f"{name}/0/1+", "the river"), make_score(0.9))
    with pytest.raises(ConfigError, match=f"no n-gram pass of {name}.*neuroexplain ngrams"):
        plan(catalogue, reviews, WANTED, by="ann")
