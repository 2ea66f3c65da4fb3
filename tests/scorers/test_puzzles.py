"""Neuron puzzles: 19 invented neurons with their truth. The file is not part of this project.

It is a JSON object of puzzles with `sentences`, lists of tokens; a token is a text, or `[text, level]`.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.levels import discretise
from neuroexplain.records import Exemplar, Score, TokenSpan
from neuroexplain.registry import create
from neuroexplain.scorers.base import score
from neuroexplain.scorers.correlation import Correlation
from neuroexplain.scorers.statistics import pearson, pearson_sums

Build = Any  # of conftest.py, which cannot be imported
Puzzle = list[tuple[TokenSpan, Any]]

_BESIDE = Path(__file__).parents[3] / "shared" / "data" / "puzzles.json"
FILE = Path(os.environ.get("NEUROEXPLAIN_PUZZLES") or _BESIDE)
CONFIG = ScoreConfig(bootstrap=0)

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="needs NEUROEXPLAIN_PUZZLES=FILE")


@pytest.fixture
def puzzles(build: Build) -> list[Puzzle]:
    """Spans and true levels of every puzzle; tokens are one id whatever their case and spaces."""
    loaded = json.loads(FILE.read_text(encoding="utf-8")).values()
    pairs = [
        [
            [(t, 0) if isinstance(t, str) else tuple(t) for t in sentence]
            for sentence in p["sentences"]
        ]
        for p in loaded
    ]
    return [
        [
            (
                build.span([text.strip().lower() for text, _ in sentence]),
                np.array([level for _, level in sentence], np.float32),
            )
            for sentence in puzzle
        ]
        for puzzle in pairs
    ]


def scored(build: Build, puzzle: Puzzle, expected: list[Any]) -> Score:
    held_out = build.held_out([truth for _, truth in puzzle])
    simulation = build.simulation(held_out, expected)
    (found,) = score([Correlation()], simulation, held_out, nulls=(), floor=None, config=CONFIG)
    return found


def test_the_puzzles_are_those_that_the_numbers_are_of(puzzles: list[Puzzle]) -> None:
    spans = [span for puzzle in puzzles for span, _ in puzzle]
    assert (len(puzzles), len(spans), sum(map(len, spans))) == (19, 182, 4918)


def test_discretised_truth_scores_nearly_one(build: Build, puzzles: list[Puzzle]) -> None:
    values = []
    for puzzle in puzzles:
        scale = max(float(truth.max()) for _, truth in puzzle)
        values.append(scored(build, puzzle, [discretise(t, scale) for _, t in puzzle]).value)
    assert all(value is not None and 0.9986 <= value <= 1 for value in values)


def test_many_single_spans_have_no_correlation(puzzles: list[Puzzle]) -> None:
    """Hence all tokens are pooled: even a perfect simulation is undefined on 75 of the 182 spans."""
    perfect = [pearson(pearson_sums(t, t)) for puzzle in puzzles for _, t in puzzle]
    assert int(np.isnan(perfect).sum()) == 75


@pytest.mark.parametrize(("unseen", "mean", "undefined"), [("zero", 0.285, 3), ("mean", 0.283, 0)])
def test_token_table_of_the_other_spans(
    build: Build, puzzles: list[Puzzle], unseen: str, mean: float, undefined: int
) -> None:
    """Each span is predicted from the others. The published 0.285 gives unseen tokens 0; our simulator the mean level."""
    explainer, simulator = (
        create("explainer", "token-table", {}),
        create("simulator", "token-table", {}),
    )

    def predict(puzzle: Puzzle, left_out: int) -> Any:
        others: list[Exemplar] = [
            build.exemplar(span, truth) for i, (span, truth) in enumerate(puzzle) if i != left_out
        ]
        evidence = build.evidence(others, scale=10.0)
        explanation = asyncio.run(explainer.explain(evidence, seed=0))
        if unseen == "zero":
            explanation = replace(explanation, data={**explanation.data, "default": 0.0})
        (found,) = asyncio.run(simulator.simulate(explanation, [puzzle[left_out][0]])).spans
        return found.expected

    found = [scored(build, p, [predict(p, i) for i in range(len(p))]) for p in puzzles]
    values = [s.value for s in found if s.value is not None]
    assert [s.reason for s in found if s.value is None] == ["constant_simulation"] * undefined
    assert np.mean(values) == pytest.approx(mean, abs=0.0005)
