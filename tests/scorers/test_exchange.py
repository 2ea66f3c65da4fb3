"""The best of several, and what those of other neurons are worth: p-values that hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from neuroexplain.scorers.contrasts import Contrast, Panel
from neuroexplain.scorers.exchange import MIN_TEXTS, choose, halves, null

NAN = np.nan


def panel(groups: int, each: int, texts: int, seed: int = 0) -> Panel:
    """Groups of explanations, all with so many texts of random length."""
    explanations = groups * each
    return Panel(
        explanation=np.repeat(np.arange(explanations), texts),
        length=np.random.default_rng(seed).integers(3, 9, explanations * texts),
        group=np.repeat(np.arange(groups), each),
        identity=np.arange(explanations),
    )


def exchanged(groups: int, each: int, neurons: int, effect: float = 0.0) -> dict[str, np.ndarray]:
    """p-values of neurons whose explanations have nothing to do with them, or drive them by so many σ.

    What a text does hangs on its explanation too: texts about one matter are alike.
    """
    texts, random = panel(groups, each, 20), np.random.default_rng(1)
    contrast, (select, report) = Contrast(texts), halves(texts)
    own = random.integers(0, groups, neurons)
    found: dict[str, list[np.ndarray]] = {"difference": [], "placement": []}
    for start in range(0, neurons, 250):
        mine = own[start : start + 250]
        matter = random.normal(size=(groups * each, len(mine)))
        matter[mine * each, np.arange(len(mine))] += effect
        responses = matter[texts.explanation] + random.normal(size=(len(texts.length), len(mine)))
        contrasts = contrast.of(responses)
        by = select.means(contrasts.difference, texts.starts)
        for name, values in zip(found, contrasts, strict=True):
            best = choose(texts, by, report.means(values, texts.starts))
            found[name].append(null(best.score, mine).p_value)
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


@pytest.mark.parametrize("each", [1, 3])
def test_p_values_are_exact_under_exchange(each: int) -> None:
    """Of 60 groups, the best of one or of three: p <= alpha as often as alpha says, in σ and as an area."""
    for p in exchanged(60, each, 1000).values():
        for alpha in (3 / 60, 12 / 60, 30 / 60):
            assert binomtest(int((p <= alpha + 1e-9).sum()), len(p), alpha).pvalue > 0.001


@pytest.mark.parametrize(("effect", "least", "most"), [(1.0, 0.08, 0.25), (4.0, 0.93, 1.0)])
def test_what_drives_a_neuron_is_found(effect: float, least: float, most: float) -> None:
    """Beside other matters whose effects have a spread of 1, one of 4 stands out, and one of 1 hardly."""
    for p in exchanged(60, 1, 500, effect).values():
        assert least <= (p < 0.05).mean() <= most


def test_texts_are_divided_only_where_there_is_something_to_choose() -> None:
    select, report = halves(panel(4, 1, 6))
    assert select.texts.all()
    assert report.texts.all()
    select, report = halves(panel(4, 2, 7))
    assert (select.texts ^ report.texts).all()
    assert select.sizes.tolist() == [4] * 8
    assert report.sizes.tolist() == [3] * 8


def test_one_candidate_somewhere_divides_the_texts_of_all() -> None:
    """The same has to be done with all explanations, or they could not be exchanged."""
    texts = panel(4, 1, 6)
    two = Panel(texts.explanation, texts.length, np.array([0, 1, 1, 2]), texts.identity)
    assert halves(two)[1].sizes.tolist() == [3] * 4


def test_means_of_too_few_texts_are_none() -> None:
    texts = Panel(np.repeat([0, 1], [MIN_TEXTS, MIN_TEXTS - 1]), np.arange(9), *[np.arange(2)] * 2)
    means = halves(texts)[1].means(np.arange(9.0)[:, None], texts.starts)
    assert means[0] == np.arange(MIN_TEXTS).mean()
    assert np.isnan(means[1])


def test_the_best_is_chosen_by_one_half_and_has_the_score_of_the_other() -> None:
    texts = panel(3, 2, 2)
    select = np.array([[1.0, 5], [2, 4], [NAN, NAN], [0, NAN], [NAN, NAN], [NAN, NAN]])
    report = np.array([[10.0, 11], [12, 13], [14, 15], [NAN, 17], [18, 19], [20, 21]])
    best = choose(texts, select, report)
    assert best.explanation.tolist() == [[1, 0], [3, -1], [-1, -1]]
    np.testing.assert_array_equal(best.score, [[12, 11], [NAN, NAN], [NAN, NAN]])


def test_a_null_counts_what_is_as_good() -> None:
    scores = np.array([[3.0, 0, NAN], [3, 1, 2], [1, NAN, 1], [NAN, 2, 0]])
    found = null(scores, np.array([0, 3, 0]))
    assert found.n.tolist() == [2, 2, 3]
    np.testing.assert_array_equal(found.p_value, [2 / 3, 1 / 3, NAN])
    np.testing.assert_array_equal(found.mean, [2, 0.5, 1])


def test_copies_of_an_explanation_count_as_much_as_it_does_itself() -> None:
    """An explanation such as "nouns" is written about many neurons: that it does well on one of them is no evidence."""
    random = np.random.default_rng(0)
    matter = np.append(random.normal(size=40), [9.0] * 10)
    texts = panel(50, 1, 20)
    alike = Panel(
        texts.explanation, np.tile(texts.length[:20], 50), texts.group,
        np.append(np.arange(40), [40] * 10),
    )  # fmt: skip
    responses = matter[alike.explanation] + np.tile(random.normal(size=20), 50)
    contrasts = Contrast(alike).of(responses[:, None])
    scores = halves(alike)[1].means(contrasts.difference, alike.starts)
    assert null(scores, np.array([49])).p_value.tolist() == [10 / 50]


def test_a_dead_neuron_has_no_p_below_one() -> None:
    texts = panel(30, 1, 10)
    contrasts = Contrast(texts).of(np.zeros((300, 1)))
    scores = halves(texts)[1].means(contrasts.difference, texts.starts)
    assert null(scores, np.array([7])).p_value.tolist() == [1.0]
