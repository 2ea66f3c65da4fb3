from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.heldout import held_out
from neuroexplain.records import Exemplar, HeldOut, Kind, NeuronId
from neuroexplain.scorers.base import score
from neuroexplain.scorers.correlation import Correlation
from neuroexplain.scorers.statistics import Array, pearson, pearson_sums

Build = Any  # of conftest.py, which cannot be imported

NEURON = NeuronId("tiny", 1, 7)
DRAW = ScoreConfig(top=5, random=20, quantile=2, bootstrap=0)


def test_the_configured_ranks_are_used(build: Build) -> None:
    spans = [build.span("a b") for _ in range(9)]
    exemplars = [build.exemplar(spans[i], [1, 2], rank=i) for i in range(3)]
    exemplars += [build.exemplar(spans[3 + i], [1, 2], kind="quantile", rank=i) for i in range(4)]
    exemplars += [build.exemplar(spans[7 + i], [1, 2], kind="random", rank=i) for i in range(2)]
    config = ScoreConfig(top=2, random=1, quantile=1)
    found = held_out(NEURON, exemplars, config, bands=2, n_spans=60)
    assert [(s.span.span, set(s.kinds), s.weight) for s in found.spans] == [
        (spans[7].span, {"random"}, 20.0),  # that all neurons share
        (spans[0].span, {"top"}, 1.0),
        (spans[1].span, {"top"}, 1.0),
        (spans[3].span, {"quantile"}, 20.0),
        (spans[5].span, {"quantile"}, 20.0),
    ]


def test_a_span_of_two_kinds_is_there_once_and_certain(build: Build) -> None:
    span, other = build.span("a b"), build.span("c d")
    exemplars = [
        build.exemplar(span, [-3, 2]),
        build.exemplar(span, [-3, 2], kind="random"),
        build.exemplar(other, [0, 1], kind="random", rank=1),
    ]
    found = held_out(NEURON, exemplars, ScoreConfig(), bands=5, n_spans=10)
    assert [(set(s.kinds), s.weight) for s in found.spans] == [
        ({"top", "random"}, 1.0),
        ({"random"}, 5.0),
    ]
    assert found.spans[0].truth.tolist() == [0, 2]


def test_the_truth_is_on_the_polaritys_side(build: Build) -> None:
    exemplar = build.exemplar(build.span("a b"), [-3, 2], polarity=-1)
    lower = NeuronId("tiny", 1, 7, -1)
    found = held_out(lower, [exemplar], ScoreConfig(), bands=5, n_spans=1)
    assert found.spans[0].truth.tolist() == [3, 0]


@pytest.mark.parametrize("bands", [0, 5])
def test_nothing_drawn_is_nothing_held_out(bands: int) -> None:
    assert held_out(NEURON, [], ScoreConfig(), bands=bands, n_spans=0) == HeldOut(NEURON, ())


def draw(population: list[Exemplar], peaks: Array, random: np.random.Generator) -> list[Exemplar]:
    """One sample as the collector takes it: top spans, random ones, and of the rest two of each of five bands."""
    top = np.argsort(-peaks, kind="stable")[: DRAW.top]
    order = random.permutation(len(population))
    pool = order[DRAW.random :][:40]
    bands = pool[np.argsort(-peaks[pool], kind="stable")].reshape(5, 8)
    picks = [band[sorted(random.permutation(8)[:2])] for band in bands]
    chosen: list[tuple[Kind, Any]] = [
        ("top", top), ("random", order[: DRAW.random]), ("quantile", np.concatenate(picks))
    ]  # fmt: skip
    return [
        Exemplar(population[i].span, population[i].activations, "test", kind, rank, 0, 0, 0)
        for kind, numbers in chosen
        for rank, i in enumerate(numbers)
    ]


def test_weighted_samples_estimate_the_whole_population(build: Build) -> None:
    random = np.random.default_rng(0)
    truths = random.gamma(0.3, size=(400, 1)) * random.gamma(0.5, size=(400, 8))
    guesses = truths * random.gamma(2, size=truths.shape) + 0.05 * random.gamma(
        1, size=truths.shape
    )
    population = [build.exemplar(build.span("a b c d e f g h"), t, split="test") for t in truths]
    guess = {e.span.span: g.astype(np.float32) for e, g in zip(population, guesses, strict=True)}
    peaks = truths.max(axis=1)

    sums, scores, plain = [], [], []
    for _ in range(400):
        drawn = draw(population, peaks, random)
        found = held_out(NEURON, drawn, DRAW, bands=5, n_spans=400)
        simulation = build.simulation(found, [guess[s.span.span] for s in found.spans])
        parts = [pearson_sums(guess[s.span.span], s.truth) for s in found.spans]
        sums.append(np.sum([s.weight * p for s, p in zip(found.spans, parts, strict=True)], axis=0))
        plain.append(float(pearson(np.sum(parts, axis=0))))
        (result,) = score([Correlation()], simulation, found, nulls=(), floor=None, config=DRAW)
        assert result.value == pytest.approx(float(pearson(sums[-1])))
        scores.append(float(pearson(sums[-1])))

    whole = pearson_sums(guesses.ravel(), truths.ravel())
    # Every sum is unbiased (Horvitz and Thompson 1952), so their mean is within a few standard errors ...
    error = np.std(sums, axis=0) / np.sqrt(len(sums))
    assert (np.abs(np.mean(sums, axis=0) - whole) < 4 * error).all()
    # ... and the correlation, which is a ratio of them, nearly so; without weights it is not.
    true = float(pearson(whole))
    assert np.mean(scores) == pytest.approx(true, abs=0.02)
    assert abs(np.mean(plain) - true) > 2 * abs(np.mean(scores) - true)
