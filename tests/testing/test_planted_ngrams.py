"""The n-gram pass recovers what is planted as far as the noise lets it, and tells noise from meaning."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

import neuroexplain as nx
from neuroexplain.config import NgramConfig
from neuroexplain.ngrams import collect_ngrams
from neuroexplain.recorded import AGGREGATORS, Aggregator, NgramMoments
from neuroexplain.records import NeuronId, Ngram
from neuroexplain.registry import create
from neuroexplain.run import Run
from neuroexplain.scorers.standing import sigma
from neuroexplain.testing.planted import (
    ANIMALS,
    DEAD,
    DOING,
    FAMILY,
    MONTHS,
    NEGATIONS,
    YEARS,
    Anywhere,
    Constant,
    Meaning,
    Noise,
    PlantedSubject,
    Topic,
    WordSet,
    documents,
    split,
)
from tests.testing.planting import collected

SHARES = {
    DOING: 0.010,
    YEARS: 0.0055,
    MONTHS: 0.0045,
    NEGATIONS: 0.0045,
    FAMILY: 0.0005,
    ANIMALS: 0.00018,
}
TOPICS: dict[str, Topic] = {
    "year": YEARS, "month": MONTHS, "negation": NEGATIONS, "family": FAMILY, "animal": ANIMALS,
}  # fmt: skip
CONFIG = NgramConfig()
TOP = 30
"""N-grams of a list that are looked at."""
NOISES = (0.0, 0.25, 0.5, 1.0)
FACTORS = (1.0, 0.8)
OTHERS: dict[str, Meaning] = {
    "words": WordSet(MONTHS.words).noisy(0.25),
    "noise": Noise(1.0),
    "constant": Constant(0.3),
    "dead": DEAD,
}


def holds(topic: Topic, ngrams: Sequence[Ngram]) -> float:
    """Share of n-grams with a word of a topic."""
    meaning = WordSet(topic.words)
    return float(np.mean([meaning.on(ngram.text).max() for ngram in ngrams]))


def words_of(topic: Topic) -> set[str]:
    return set(map(str.lower, topic.words))


class World:
    """Layer 0: texts that hold a topic, with each noise; layer 1: two topics of unequal strength, and all else."""

    def __init__(self, catalogue: nx.Catalogue) -> None:
        texts = documents(3600, SHARES)
        predicates = [
            Anywhere(WordSet(topic.words)).noisy(sd, "text")
            for topic in TOPICS.values()
            for sd in NOISES
        ]
        month, doing = WordSet(MONTHS.words), WordSet(DOING.words)
        mixed = [Anywhere(month | factor * doing).noisy(0.1, "text") for factor in FACTORS]
        subject = PlantedSubject([predicates, [*mixed, *OTHERS.values()]], texts)
        self.catalogue = catalogue
        self.collection = collected(
            catalogue, subject, texts,
            seq_len=64, top_k=1, held_out_top_k=1, random=0, quantile_bands=0, sample_tokens=0,
        )  # fmt: skip
        with Run(catalogue, "ngrams", CONFIG) as run:
            self.n = collect_ngrams(run, self.collection, CONFIG, subject).n_ngrams

    def keywords(self, layer: int, index: int) -> list[str]:
        """What the explainer of that name says of a neuron; nothing where it has nothing to say."""
        neuron = NeuronId("planted", layer, index)
        evidence = self.catalogue.evidence(self.collection, neuron, {"ngrams"})
        explanation = asyncio.run(create("explainer", "keywords", {}).explain(evidence, seed=0))
        data = explanation.data or {"words": []}
        return [word for word, _ in data["words"]]

    def moments(self, layer: int) -> NgramMoments:
        """Moments of a layer's neurons over all n-grams."""
        return self.catalogue.ngram_moments(self.collection, layer)

    def strongest(self, layer: int, index: int, aggregator: Aggregator = "mean") -> list[Ngram]:
        """A neuron's list, whole."""
        neuron = NeuronId("planted", layer, index)
        return self.catalogue.ngram_list(self.collection, neuron, aggregator)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with nx.Catalogue(tmp_path_factory.mktemp("planted") / "c.sqlite") as catalogue:
        yield World(catalogue)


def expected(share: float, sd: float, n: int) -> float:
    """Precision of the 30 largest of n numbers, of which a share has mean 1 and all others 0, with Gaussian noise."""
    noise = NormalDist(0, sd)

    def beyond(least: float) -> tuple[float, float]:
        return n * share * (1 - noise.cdf(least - 1)), n * (1 - share) * (1 - noise.cdf(least))

    low, high = -10.0, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(beyond(middle)) > TOP else (low, middle)
    return beyond(low)[0] / TOP


@pytest.mark.parametrize("sd", NOISES[1:])
@pytest.mark.parametrize("name", TOPICS)
def test_lists_are_as_good_as_the_noise_lets_them(world: World, name: str, sd: float) -> None:
    start = list(TOPICS).index(name) * len(NOISES)
    share = float(world.moments(0).mean_mean[start])
    found = holds(TOPICS[name], world.strongest(0, start + NOISES.index(sd))[:TOP])
    wanted = expected(share, sd, world.n)
    assert found == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / TOP) ** 0.5 + 1 / TOP)


@pytest.mark.parametrize("name", TOPICS)
def test_without_noise_nothing_else_is_listed(world: World, name: str) -> None:
    index = list(TOPICS).index(name) * len(NOISES)
    for aggregator in AGGREGATORS:
        whole = world.strongest(0, index, aggregator)
        assert holds(TOPICS[name], [ngram for ngram in whole if ngram.mean_response > 0]) == 1


