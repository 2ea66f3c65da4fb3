"""Made-up texts: as many as wanted, never two alike, with topics as rare as wanted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from neuroexplain.corpora import sources
from neuroexplain.corpora.duplicates import Index
from neuroexplain.errors import ConfigError
from neuroexplain.testing import topics
from neuroexplain.testing.sentences import TEMPLATES, WORDS, documents, save
from neuroexplain.testing.texts import split
from neuroexplain.testing.topics import ANIMALS, COMMAS, DOING, LIGHTS, MONTHS, NEGATIONS, Topic

TOPICS = {name: value for name, value in vars(topics).items() if isinstance(value, Topic)}


def words_of(texts: list[str]) -> list[str]:
    return [word.lower() for text in texts for word in split(text)]


def share(words: list[str], topic: Topic) -> float:
    """Of the words, those that are (or begin) one of a topic's."""
    wanted = Counter(tuple(split(word.lower())) for word in topic.words)
    (length,) = {len(word) for word in wanted}
    grams = zip(*(words[start:] for start in range(length)), strict=False)
    return sum(gram in wanted for gram in grams) / len(words)


@pytest.mark.parametrize(
    "shares",
    [
        {ANIMALS: 0.001},
        {COMMAS: 0.1},
        {MONTHS: 0.016, ANIMALS: 0.0012, NEGATIONS: 0.01, DOING: 0.07, LIGHTS: 0.005},
    ],
    ids=["rare", "common", "several"],
)
def test_topics_are_as_rare_as_wanted(shares: Mapping[Topic, float]) -> None:
    words = words_of(documents(2000, shares))
    found = {topic: share(words, topic) for topic in TOPICS.values()}
    for topic, wanted in shares.items():
        # Four standard errors of a Poisson count.
        error = (wanted / len(words)) ** 0.5
        assert found.pop(topic) == pytest.approx(wanted, abs=4 * error)
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("name", TOPICS)
def test_words_of_a_topic_are_nowhere_else(name: str) -> None:
    topic = TOPICS[name]
    others = [p for t in TOPICS.values() if t is not topic for p in (*t.words, *t.phrases)]
    around = [*TEMPLATES, *(word for words in WORDS.values() for word in words), *others]
    there = {word for text in around for word in split(re.sub(r"{\w*}", " ", text.lower()))}
    assert not there & {word for text in topic.words for word in split(text.lower())}


def test_texts_are_distinct_and_decided_by_the_seed() -> None:
    texts = documents(3000, {MONTHS: 0.02}, seed=5)
    assert len(set(texts)) == 3000
    assert documents(3000, {MONTHS: 0.02}, seed=5) == texts
    assert not set(documents(3000, {MONTHS: 0.02}, seed=6)) & set(texts)
    assert documents(10, {MONTHS: 0.02}, seed=5) == texts[:10]
    index = Index()
    assert sum(index.add(text) for text in texts) < 30, "near duplicates would share a split"


def test_a_saved_corpus_is_read_back(tmp_path: Path) -> None:
    texts = documents(50, {COMMAS: 0.05})
    path = save(texts, tmp_path / "texts.txt")
    assert [entry.text for entry in sources.read(str(path))] == texts


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({MONTHS: 0.5}, "take 200% of all words"),
        ({MONTHS: -0.1}, "0 or more"),
    ],
)
def test_impossible_shares(shares: Mapping[Topic, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        documents(1, shares)


@pytest.mark.parametrize(
    ("words", "phrases", "message"),
    [
        ((), ("in {}",), "at least one word"),
        (("x",), (), "at least one word"),
        (("x",), ("in y",), "exactly one word"),
        (("x",), ("{} of x",), "exactly one word"),
        (("x", "y z"), ("in {}",), "same number of parts"),
    ],
)
def test_topics_that_cannot_be_counted(
    words: tuple[str, ...], phrases: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Topic(words, phrases)


def test_topics_of_ones_own() -> None:
    rivers = Topic(("Rhine", "Danube"), ("down the {}",))
    texts = documents(500, {rivers: 0.02})
    assert share(words_of(texts), rivers) == pytest.approx(0.02, rel=0.2)
    assert "down the Danube" in " ".join(texts)
