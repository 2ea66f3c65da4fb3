"""Explanations of planted meanings score high, those of noise score like noise, and what cannot be scored says why."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import neuroexplain as nx
from neuroexplain.catalogue import Collection
from neuroexplain.records import POLARITIES, SPLITS, NeuronId
from neuroexplain.run import Execution
from neuroexplain.testing.planted import (
    CITIES,
    DEAD,
    DOING,
    LIGHTS,
    MONTHS,
    NEGATIONS,
    TOOLS,
    YEARS,
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

SHARES = {
    MONTHS: 0.02, YEARS: 0.02, NEGATIONS: 0.02, DOING: 0.02, TOOLS: 0.02, CITIES: 0.02, LIGHTS: 0.04,
}  # fmt: skip
FAINT = 0.02
"""Noise that leaves a correlation of 0.99 at most to a meaning of 2 % of the words."""
LIGHT = WordSet(["light", "bowl"])
COLOUR = WordSet(["green", "amber"])
WORDS: dict[str, Meaning] = {
    "a word set": WordSet(MONTHS.words),
    "a pattern": Pattern(r"\b1[89]\d\d\b"),
    "a pattern of many words": Pattern(r"\b\w+ing\b"),
    "either of two": WordSet(TOOLS.words) | WordSet(CITIES.words),
    "either, at unequal strength": WordSet(NEGATIONS.words) | 0.5 * COLOUR,
}
CONTEXTS: dict[str, Meaning] = {
    "a word behind another": After(LIGHT, COLOUR),
    "both of two": WordSet(["light", "curtain", "bowl"]) & Pattern(r"\b(?:green|pale) (\w+)"),
    "either of two phrases": Pattern(r"green (light)") | Pattern(r"golden (ribbon|bowl)"),
}
UNTOLD: dict[str, Meaning] = {
    "a position": Position(3, 6),
    "noise": Noise(1.0),
    "a word set drowned in noise": WordSet(MONTHS.words).noisy(1.0),
}
PLANTED = {**WORDS, **CONTEXTS, **UNTOLD}
CONSTANT: dict[str, Meaning] = {
    "positive": Constant(0.1),
    "nearly constant": Constant(3.0).noisy(1e-5),
    "dead": DEAD,
    "negative": Constant(-3.0),
}
COMPANY = 21
"""Neurons of noise in a layer, whose explanations are the null of the others'."""
NOISE = 200
LOWEST = 1 / 21
"""The least p that twenty other explanations allow."""


class Row(NamedTuple):
    """A score as the catalogue has it."""

    idx: int
    text: str
    value: float | None
    reason: str | None
    p_value: float | None
    null_mean: float | None
    floor: float | None


class World:
    """Layer 0 means something, layer 1 never varies, layer 2 is noise; explained and scored without a language model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        texts = documents(600, SHARES)
        company: list[Meaning] = [Noise(1.0)] * COMPANY
        planted = [meaning.noisy(FAINT) for meaning in PLANTED.values()]
        layers: list[list[Meaning]] = [
            [*planted, *company],
            [*CONSTANT.values(), *company],
            [Noise(1.0)] * NOISE,
        ]
        subject = PlantedSubject(layers, texts)
        with nx.Catalogue(path) as catalogue:
            collected(
                catalogue, subject, texts,
                random=40, quantile_bands=5, per_band=4, sample_tokens=2048,
            )  # fmt: skip
            for explainer, neurons in (("token-table", "*"), ("ngram", "0:*,1:0-3")):
                nx.sweep(
                    catalogue,
                    neurons=neurons,
                    explainer=explainer,
                    scorers=["correlation"],
                    random=40,
                    quantile=4,
                    bootstrap=100,
                    execution=Execution(processes=0),
                )

    def rows(self, layer: int, explainer: str) -> list[Row]:
        """A layer's scores, by neuron."""
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(
                "SELECT e.idx, e.text, s.value, s.reason, s.p_value, s.null_mean, s.floor FROM v_explanations e "
                "JOIN v_scores s USING (explanation_id) WHERE e.layer = ? AND e.explainer = ? ORDER BY e.idx",
                (layer, explainer),
            )
            return [Row(*row) for row in found]

    def score(self, name: str, explainer: str) -> float:
        """What an explanation of a planted meaning scores."""
        (row,) = [r for r in self.rows(0, explainer) if r.idx == list(PLANTED).index(name)]
        assert row.value is not None
        return row.value


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("planted") / "c.sqlite")


@pytest.fixture
def opened(world: World) -> Iterator[tuple[nx.Catalogue, Collection]]:
    with nx.Catalogue(world.path, read_only=True) as catalogue:
        yield catalogue, catalogue.collection("planted")


@pytest.mark.parametrize("name", [*WORDS, *CONTEXTS])
def test_the_strongest_spans_hold_what_is_planted(
    opened: tuple[nx.Catalogue, Collection], name: str
) -> None:
    catalogue, collection = opened
    neuron = NeuronId("planted", 0, list(PLANTED).index(name))
    for split in SPLITS:
        exemplars = catalogue.exemplars(collection, neuron, split)
        top = [exemplar for exemplar in exemplars if exemplar.kind == "top"]
        assert len(top) == (20 if split == "explain" else 10)
        for exemplar in top:
            assert PLANTED[name].on(exemplar.span.text)[exemplar.peak_position] == 1


