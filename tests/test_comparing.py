"""Which explanations are compared with which."""

from __future__ import annotations

from typing import Any

import pytest

from neuroexplain.catalogue import ExplanationRef, TextSet
from neuroexplain.comparing import Candidate, comparisons, groups_of, kinds
from neuroexplain.matching import Hypothesis
from neuroexplain.records import Explanation, NeuronId


def hypothesis(
    number: int,
    neuron: str,
    explainer: str = "made",
    *,
    llm: str | None = "openai:m",
    data: Any = None,
    made_by: str = "{}",
) -> Hypothesis:
    address = NeuronId.parse(f"tiny/{neuron}")
    ref = ExplanationRef(number, address, explainer, llm, f"key {number}", made_by)
    return Hypothesis.of(
        ref, Explanation(address, explainer, f"text {number}", 1.0, data=data, llm=llm)
    )


def candidate(number: int, neuron: str, texts: int = 3) -> Candidate:
    made = TextSet(number, f"key {number}", "llm", tuple(map(str, range(texts))), 20)
    return Candidate(hypothesis(number, neuron), made)


def numbers(parts: list[list[Hypothesis]]) -> list[list[int]]:
    return [[h.ref.number for h in part] for part in parts]


def test_lists_of_words_come_first_and_kinds_are_kept_apart() -> None:
    listed = {"words": [["ice", 9.0]]}
    wanted = [
        hypothesis(1, "0/1+"),
        hypothesis(2, "0/1-"),
        hypothesis(3, "0/1+", "other"),
        hypothesis(4, "0/1+", llm=None),
        hypothesis(5, "2/9+"),
        hypothesis(6, "0/1+", "keywords", llm=None, data=listed),
    ]
    assert numbers(kinds(wanted)) == [[6], [4], [2], [1, 5], [3]]


def test_other_settings_part_a_kind_only_where_a_neuron_has_both() -> None:
    mixed = [hypothesis(1, "0/1+"), hypothesis(2, "0/2+", made_by="revised")]
    assert numbers(kinds(mixed)) == [[1, 2]], "some were revised, some were not"
    both = [*mixed, hypothesis(3, "0/1+", made_by="revised")]
    assert sorted(numbers(kinds(both))) == [[1], [2, 3]]


def test_candidates_of_a_neuron_are_a_group_and_need_texts() -> None:
    made = [
        candidate(1, "0/1+"),
        candidate(2, "0/2+"),
        candidate(3, "0/1+"),
        candidate(4, "0/3+", 0),
    ]
    groups = groups_of(made)
    assert [(str(g.neuron), [c.number for c in g.candidates]) for g in groups] == [
        ("tiny/0/1+", [1, 3]),
        ("tiny/0/2+", [2]),
    ]
    assert all(g.own for g in groups)
    assert groups[0].digest != groups[1].digest


@pytest.mark.parametrize("others", [50, 60, 100])
def test_every_group_is_scored_once_beside_a_pool(others: int) -> None:
    groups = groups_of([candidate(n, f"0/{n}+") for n in range(80)])
    found = comparisons(groups, others, 0)
    scored = [c.groups[place].neuron for c in found for place in c.scored]
    assert sorted(scored) == sorted(g.neuron for g in groups)
    assert {len(c.pool) for c in found} == {min(others, 80)}
    assert [c.extra is None for c in found] == [True] + [False] * max(0, 80 - others)
    assert len({c.digest for c in found}) == 1
    for comparison in found[1:]:
        assert comparison.extra not in comparison.pool
        assert comparison.groups[-1] is comparison.extra


def test_strangers_are_compared_with_and_not_scored() -> None:
    own = groups_of([candidate(n, f"0/{n}+") for n in range(5)])
    strangers = groups_of([candidate(n, f"0/{n}+") for n in range(5, 60)], own=False)
    (found,) = comparisons([*own, *strangers], 100, 0)
    assert len(found.pool) == 60
    assert {found.pool[place].neuron.index for place in found.scored} == set(range(5))
    assert comparisons(strangers, 100, 0) == []


def test_the_pool_is_drawn_by_the_seed_whatever_the_order() -> None:
    groups = groups_of([candidate(n, f"0/{n}+") for n in range(80)])
    pools = [
        comparisons(g, 50, seed)[0].pool
        for g, seed in ((groups, 0), (groups[::-1], 0), (groups, 1))
    ]
    assert pools[0] == pools[1] != pools[2]
