from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Sequence

from neuroexplain.corpora.duplicates import Index


def groups(texts: Sequence[str]) -> list[int]:
    index = Index()
    for text in texts:
        index.add(text)
    return index.groups()


def words(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(5000)}" for _ in range(count)]


def test_similar_texts_share_a_group() -> None:
    base = words(100, 0)
    changed = [*base[:50], "other", *base[51:]]
    texts = [" ".join(t) for t in (words(100, 1), base, words(100, 2), changed)]
    assert groups(texts) == [0, 1, 2, 1]


def test_texts_below_the_threshold_stay_apart() -> None:
    base = words(100, 0)
    half = [*base[:60], *words(40, 1)]
    assert groups([" ".join(base), " ".join(half)]) == [0, 1]


def test_a_chain_is_one_group() -> None:
    base = words(100, 0)
    chain = [base, [*base[10:], *words(10, 1)], [*base[20:], *words(10, 1), *words(10, 2)]]
    assert groups([" ".join(t) for t in chain]) == [0, 0, 0]
    assert groups([" ".join(chain[0]), " ".join(chain[2])]) == [0, 1]


def test_short_texts_match_only_themselves() -> None:
    assert groups(["a b c d", "a b c e", "a b c", "A B C D", ""]) == [0, 1, 2, 0, 4]


def test_no_texts() -> None:
    assert groups([]) == []


def test_fast_enough_and_the_same_every_time() -> None:
    texts = [" ".join(words(100, seed)) for seed in range(1000)]
    began = time.process_time()
    first = groups(texts)
    assert time.process_time() - began < 5
    assert first == groups(texts) == list(range(1000))


def alike(base: list[str], count: int, changes: int) -> list[str]:
    """Texts that differ in some places from a base."""
    rng = random.Random(1)
    found = []
    for _ in range(count):
        text = list(base)
        for _ in range(changes):
            text[rng.randrange(len(text))] = f"x{rng.randrange(10**6)}"
        found.append(" ".join(text))
    return found


def test_only_new_ones_are_added() -> None:
    texts = alike(words(100, 0), 3, 1)
    index = Index()
    found = [index.add(text, only_new=True) for text in (*texts, "something else", texts[0])]
    assert found == [False, True, True, False, True]
    assert index.groups() == [0, 1]


def test_a_text_joins_two_groups() -> None:
    base = words(100, 0)
    chain = [base, [*base[20:], *words(20, 1)], [*base[10:], *words(10, 1)]]
    assert groups([" ".join(t) for t in chain]) == [0, 0, 0]


def test_many_alike_take_no_quadratic_time() -> None:
    # Of pairs: 3 changes are near duplicates mostly, half of the wording is not but shares bands with all others.
    base = words(100, 0)
    halves = [" ".join([*base[:65], *words(35, seed)]) for seed in range(1500)]
    began = time.process_time()
    assert set(groups(alike(base, 3000, 2))) == {0}
    assert groups(halves) == list(range(1500))
    assert time.process_time() - began < 10


def test_a_huge_text_takes_little_memory() -> None:
    text = " ".join(f"w{i}" for i in range(200_000))
    tracemalloc.start()
    try:
        assert groups([text, text + " end"]) == [0, 0]
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()
