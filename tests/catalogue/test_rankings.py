"""Rankings: the order of their rows."""

from __future__ import annotations

from neuroexplain.catalogue import Ranking


def test_the_largest_comes_first_and_of_equals_the_smallest_row() -> None:
    found = Ranking.of_explanations("cosine", [7, 3, 5, 9], [0.2, 0.5, 0.5, -1.0], missing=2)
    assert found.rows.tolist() == [3, 5, 7, 9]
    assert found.values.tolist() == [0.5, 0.5, 0.2, -1.0]
    assert found.polarities.tolist() == [0, 0, 0, 0]
    assert (found.kind, found.name, found.missing, len(found)) == ("explanation", "cosine", 2, 4)


def test_of_the_two_sides_of_a_neuron_the_upper_comes_first_where_they_are_equal() -> None:
    found = Ranking.of_neurons("quantile", [4, 4, 2], [-1, 1, -1], [0.5, 0.5, 0.5])
    assert list(zip(found.rows.tolist(), found.polarities.tolist(), strict=True)) == [
        (2, -1),
        (4, 1),
        (4, -1),
    ]


def test_some_rows_are_left_out() -> None:
    found = Ranking.of_explanations("cosine", [7, 3, 5], [0.2, 0.5, 0.3]).without([3, 99])
    assert (found.rows.tolist(), found.values.tolist()) == ([5, 7], [0.3, 0.2])
