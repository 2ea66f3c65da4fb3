"""Scores by texts: values, intervals, nulls, and reasons where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import MIN_OTHERS, SyntheticConfig
from neuroexplain.records import Score
from neuroexplain.scorers.contrasts import Panel
from neuroexplain.scorers.exchange import MIN_TEXTS
from neuroexplain.scorers.standing import Material, Standing, sigma, standings, undefined

TEXTS = 20
CONFIG = SyntheticConfig(bootstrap=500)


def material(groups: int, *, each: int = 1, neurons: int = 1, seed: int = 0) -> Material:
    """Unrelated texts of one length, and neurons that own the first groups."""
    explanations = groups * each
    random = np.random.default_rng(seed)
    return Material(
        texts=Panel(
            explanation=np.repeat(np.arange(explanations), TEXTS),
            length=np.full(explanations * TEXTS, 6),
            group=np.repeat(np.arange(groups), each),
            identity=np.arange(explanations),
        ),
        responses=random.normal(size=(explanations * TEXTS, neurons)),
        own=np.arange(neurons),
        sigma=np.ones(neurons),
        nonzero=np.tile([0, 1, 2, 3, 4], explanations * TEXTS // 5),
        wanted=np.full(explanations, TEXTS),
    )


def only(made: Material, config: SyntheticConfig = CONFIG) -> Standing:
    (found,) = standings(made, config)
    return found


def with_texts(made: Material, keep: np.ndarray) -> Material:
    """The same with some texts alone."""
    texts = made.texts
    return replace(
        made,
        texts=replace(texts, explanation=texts.explanation[keep], length=texts.length[keep]),
        responses=made.responses[keep],
        nonzero=made.nonzero[keep],
    )


def numbers(score: Score) -> list[Any]:
    return [score.value, score.ci_low, score.ci_high, score.null_mean, score.p_value]


def test_every_field_of_a_score() -> None:
    made = material(60)
    made.responses[:TEXTS] += 3.0
    made = replace(made, sigma=np.array([2.0]))
    found = only(made)
    assert (found.neuron, found.explanation, found.chosen) == (0, 0, True)
    units, area = found.scores
    assert (units.scorer, area.scorer) == ("synthetic", "synthetic_auroc")
    assert units.value is not None
    assert area.value is not None
    own, others = made.responses[:TEXTS, 0], made.responses[TEXTS:, 0]
    assert units.value == pytest.approx((own.mean() - others.mean()) / 2)
    assert area.value == pytest.approx((others[None] < own[:, None]).mean())
    for score in found.scores:
        assert score.value is not None
        assert score.ci_low is not None
        assert score.ci_high is not None
        assert score.ci_low < score.value < score.ci_high
        assert (score.null_own, score.null_n, score.p_value) == (score.value, 59, 1 / 60)
        assert (score.n_tokens, score.n_nonzero, score.coverage) == (TEXTS * 6, 40, 1.0)
        assert (score.reason, score.null_reason, score.floor) == (None, None, None)
    # The own texts are among what the others are compared with.
    assert units.null_mean == pytest.approx(-units.value / 59)
    assert area.null_mean == pytest.approx(0.5 - (area.value - 0.5) / 59)


def test_sigma_is_the_unit_and_the_area_has_none() -> None:
    made = material(60)
    ones, twos = only(made), only(replace(made, sigma=np.array([2.0])))
    assert numbers(twos.scores[0])[:4] == pytest.approx(
        [n / 2 for n in numbers(ones.scores[0])[:4]]
    )
    assert twos.scores[0].p_value == ones.scores[0].p_value
    assert twos.scores[1] == ones.scores[1]


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [(0.0, 0.0, 0.0), (5.0, 4e-5, 0.0), (0.0, 4e-5, 4e-5), (-0.1, 0.2, 0.2), (5.0, 1.0, 1.0)],
    ids=["dead", "constant but for rounding", "faint", "usual", "usual with a bias"],
)
def test_a_spread_that_is_rounding_is_none(mean: float, std: float, expected: float) -> None:
    assert sigma(np.array([mean]), np.array([std])).tolist() == [expected]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: replace(m, sigma=np.zeros(1), responses=0 * m.responses), "constant_neuron"),
        (lambda m: with_texts(m, np.arange(len(m.nonzero)) >= TEXTS - MIN_TEXTS + 1), "too_few_texts"),
        (lambda m: with_texts(m, m.texts.explanation == 0), "no_other_texts"),
    ],
)  # fmt: skip
def test_what_is_undefined_has_a_reason_and_no_number(change: Any, reason: str) -> None:
    for score in only(change(material(60))).scores:
        assert score.reason == reason
        assert numbers(score) == [None] * 5
        assert score.null_reason == "the score is undefined"


def test_explanations_without_texts() -> None:
    units, area = undefined("generation_failed")
    assert (units.scorer, area.scorer) == ("synthetic", "synthetic_auroc")
    for score in (units, area):
        assert numbers(score) == [None] * 5
        assert (score.reason, score.coverage, score.n_tokens) == ("generation_failed", 0.0, 0)


def test_a_few_texts_less_are_told_by_the_coverage() -> None:
    keep = np.ones(60 * TEXTS, bool)
    keep[:5] = False
    for score in only(with_texts(material(60), keep)).scores:
        assert (score.coverage, score.n_tokens) == (15 / TEXTS, 15 * 6)


def test_few_others_make_no_null() -> None:
    for score in only(material(MIN_OTHERS)).scores:
        assert score.value is not None
        assert (score.null_n, score.p_value, score.null_mean) == (MIN_OTHERS - 1, None, None)
        assert score.null_reason == "texts about 49 other neurons' explanations, 50 needed"
    assert only(material(MIN_OTHERS + 1)).scores[0].p_value is not None


def test_of_several_only_the_chosen_has_a_p_value() -> None:
    """The second is better on the even texts, by which one is chosen, and worse on the odd ones."""
    made = material(60, each=2)
    even, odd = np.arange(0, TEXTS, 2), np.arange(1, TEXTS, 2)
    made.responses[even + TEXTS] += 3.0
    made.responses[odd] += 5.0
    first, second = standings(made, CONFIG)
    assert (first.explanation, first.chosen) == (0, False)
    assert (second.explanation, second.chosen) == (1, True)
    assert first.scores[0].value > 4 > 1 > second.scores[0].value  # type: ignore[operator]
    for score in first.scores:
        assert score.p_value is None
        assert "another explanation of the neuron did better" in str(score.null_reason)
    for score in second.scores:
        assert score.p_value is not None
        assert score.n_tokens == TEXTS // 2 * 6


def test_intervals_hold_what_more_texts_would_show() -> None:
    made = material(60, neurons=60, seed=3)
    covered = [
        score.ci_low <= truth <= score.ci_high  # type: ignore[operator]
        for found in standings(made, CONFIG)
        for score, truth in zip(found.scores, (0.0, 0.5), strict=True)
    ]
    assert 0.86 <= np.mean(covered) <= 1.0


@pytest.mark.parametrize("bootstrap", [0, 300])
def test_intervals_are_the_same_each_time(bootstrap: int) -> None:
    config = SyntheticConfig(bootstrap=bootstrap)
    once, again = only(material(52), config), only(material(52), config)
    assert once == again
    assert (once.scores[0].ci_low is None) == (bootstrap == 0)


def test_neurons_are_scored_alike_however_many_there_are() -> None:
    """Those of a block, of the next, and one alone."""
    made = material(300, neurons=300)
    found = {s.neuron: s for s in standings(made, CONFIG)}
    assert list(found) == list(range(300))
    for place in (0, 255, 256, 299):
        alone = replace(
            made,
            responses=made.responses[:, [place]],
            own=made.own[[place]],
            sigma=made.sigma[[place]],
        )
        for score, same in zip(only(alone).scores, found[place].scores, strict=True):
            assert numbers(score) == pytest.approx(numbers(same), rel=1e-9)


def test_the_best_of_five_unrelated_ones_is_not_called_evidence() -> None:
    """Chosen and reported by the same texts it is, for one neuron in six; see also the real neurons."""
    groups = 60
    made = material(groups, each=5, neurons=groups, seed=5)
    matter = np.random.default_rng(6).normal(size=(groups * 5, groups))
    made = replace(made, responses=made.responses + matter[made.texts.explanation])
    corrected = [s.scores[0].p_value for s in standings(made, CONFIG) if s.chosen]
    assert len(corrected) == groups
    assert np.mean([p < 0.05 for p in corrected]) <= 0.1  # type: ignore[operator]
    single = replace(made, texts=replace(made.texts, group=np.arange(groups * 5)))
    best = []
    for neuron in range(groups):
        one = replace(
            single,
            responses=made.responses[:, [neuron] * 5],
            own=np.arange(5) + 5 * neuron,
            sigma=np.ones(5),
        )
        best.append(min(s.scores[0].p_value for s in standings(one, SyntheticConfig(bootstrap=0))))  # type: ignore[type-var]
    assert np.mean([p < 0.05 for p in best]) > 0.15  # type: ignore[operator]
