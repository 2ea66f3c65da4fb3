from __future__ import annotations

import random
import time

from neuroexplain.corpora import duplicates


def words(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(5000)}" for _ in range(count)]


def test_similar_texts_share_a_group() -> None:
    base = words(100, 0)
    changed = [*base[:50], "other", *base[51:]]
    texts = [" ".join(t) for t in (words(100, 1), base, words(100, 2), changed)]
    assert duplicates.groups(texts) == [0, 1, 2, 1]


def test_texts_below_the_threshold_stay_apart() -> None:
    base = words(100, 0)
    half = [*base[:60], *words(40, 1)]
    assert duplicates.groups([" ".join(base), " ".join(half)]) == [0, 1]


def test_a_chain_is_one_group() -> None:
    base = words(100, 0)
    chain = [base, [*base[10:], *words(10, 1)], [*base[20:], *words(10, 1), *words(10, 2)]]
    assert duplicates.groups([" ".join(t) for t in chain]) == [0, 0, 0]
    assert duplicates.groups([" ".join(chain[0]), " ".join(chain[2])]) == [0, 1]


def test_short_texts_match_only_themselves() -> None:
    assert duplicates.groups(["a b c d", "a b c e", "a b c", "A B C D", ""]) == [0, 1, 2, 0, 4]


def test_no_texts() -> None:
    assert duplicates.groups([]) == []


def test_fast_enough_and_the_same_every_time() -> None:
    texts = [" ".join(words(100, seed)) for seed in range(1000)]
    began = time.process_time()
    first = duplicates.groups(texts)
    assert time.process_time() - began < 5
    assert first == duplicates.groups(texts) == list(range(1000))
