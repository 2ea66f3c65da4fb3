"""Two methods or runs beside each other: which explanations, which scores, which numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.reviewing.comparing import behind, in_order
from neuroexplain.errors import ConfigError

FIRST, SECOND = "highlight, gpt-4o-mini", "keywords"


@pytest.fixture(scope="module")
def catalogue(generated: Path) -> Iterator[Catalogue]:
    """96 neurons in 4 layers, 500 explanations by several methods."""
    with Catalogue(generated, read_only=True) as opened:
        yield opened


def newest(catalogue: Catalogue, query: str) -> dict[str, tuple[int, float | None]]:
    """By neuron the newest explanation that a search finds, with its score."""
    rows = sorted(catalogue.search(query, limit=1_000).rows, key=lambda row: row.explanation_id)
    return {row.neuron: (row.explanation_id, row.score) for row in rows}


def test_newest_explanations_of_the_same_sides_of_neurons_stand_beside_each_other(
    catalogue: Catalogue,
) -> None:
    first = newest(catalogue, "explainer:highlight")
    second = newest(catalogue, "explainer:keywords")
    found = catalogue.beside(FIRST, SECOND)
    common = first.keys() & second.keys()
    assert common
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == {(first[n][0], second[n][0]) for n in common}
    assert (found.only_first, found.only_second) == (
        len(first) - len(common),
        len(second) - len(common),
    )
    scores = dict(first.values()) | dict(second.values())
    for number, score in zip(found.first.tolist(), found.first_score.tolist(), strict=True):
        assert score == scores[number] or (np.isnan(score) and scores[number] is None)
    turned = catalogue.beside(SECOND, FIRST)
    assert np.array_equal(turned.first_score, found.second_score, equal_nan=True)


def test_runs_are_sides_too(catalogue: Catalogue) -> None:
    sides = catalogue.sides()
    assert sides[:2] == [FIRST, SECOND]
    runs = [side for side in sides if side.startswith("run ")]
    frame = catalogue.frame()
    assert runs == [f"run {number}" for number in sorted(set(frame.run.tolist()))]
    rows = catalogue.side_rows(runs[0]).tolist()
    assert rows == frame.explanation[frame.run == int(runs[0][4:])].tolist()


def test_pairs_come_by_their_difference_page_after_page(catalogue: Catalogue) -> None:
    whole = in_order(catalogue.beside(FIRST, SECOND))
    apart = (whole.first_score - whole.second_score).tolist()
    assert all(a >= b for a, b in pairwise(apart))
    rest = behind(whole, int(whole.first[9]))
    assert rest.first.tolist() == whole.first[10:].tolist()
    turned = in_order(catalogue.beside(FIRST, SECOND), descending=False)
    assert (turned.first_score - turned.second_score).tolist() == sorted(apart)
    with pytest.raises(ConfigError, match="begin anew"):
        behind(whole, 10**9)


def test_scores_by_one_simulator_alone(catalogue: Catalogue) -> None:
    name = next(n for n in catalogue.measures() if n.startswith("correlation of keywords"))
    found = catalogue.beside(FIRST, SECOND, name)
    shown = newest(catalogue, "simulator:keywords")
    for number, score in zip(found.second.tolist(), found.second_score.tolist(), strict=True):
        own = next((s for n, s in shown.values() if n == number), None)
        assert np.isnan(score) if own is None else score == own


def test_undefined_scores_have_reasons(catalogue: Catalogue) -> None:
    frame = catalogue.frame()
    missing = frame.explanation[np.isnan(frame.score)]
    reasons = catalogue.undefined(missing, "correlation")
    assert sum(reasons.values()) == len(missing) > 0
    rows = catalogue.search("", limit=1_000).rows
    none = [row for row in rows if row.score is None]
    counted = {r: sum((row.reason or "not scored") == r for row in none) for r in reasons}
    assert counted == reasons


@pytest.mark.parametrize(
    ("first", "second", "measure", "message"),
    [
        (FIRST, FIRST, "correlation", "compared with itself"),
        (FIRST, "keyword", "correlation", 'unknown method or run "keyword"'),
        (FIRST, SECOND, "corelation", 'did you mean "correlation"'),
    ],
)
def test_what_is_not_there_is_refused(
    catalogue: Catalogue, first: str, second: str, measure: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        catalogue.beside(first, second, measure)