def test_thresholds_of_common_and_rare_topics(world: World) -> None:
    def precision(name: str, sd: float) -> float:
        index = list(TOPICS).index(name) * len(NOISES) + NOISES.index(sd)
        return holds(TOPICS[name], world.strongest(0, index)[:TOP])

    for name in ("year", "month", "negation"):
        assert precision(name, 0.25) >= 0.97
        assert precision(name, 1.0) <= 0.5
    assert 0.15 <= precision("animal", 0.5) <= 0.55


@pytest.mark.parametrize("name", TOPICS)
def test_moments_are_those_of_the_topic(world: World, name: str) -> None:
    """A perfect explanation scores 1 / sqrt(p (1 - p)) standard deviations, from the commonest topic to the rarest."""
    moments, start = world.moments(0), list(TOPICS).index(name) * len(NOISES)
    share = moments.mean_mean[start]
    assert 0.001 < share < 0.03
    assert share * world.n == pytest.approx(round(share * world.n), abs=1e-2)
    for place, sd in enumerate(NOISES):
        variance = share * (1 - share) + sd**2
        close = 1e-4 if sd == 0 else 4 * (2 / world.n) ** 0.5
        for mean, std in (
            (moments.mean_mean, moments.mean_std),
            (moments.max_mean, moments.max_std),
        ):
            assert std[start + place] ** 2 == pytest.approx(variance, rel=close)
            assert mean[start + place] == pytest.approx(share, abs=4 * sd / world.n**0.5 + 1e-9)


def test_the_strongest_ngrams_hide_a_second_topic(world: World) -> None:
    equal, weaker = (world.strongest(1, FACTORS.index(factor))[:50] for factor in (1.0, 0.8))
    assert holds(MONTHS, equal) > 0.05 and holds(DOING, equal) > 0.05
    assert holds(MONTHS, weaker) == 1


def test_the_mean_prefers_single_words_and_the_maximum_long_phrases(world: World) -> None:
    """Noise of every word: of three words one is high by chance more often than of one; their mean is more seldom."""
    index = len(FACTORS) + list(OTHERS).index("words")
    lengths = {
        aggregator: [len(split(ngram.text)) for ngram in world.strongest(1, index, aggregator)[:50]]
        for aggregator in AGGREGATORS
    }
    assert Counter(lengths["mean"])[1] >= 6
    assert Counter(lengths["max"])[1] <= 3
    assert Counter(lengths["max"])[3] >= 30


def test_noise_and_silence(world: World) -> None:
    moments = world.moments(1)
    noise, constant, dead = (
        len(FACTORS) + list(OTHERS).index(name) for name in ("noise", "constant", "dead")
    )
    assert abs(moments.mean_mean[noise]) < 4 / world.n**0.5
    assert 3.5 < world.strongest(1, noise, "max")[0].max_response < 6
    for mean, std in ((moments.mean_mean, moments.mean_std), (moments.max_mean, moments.max_std)):
        assert (sigma(mean, std) > 0).tolist() == [
            index not in (constant, dead) for index in range(len(mean))
        ]
    assert moments.mean_mean[constant] == pytest.approx(0.3, rel=1e-5)
    assert {round(ngram.mean_response, 3) for ngram in world.strongest(1, constant)} == {0.3}
    assert moments.mean_mean[dead] == moments.mean_std[dead] == moments.max_std[dead] == 0
    assert world.strongest(1, dead) == world.strongest(1, dead, "max") == []


@pytest.mark.parametrize("name", TOPICS)
def test_keywords_are_words_of_the_topic(world: World, name: str) -> None:
    listed = world.keywords(0, list(TOPICS).index(name) * len(NOISES))
    assert len(listed) == 5
    # Some words occur beside those of the topic alone, and tell as much.
    assert len(set(listed) & words_of(TOPICS[name])) >= 4


def test_keywords_of_other_neurons(world: World) -> None:
    words, noise, _, dead = (
        world.keywords(1, len(FACTORS) + place) for place in range(len(OTHERS))
    )
    assert len(set(words) & words_of(MONTHS)) >= 4  # and “of”, as in “of May”
    assert sum(len(set(noise) & words_of(topic)) for topic in TOPICS.values()) <= 2
    assert dead == []


def test_the_first_token_of_a_decoder_does_not_count(tmp_path: Path) -> None:
    texts = documents(150, {MONTHS: 0.02})
    subject = PlantedSubject([[WordSet(MONTHS.words)]], texts, special=False)
    with nx.Catalogue(tmp_path / "c.sqlite") as catalogue:
        collection = collected(catalogue, subject, texts, top_k=1, random=0)
        with Run(catalogue, "ngrams", CONFIG) as run:
            found = collect_ngrams(run, collection, CONFIG, subject)
        whole = catalogue.ngram_list(collection, NeuronId("planted", 0, 0), "max")
        moments = catalogue.ngram_moments(collection, 0)
    assert moments.peaks_excluded.tolist() == [found.n_ngrams]
    month = WordSet(MONTHS.words)
    for ngram in whole:
        assert ngram.max_response == month.on(ngram.text)[1:].max()


def test_special_tokens_are_counted_and_nowhere_else(world: World) -> None:
    for layer in (0, 1):
        moments = world.moments(layer)
        assert set(moments.peaks_excluded.tolist()) == {world.n}
        assert set(moments.troughs_excluded.tolist()) == {0}
        for index in range(len(moments.mean_mean)):
            for ngram in world.strongest(layer, index, "max"):
                assert ngram.max_response < 6 and "[" not in ngram.text
