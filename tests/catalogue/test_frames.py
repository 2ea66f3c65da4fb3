"""Populations of explanations, as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import ConfigError, QueryError


@pytest.fixture(scope="module")
def catalogue(generated: Path) -> Iterator[Catalogue]:
    """96 neurons in 4 layers, 500 explanations by several methods."""
    with Catalogue(generated, read_only=True) as opened:
        yield opened


def test_a_population_is_what_a_search_finds_without_failures(catalogue: Catalogue) -> None:
    rows = catalogue.search("", limit=1_000).rows
    frame = catalogue.frame()
    assert frame.explanation.tolist() == sorted(row.explanation_id for row in rows)
    by_id = {row.explanation_id: row for row in rows}
    for place, number in enumerate(frame.explanation.tolist()):
        row = by_id[number]
        sign = "+" if frame.polarity[place] > 0 else "-"
        assert row.neuron.startswith(f"made/{frame.layer[place]}/")
        assert row.neuron.endswith(sign)
        method = frame.methods[frame.method[place]]
        assert (method.explainer, method.llm) == (row.explainer, row.llm or "")
        score = frame.score[place]
        assert (None if np.isnan(score) else score) == row.score
    assert len(catalogue.frame("state:failed")) == 0


def test_a_query_narrows_a_population(catalogue: Catalogue) -> None:
    frame = catalogue.frame("layer:2 score>=0.4 polarity:+")
    assert 0 < len(frame) < 100
    assert set(frame.layer.tolist()) == {2}
    assert set(frame.polarity.tolist()) == {1}
    assert frame.score.min() >= 0.4
    assert len(frame) == len(catalogue.search("layer:2 score>=0.4 polarity:+", limit=500).rows)
    left = frame.without(frame.explanation[:3])
    assert left.explanation.tolist() == frame.explanation[3:].tolist()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit:3", "a set is wanted"),
        ("meaning:river", "meaning ranks, and finds no set, at column 1"),
        ("explainer:keyword", 'did you mean "keywords"'),
        ("layer:x", "layer"),
    ],
)
def test_a_query_that_finds_no_set_is_refused(
    catalogue: Catalogue, query: str, message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        catalogue.frame(query)


def test_scores_by_another_measure(catalogue: Catalogue) -> None:
    frame = catalogue.frame()
    name = "detection"
    assert name in catalogue.measures()
    rows = catalogue.search(f"scorer:{name}", limit=1_000).rows
    shown = {row.explanation_id: row.score for row in rows}
    found = catalogue.values_of(frame, name)
    assert [None if np.isnan(v) else v for v in found] == [
        shown[number] for number in frame.explanation.tolist()
    ]
    whole = next(n for n in catalogue.measures() if n.startswith(f"{name} of "))
    some = catalogue.values_of(frame, whole)
    known = ~np.isnan(some)
    assert known.any()
    assert np.array_equal(some[known], found[known])
    with pytest.raises(ConfigError, match="unknown measure"):
        catalogue.values_of(frame, "correlatoin")


def test_neurons_with_held_out_spans(catalogue: Catalogue) -> None:
    held_out = set(catalogue.held_out_neurons().tolist())
    assert held_out <= set(range(1, 97))
    collection = catalogue.collection("made")
    targets = catalogue.targets(catalogue.frame().explanation.tolist())
    frame = catalogue.frame()
    for number, neuron in zip(
        frame.explanation[:20].tolist(), frame.neuron[:20].tolist(), strict=True
    ):
        spans = catalogue.exemplars(collection, targets[number].neuron, "test")
        assert bool(spans) == (neuron in held_out)
