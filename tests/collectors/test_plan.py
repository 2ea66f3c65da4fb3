from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from neuroexplain.collectors.plan import Plan, SplitSample, batches, slots, steps
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


def sample(corpus: TokenCorpus, config: CollectConfig) -> tuple[SplitSample, ...]:
    return Plan.of(corpus, config, 4).samples


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
    assert all(len(some) == 1 for some in lengths)
    assert all(
        len(batch) <= 4 * 8 // length for batch, (length,) in zip(made, lengths, strict=True)
    )
    assert [max(some) for some in lengths] == sorted((max(s) for s in lengths), reverse=True)
    assert batches(corpus, spans[:0], 4) == []


def test_the_batches_of_a_plan_and_of_its_shards(corpus: TokenCorpus) -> None:
    plan = Plan.of(corpus, settings(), 4)
    splits = [batch.split for batch in plan.batches]
    assert splits == sorted(splits) and set(splits) == {0, 1, 2}
    for batch in plan.batches:
        assert (corpus.span_split[batch.spans] == batch.split).all()
    spans = np.concatenate([batch.spans for batch in plan.batches])
    assert sorted(spans.tolist()) == list(range(len(corpus.span_start)))
    for of in (1, 3, len(plan.batches) + 5):
        shards = [plan.shard(number, of) for number in range(1, of + 1)]
        assert sorted(id(b) for shard in shards for b in shard) == sorted(map(id, plan.batches))
        assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_short_spans_are_put_together_to_the_same_number_of_tokens(make_corpus: Make) -> None:
    corpus = make_corpus(explain=[2] * 50 + [8] * 6, select=[8], test=[8])
    sizes = [len(spans) for spans in batches(corpus, np.arange(56), 4)]
    assert sizes == [4, 2, 16, 16, 16, 2]


@pytest.mark.parametrize("of", [1, 3, 40])
def test_every_sampled_thing_has_one_slot(of: int, corpus: TokenCorpus) -> None:
    plan = Plan.of(corpus, settings(), 4)
    every: list[int] = []
    tokens: list[tuple[int, int]] = []
    for number in range(1, of + 1):
        shard = plan.shard(number, of)
        spans, indices = slots(plan, shard)
        seen = 0
        for step in steps(plan, shard):
            there = spans[step.span_slot : step.span_slot + len(step.sampled)]
            assert step.batch.spans[step.sampled].tolist() == there.tolist()
            here = indices[step.token_slot : step.token_slot + len(step.token_rows)]
            assert step.batch.spans[step.token_rows].tolist() == plan.tokens.spans[here].tolist()
            assert step.token_positions.tolist() == plan.tokens.positions[here].tolist()
            seen += len(step.sampled)
        assert seen == len(spans)
        every += spans.tolist()
        tokens += zip(
            plan.tokens.spans[indices].tolist(),
            plan.tokens.positions[indices].tolist(),
            strict=True,
        )
    assert sorted(every) == plan.sampled_spans.tolist()
    assert sorted(tokens) == list(
        zip(plan.tokens.spans.tolist(), plan.tokens.positions.tolist(), strict=True)
    )


def token_plan(corpus: TokenCorpus, tokens: int, seed: int = 0) -> Plan:
    return Plan.of(corpus, CollectConfig("made", sample_tokens=tokens, seed=seed), 4)


def test_no_more_than_one_token_in_32_is_sampled(corpus: TokenCorpus) -> None:
    counted = int((corpus.span_length - corpus.info.first).sum())
    assert counted == 268
    for wanted, drawn in ((0, 0), (5, 5), (10_000, 268 // 32)):
        assert len(token_plan(corpus, wanted).tokens) == drawn


def test_only_counted_tokens_are_sampled_each_equally_often(make_corpus: Make) -> None:
    corpus = make_corpus(first=2, explain=[37, 20, 11] * 3, select=[9], test=[9, 3])
    counted = [
        (span, position)
        for span, length in enumerate(corpus.span_length.tolist())
        for position in range(2, length)
    ]
    times = dict.fromkeys(counted, 0)
    seeds = 4000
    for seed in range(seeds):
        made = token_plan(corpus, 3, seed).tokens
        places = list(zip(made.spans.tolist(), made.positions.tolist(), strict=True))
        assert places == sorted(set(places)) and len(places) == 3
        for place in places:
            times[place] += 1
    share = 3 / len(counted)
    spread = np.sqrt(share * (1 - share) / seeds)
    assert np.abs(np.array(list(times.values())) / seeds - share).max() <= 4.5 * spread
