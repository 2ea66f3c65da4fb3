from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from neuroexplain.collectors.plan import SplitSample, batches, sample
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import TokenCorpus
from neuroexplain.records import SPLITS

Make = Callable[..., TokenCorpus]


def settings(
    random: int = 5, quantile_bands: int = 3, per_band: int = 2, seed: int = 0
) -> CollectConfig:
    return CollectConfig(
        "made", random=random, quantile_bands=quantile_bands, per_band=per_band, seed=seed
    )


def sampled(made: SplitSample) -> list[int]:
    return [*made.random.tolist(), *made.pool.tolist()]


@pytest.fixture
def corpus(make_corpus: Make) -> TokenCorpus:
    return make_corpus(explain=[100, 100, 60], select=[9], test=[30, 4, 4, 4])


def test_samples_lie_in_their_split_and_do_not_overlap(corpus: TokenCorpus) -> None:
    for number, made in enumerate(sample(corpus, settings())):
        spans = np.flatnonzero(corpus.span_split == number)
        assert made.n_spans == len(spans)
        assert len(set(sampled(made))) == len(sampled(made))
        assert set(sampled(made)) <= set(spans.tolist())


def test_bands_are_of_equal_size(corpus: TokenCorpus) -> None:
    explain, select, test = sample(corpus, settings())
    assert (len(explain.random), len(explain.pool)) == (5, 3 * 8)
    picks = explain.picks(3, -1, 50)
    assert picks.shape == (50, 6)
    assert (picks // 8 == [0, 0, 1, 1, 2, 2]).all(), "two of each band, highest band first"
    assert len({tuple(row) for row in picks.tolist()}) > 40, "each neuron has a draw of its own"
    # 7 spans: 5 random ones leave 2, too few for 3 bands.
    assert (test.n_spans, len(test.random), len(test.pool), test.bands) == (7, 5, 0, 0)
    assert (select.n_spans, len(select.random), select.bands) == (1, 1, 0)
    assert select.random_probability == 1.0


@pytest.mark.parametrize(("random", "bands", "per_band"), [(0, 0, 0), (3, 0, 2), (0, 2, 0)])
def test_samples_can_be_turned_off(
    random: int, bands: int, per_band: int, corpus: TokenCorpus
) -> None:
    for made in sample(corpus, settings(random, bands, per_band)):
        assert len(made.random) == min(random, made.n_spans)
        assert (made.bands, len(made.pool), made.quantile_probability) == (0, 0, 0.0)


def test_a_sample_depends_on_the_seed_alone(corpus: TokenCorpus) -> None:
    first, again = sample(corpus, settings()), sample(corpus, settings())
    other = sample(corpus, settings(seed=1))
    assert [sampled(a) for a in first] == [sampled(b) for b in again]
    assert sampled(first[0]) != sampled(other[0])


@pytest.mark.parametrize(("random", "bands", "per_band"), [(4, 3, 1), (6, 2, 3), (0, 5, 4)])
def test_inclusion_probabilities_over_seeds(
    random: int, bands: int, per_band: int, make_corpus: Make
) -> None:
    corpus = make_corpus(explain=[80, 100], select=[9], test=[9])
    n = int((corpus.span_split == SPLITS.index("explain")).sum())
    peaks = np.random.default_rng(3).normal(size=n)
    seeds = 1500
    drawn, kept = np.zeros(n), np.zeros(n)
    for seed in range(seeds):
        made = sample(corpus, settings(random, bands, per_band, seed))[0]
        drawn[made.random] += 1
        by_peak = made.pool[np.argsort(-peaks[made.pool], kind="stable")]
        kept[by_peak[made.picks(0, 1, 1)[0]]] += 1
    for counts, stated in ((drawn, made.random_probability), (kept, made.quantile_probability)):
        spread = np.sqrt(stated * (1 - stated) / seeds)
        assert counts.sum() == pytest.approx(stated * n * seeds)
        assert np.abs(counts / seeds - stated).max() <= 4.5 * spread


def test_batches_hold_one_length_each_and_every_span_once(corpus: TokenCorpus) -> None:
    spans = np.arange(len(corpus.span_start))
    made = batches(corpus, spans[::-1].copy(), 4)
    assert sorted(np.concatenate(made).tolist()) == spans.tolist()
    lengths = [set(corpus.span_length[batch].tolist()) for batch in made]
    assert all(len(batch) <= 4 for batch in made) and all(len(some) == 1 for some in lengths)
    assert [max(some) for some in lengths] == sorted((max(s) for s in lengths), reverse=True)
    assert batches(corpus, spans[:0], 4) == []