@pytest.mark.parametrize("explainer", ["token-table", "ngram"])
@pytest.mark.parametrize("name", WORDS)
def test_meanings_of_single_words_are_found(world: World, name: str, explainer: str) -> None:
    # Of the twenty-five years each is rare, so that some of the test split were never seen.
    assert world.score(name, explainer) > (0.85 if name == "a pattern" else 0.94)


@pytest.mark.parametrize("name", CONTEXTS)
def test_meanings_in_a_context_need_ngrams(world: World, name: str) -> None:
    grams, tokens = (world.score(name, explainer) for explainer in ("ngram", "token-table"))
    assert grams > 0.95
    assert tokens < 0.8


@pytest.mark.parametrize("explainer", ["token-table", "ngram"])
def test_what_is_found_stands_out(world: World, explainer: str) -> None:
    """No explanation of a neuron of noise does as well, and the floor is the token table's own score."""
    rows = {row.idx: row for row in world.rows(0, explainer)}
    for index in range(len(WORDS) + len(CONTEXTS)):
        row = rows[index]
        assert row.p_value == pytest.approx(LOWEST)
        assert row.null_mean is not None and abs(row.null_mean) < 0.05
        floor = world.score(list(PLANTED)[index], "token-table")
        assert row.floor == pytest.approx(floor, abs=1e-3)


@pytest.mark.parametrize("explainer", ["token-table", "ngram"])
@pytest.mark.parametrize(
    ("name", "most"), [("a position", 0.2), ("noise", 0.06), ("a word set drowned in noise", 0.2)]
)
def test_what_no_word_tells_is_not_claimed(
    world: World, name: str, most: float, explainer: str
) -> None:
    assert abs(world.score(name, explainer)) < most


def test_noise_is_noise(world: World) -> None:
    """Scores of 200 neurons of noise lie around 0, and one in twenty has p < 0.05 by chance."""
    rows = world.rows(2, "token-table")
    scores = np.array([row.value for row in rows], np.float64)
    p_values = np.array([row.p_value for row in rows], np.float64)
    assert len(rows) == NOISE
    assert abs(scores.mean()) < 0.006
    assert scores.std() < 0.03
    assert np.abs(scores).max() < 0.1
    assert 0.01 <= (p_values < 0.05).mean() <= 0.1
    assert 0.44 <= p_values.mean() <= 0.58
    assert set(np.round(p_values * 21).tolist()) <= set(range(1, 22))


@pytest.mark.parametrize("explainer", ["token-table", "ngram"])
def test_what_never_varies_has_no_score_but_a_reason(world: World, explainer: str) -> None:
    constants = list(CONSTANT)
    # There is nothing to explain, so that nothing stands there that reads like a finding.
    assert not [row for row in world.rows(1, explainer) if row.idx < len(constants)]
    with closing(sqlite3.connect(world.path)) as connection:
        failed = connection.execute(
            "SELECT idx, text, reason FROM v_explanations WHERE status = 'failed' AND explainer = ? ORDER BY layer, idx",
            (explainer,),
        ).fetchall()
    assert [(constants[idx], *rest) for idx, *rest in failed] == [
        (kind, "", "dead_neuron") for kind in constants
    ]


def test_no_number_is_undefined_without_a_reason(world: World) -> None:
    """SQLite turns NaN into NULL, so that every NULL must be accounted for; and nothing is infinite."""
    with closing(sqlite3.connect(world.path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            columns = connection.execute(f'SELECT name FROM pragma_table_info("{table}")')
            for (column,) in columns.fetchall():
                (infinite,) = connection.execute(
                    f'SELECT count(*) FROM "{table}" WHERE "{column}" IN (9e999, -9e999)'
                ).fetchone()
                assert infinite == 0, (table, column)
        unexplained = connection.execute(
            "SELECT count(*) FROM v_scores WHERE (value IS NULL) != (reason IS NOT NULL) OR (value IS NULL) != (ci_low IS "
            "NULL) OR (null_mean IS NULL) != (p_value IS NULL)"
        ).fetchone()
        moments = connection.execute(
            "SELECT count(*) FROM v_neurons WHERE mean IS NULL OR std IS NULL OR min IS NULL OR max IS NULL"
        ).fetchone()
    assert unexplained == moments == (0,)


def test_what_never_varies_is_recorded_as_it_is(opened: tuple[nx.Catalogue, Collection]) -> None:
    catalogue, collection = opened
    values = [0.1, 3.0, 0.0, -3.0]
    for index, value in enumerate(values):
        for polarity in POLARITIES:
            neuron = NeuronId("planted", 1, index, polarity)
            evidence = catalogue.evidence(collection, neuron)
            assert evidence.scale == pytest.approx(max(0.0, value * polarity), rel=1e-3)
            assert evidence.statistics.mean == pytest.approx(value, rel=1e-5)
            assert evidence.statistics.std is not None and evidence.statistics.std <= 2e-5
            quantiles = [quantile for _, quantile in evidence.statistics.quantiles]
            assert quantiles == pytest.approx([value] * len(quantiles), abs=1e-4)
            for exemplar in evidence.exemplars:
                np.testing.assert_allclose(exemplar.activations, value, atol=2e-3)
            if value * polarity <= 0:
                assert evidence.of_kind("top") == []
            found = catalogue.similar(neuron, limit=3)
            assert np.isfinite([correlation for _, correlation in found]).all()
