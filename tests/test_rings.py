from __future__ import annotations

import random

import numpy as np
import pytest

from neuroexplain.rings import Ready, Ring, batched, ring_order


def comparisons(
    order: list[int], fates: list[bool], wanted: int, owners: list[int] | None = None
) -> dict[int, tuple[int, ...]]:
    """Who is compared with whom, when fates become known in some order."""
    ring = Ring(len(fates), wanted, owners)
    found: dict[int, tuple[int, ...]] = {}
    for place in order:
        for ready in ring.settle(place, usable=fates[place], wants=fates[place]):
            assert ready.place not in found
            found[ready.place] = ready.others
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_events_does_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randrange(1, 60)
    fates = [rng.random() < 0.8 for _ in range(size)]
    wanted = rng.randrange(1, 25)
    order = list(range(size))
    expected = comparisons(order, fates, wanted)
    assert sorted(expected) == [place for place in order if fates[place]]
    for _ in range(5):
        rng.shuffle(order)
        assert comparisons(order, fates, wanted) == expected
    for place, others in expected.items():
        following = [(place + step) % size for step in range(1, size)]
        assert list(others) == [p for p in following if fates[p]][:wanted]


def test_nobody_waits_for_more_than_it_needs() -> None:
    ring = Ring(1000, wanted=2)
    assert ring.settle(10, usable=True, wants=True) == []
    assert ring.settle(12, usable=True, wants=True) == []
    assert ring.settle(11, usable=True, wants=True) == [Ready(10, (11, 12))]


def test_small_rings_and_no_comparison() -> None:
    assert Ring(1, 20).settle(0, usable=True, wants=True) == [Ready(0, ())]
    assert Ring(5, 0).settle(3, usable=True, wants=True) == [Ready(3, ())]
    assert Ring(2, 20).settle(0, usable=False, wants=False) == []


def test_a_neuron_is_not_compared_with_itself_nor_with_another_twice() -> None:
    found = comparisons([3, 0, 2, 1, 4], [True] * 5, 20, [7, 7, 8, 8, 9])
    assert found == {0: (2, 4), 1: (2, 4), 2: (4, 0), 3: (4, 0), 4: (0, 2)}


def test_an_order_that_does_not_depend_on_who_else_is_there() -> None:
    everybody = ring_order(np.arange(10_000), salt=5).tolist()
    assert sorted(everybody) == list(range(10_000))
    some = np.array(sorted(random.Random(1).sample(range(10_000), 500)))
    kept = set(some.tolist())
    assert ring_order(some, salt=5).tolist() == [n for n in everybody if n in kept]
    assert ring_order(some, salt=6).tolist() != ring_order(some, salt=5).tolist()
    # A fixed order: catalogues made today and in years agree.
    assert ring_order(np.arange(8), salt=1).tolist() == [3, 2, 1, 0, 4, 6, 7, 5]
    neighbours = np.abs(np.diff(everybody)) == 1
    assert neighbours.mean() < 0.01


def test_pieces() -> None:
    assert [piece.tolist() for piece in batched(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]
