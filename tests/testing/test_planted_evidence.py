"""What the collector keeps as evidence holds the planted meaning, as far as the noise lets it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import neuroexplain as nx
from neuroexplain.records import Kind, NeuronId
from neuroexplain.testing.planted import (
    ANIMALS,
    COMMAS,
    DOING,
    FAMILY,
    LIGHTS,
    MONTHS,
    NEGATIONS,
    YEARS,
    After,
    Meaning,
    Pattern,
    PlantedSubject,
    WordSet,
    documents,
)
from tests.testing.planting import collected, peaks_on

SHARES = {
    COMMAS: 0.05, DOING: 0.04, YEARS: 0.028, MONTHS: 0.016, NEGATIONS: 0.010, LIGHTS: 0.010, FAMILY: 0.0033,
    ANIMALS: 0.0012,
}  # fmt: skip
MEANINGS: dict[str, Meaning] = {
    "comma": Pattern(","),
    "-ing": Pattern(r"\b\w{4,}ing\b"),
    "year": Pattern(r"\b1[89]\d\d\b"),
    "month": WordSet(MONTHS.words),
    "negation": WordSet(NEGATIONS.words),
    "family": WordSet(FAMILY.words),
    "animal": WordSet(ANIMALS.words),
}
NOISES = (0.0, 0.25, 0.5, 1.0)
FACTORS = (1.0, 0.8)
SECOND = WordSet(DOING.words)
LIGHT = After(WordSet(["light", "bowl"]), WordSet(["green", "amber"]))


class World:
    """Every meaning with every noise in layer 0, mixtures of two in layer 1."""

    def __init__(self, catalogue: nx.Catalogue) -> None:
        texts = documents(1500, SHARES)
        singles = [meaning.noisy(sd) for meaning in MEANINGS.values() for sd in NOISES]
        mixed = [(MEANINGS["month"] | f * SECOND).noisy(0.1) for f in FACTORS]
        subject = PlantedSubject([singles, [*mixed, LIGHT]], texts)
        self.catalogue = catalogue
        self.collection = collected(
            catalogue, subject, texts,
            seq_len=16, top_k=30, random=1, quantile_bands=5, per_band=8, sample_tokens=0,
        )  # fmt: skip

    def share(self, layer: int, index: int, kind: Kind, meaning: Meaning) -> float:
        """Of a neuron's spans of one kind, those that peak on a word of a meaning."""
        evidence = self.catalogue.evidence(self.collection, NeuronId("planted", layer, index))
        spans = evidence.of_kind(kind)
        assert len(spans) == {"top": 30, "quantile": 40}[kind]
        return peaks_on(spans, meaning)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with nx.Catalogue(tmp_path_factory.mktemp("planted") / "c.sqlite") as catalogue:
        yield World(catalogue)


# Of the 30 strongest spans those that peak on the meaning, from the commonest meaning to the rarest, with noise of standard
# deviation 0.25, 0.5 and 1. The more words there are, the higher noise alone rises; and of a rare meaning's few words it
# lifts hardly one as high.
@pytest.mark.parametrize(
    ("name", "quarter", "half", "one"),
    [
        ("comma", (0.97, 1.0), (0.9, 1.0), (0.5, 0.9)),
        ("-ing", (0.97, 1.0), (0.9, 1.0), (0.4, 0.9)),
        ("year", (0.97, 1.0), (0.8, 1.0), (0.2, 0.7)),
        ("month", (0.97, 1.0), (0.7, 1.0), (0.1, 0.5)),
        ("negation", (0.97, 1.0), (0.6, 1.0), (0.0, 0.5)),
        ("family", (0.97, 1.0), (0.35, 0.9), (0.0, 0.3)),
        ("animal", (0.9, 1.0), (0.1, 0.55), (0.0, 0.2)),
    ],
)
def test_the_strongest_spans(
    world: World,
    name: str,
    quarter: tuple[float, float],
    half: tuple[float, float],
    one: tuple[float, float],
) -> None:
    start = list(MEANINGS).index(name) * len(NOISES)
    found = [world.share(0, start + i, "top", MEANINGS[name]) for i in range(len(NOISES))]
    for share, (least, most) in zip(found, [(1.0, 1.0), quarter, half, one], strict=True):
        assert least <= share <= most, found


def test_a_word_in_a_context(world: World) -> None:
    evidence = world.catalogue.evidence(world.collection, NeuronId("planted", 1, len(FACTORS)))
    texts = [exemplar.span.text for exemplar in evidence.of_kind("top")]
    assert all(LIGHT.on(text).max() == 1 for text in texts)
    assert np.mean([("pale" in text) or ("golden" in text) for text in texts]) < 0.5


def test_the_strongest_spans_hide_a_second_meaning_and_the_quantiles_do_not(world: World) -> None:
    first, second = MEANINGS["month"], SECOND
    assert 0.4 <= world.share(1, 0, "top", second) <= 0.9
    assert world.share(1, 1, "top", second) == 0
    assert world.share(1, 1, "top", first) == 1
    assert world.share(1, 1, "quantile", second) >= 0.2
    assert world.share(1, 1, "quantile", first) >= 0.1
