"""Texts beside others of their length: differences and placements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from neuroexplain.scorers.contrasts import PARTNERS, Contrast, Contrasts, Panel, strata


def panel(
    sizes: Sequence[int],
    lengths: Sequence[int],
    *,
    group: Sequence[int] | None = None,
    identity: Sequence[int] | None = None,
) -> Panel:
    """Explanations with so many texts each; unless given, each has a neuron and words of its own."""
    own = range(len(sizes))
    return Panel(
        explanation=np.repeat(own, sizes).astype(np.int64),
        length=np.array(lengths, dtype=np.int64),
        group=np.array(own if group is None else group, dtype=np.int64),
        identity=np.array(own if identity is None else identity, dtype=np.int64),
    )


def plainly(texts: Panel, values: np.ndarray) -> Contrasts:
    """Text by text, from the definition; for strata of one length each."""
    found = np.full((2, *values.shape), np.nan)
    of_text = texts.explanation
    for text, length in enumerate(texts.length):
        others = [
            t
            for t in range(len(of_text))
            if texts.length[t] == length
            and texts.group[of_text[t]] != texts.group[of_text[text]]
            and texts.identity[of_text[t]] != texts.identity[of_text[text]]
        ]
        if others:
            there = values[others]
            found[0, text] = values[text] - there.mean(axis=0)
            found[1, text] = (there < values[text]).mean(axis=0)
            found[1, text] += (there == values[text]).mean(axis=0) / 2
    return Contrasts(*found)


@pytest.mark.parametrize(
    ("group", "identity"),
    [
        (None, None),
        ([0, 0, 1, 1, 2, 3], None),
        (None, [0, 1, 0, 2, 3, 3]),
        ([0, 0, 1, 1, 2, 3], [0, 1, 0, 2, 3, 3]),
        ([0, 0, 1, 1, 2, 3], [0, 0, 1, 2, 3, 4]),
    ],
    ids=["alone", "candidates", "same words", "both", "candidates in the same words"],
)
def test_a_text_is_compared_with_those_about_other_neurons_in_other_words(
    group: list[int] | None, identity: list[int] | None
) -> None:
    rng = np.random.default_rng(0)
    sizes = [30, 25, 40, 20, 35, 30]
    lengths = rng.integers(3, 6, sum(sizes))
    texts = panel(sizes, lengths.tolist(), group=group, identity=identity)
    values = rng.integers(0, 9, (sum(sizes), 3)).astype(np.float64)  # many ties
    found, expected = Contrast(texts).of(values), plainly(texts, values)
    np.testing.assert_allclose(found.difference, expected.difference, atol=1e-12)
    np.testing.assert_allclose(found.placement, expected.placement, atol=1e-12)


def test_nobody_to_compare_with_is_no_number() -> None:
    texts = panel([3, 3], [4] * 6, group=[0, 0])
    contrast = Contrast(texts)
    assert contrast.partners.tolist() == [0] * 6
    assert np.isnan(contrast.of(np.ones((6, 2))).difference).all()
    assert np.isnan(contrast.of(np.ones((6, 2))).placement).all()


def test_equal_responses_are_half_way() -> None:
    found = Contrast(panel([4] * 12, [5] * 48)).of(np.full((48, 1), -0.17, np.float32))
    assert found.placement.tolist() == [[0.5]] * 48
    np.testing.assert_allclose(found.difference, 0, atol=1e-7)


def test_lengths_are_kept_apart_where_they_are_common() -> None:
    owner = np.repeat(np.arange(PARTNERS), 3)
    lengths = np.tile([4, 5, 7], PARTNERS)
    stratum, beyond = strata(lengths, owner, owner)
    assert stratum.tolist() == [0, 1, 2] * PARTNERS
    assert beyond.tolist() == [0.0] * len(lengths)


def test_rare_lengths_are_put_with_their_neighbours() -> None:
    owner = np.append(np.repeat(np.arange(PARTNERS), 2), [0, 1, 0])
    lengths = np.append(np.tile([4, 5], PARTNERS), [3, 8, 9])
    stratum, beyond = strata(lengths, owner, owner)
    assert stratum.tolist() == [0, 1] * PARTNERS + [0, 1, 1]
    np.testing.assert_allclose(np.bincount(stratum, beyond), 0, atol=1e-12)
    middle = np.log([5] * PARTNERS + [8, 9]).mean()
    np.testing.assert_allclose(beyond[-2:], np.log([8, 9]) - middle)


@pytest.mark.parametrize("owners", [1, 2, 4])
def test_few_explanations_still_have_partners(owners: int) -> None:
    """With fewer explanations than a stratum wants, one with texts about all of them will do."""
    owner = np.tile(np.arange(owners), 4)
    lengths = np.repeat([3, 4, 6, 9], owners)
    stratum, _ = strata(lengths, owner, owner)
    assert [len(np.unique(owner[stratum == s])) for s in np.unique(stratum)] == [owners] * 4


@pytest.mark.parametrize("varied", [True, False], ids=["within", "between"])
def test_a_line_in_the_logarithm_of_the_length_joins_what_no_other_text_is_as_long_as(
    varied: bool,
) -> None:
    """The response hangs on the length alone, so no text is above or below others."""
    short = [2, 3, 4, 5] if varied else [4] * 4
    long = [9, 10, 11, 12] if varied else [11] * 4
    lengths = np.array(short * 20 + long)
    values = 0.3 + 0.7 * np.log(lengths)[:, None]
    found = Contrast(panel([4] * 21, lengths.tolist())).of(values)
    np.testing.assert_allclose(found.difference[-4:], 0, atol=1e-9)
    raw = values[-4:].mean() - values[:-4].mean()
    assert raw > 0.5


def test_texts_that_are_all_as_long_need_no_line() -> None:
    values = np.arange(60.0)[:, None]
    found = Contrast(panel([5] * 12, [6] * 60)).of(values)
    first = values[:5].mean() - values[5:].mean()
    assert found.difference[:5].mean() == pytest.approx(first)
