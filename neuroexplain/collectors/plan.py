"""Which spans and tokens are sampled, and in which batches the corpus goes through the subject.

All of it is a function of the corpus and the settings alone, so that a result does not depend on how a run was carried
out: where it was interrupted, how many shards it had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.config import CollectConfig
from neuroexplain.recorded import TokenCorpus
from neuroexplain.records import SPLITS

Numbers = NDArray[np.int64]

CANDIDATES_PER_KEPT = 4
"""Spans looked at for each one that a quantile band keeps: bands are cut by rank among these."""
_TOKENS_PER_SAMPLED = 32
"""At most one token of so many is sampled, so that a small corpus does not spend its time on this."""
_TOKEN_SAMPLE = 3
"""Seeds the choice of tokens apart from the splits' choices, 0 to 2."""


@dataclass(frozen=True)
class SplitSample:
    """The sampled spans of one split; every span is equally likely to be any of them.

    Random and banded spans are disjoint, so a span outside the top is kept with probability
    `random_probability + quantile_probability`.
    """

    n_spans: int
    """Spans in the split."""
    random: Numbers
    """Span numbers of the uniform random sample, in sampling order."""
    pool: Numbers
    """Span numbers from which each neuron's quantile spans are drawn, in sampling order."""
    bands: int
    """Bands of equal size that the pool is cut into by peak, for each neuron of its own."""
    kept: int
    """Spans kept of each band."""
    seed: tuple[int, int]
    """Of the picks: the configuration's seed and the split."""

    @property
    def random_probability(self) -> float:
        """Chance of any one span to be in the random sample."""
        return len(self.random) / self.n_spans

    @property
    def quantile_probability(self) -> float:
        """Chance of any one span to be kept as a quantile span."""
        return self.bands * self.kept / self.n_spans

    def picks(self, layer: int, polarity: int, width: int) -> Numbers:
        """Which of a neuron's pool spans, ranked by peak, are kept; [neuron, kept span], highest band first.

        Drawn for each neuron by itself, in the order drawn within a band, so that the first few are a sample too. One
        draw for all neurons would put the same ranks everywhere, and the error of their weights would not average out.
        """
        size = len(self.pool) // max(self.bands, 1)
        random = np.random.default_rng((*self.seed, layer, polarity + 1))
        drawn = random.random((width, self.bands, size)).argsort(axis=2)[:, :, : self.kept]
        ranks = drawn + size * np.arange(self.bands)[:, None]
        return ranks.reshape(width, self.bands * self.kept)


@dataclass(frozen=True)
class TokenSample:
    """Counted tokens drawn uniformly without replacement, in corpus order; arrays are [sampled token]."""

    spans: Numbers
    positions: Numbers
    """Token within the span."""

    def __len__(self) -> int:
        return len(self.spans)


@dataclass(frozen=True)
class Batch:
    """Spans of one length and one split that go through the subject together."""

    split: int
    """Index into SPLITS."""
    spans: Numbers


@dataclass(frozen=True)
class Plan:
    """A whole collection before it begins."""

    corpus: TokenCorpus
    config: CollectConfig
    samples: tuple[SplitSample, ...]
    """One per split."""
    tokens: TokenSample
    batches: tuple[Batch, ...]
    """One split after the other."""

    @classmethod
    def of(cls, corpus: TokenCorpus, config: CollectConfig, batch_size: int) -> Plan:
        """Plan the collection of a corpus.

        Args:
            corpus: tokenised spans.
            config: what to keep.
            batch_size: full-length spans per forward pass; of shorter spans as many as have the same number of tokens.
        """
        by_split = [np.flatnonzero(corpus.span_split == s) for s in range(len(SPLITS))]
        return cls(
            corpus,
            config,
            tuple(_sample_split(corpus, spans, config, s) for s, spans in enumerate(by_split)),
            _sample_tokens(corpus, config),
            tuple(
                Batch(s, spans)
                for s, split in enumerate(by_split)
                for spans in batches(corpus, split, batch_size)
            ),
        )

    def shard(self, number: int, of: int) -> tuple[Batch, ...]:
        """The batches of one shard, counted from 1."""
        return self.batches[number - 1 :: of]

    @property
    def sampled_spans(self) -> Numbers:
        """Every sampled span of all splits, ascending."""
        return np.unique(np.concatenate([np.append(s.random, s.pool) for s in self.samples]))


@dataclass(frozen=True)
class Step:
    """One batch with what is sampled of it, and where that goes; slots count up over the batches of a shard."""

    batch: Batch
    sampled: Numbers
    """[sampled span]; rows of the batch."""
    span_slot: int
    """Slot of the first sampled span; the others follow."""
    token_rows: Numbers
    """[sampled token]; rows of the batch."""
    token_positions: Numbers
    """[sampled token]; positions within the span."""
    token_slot: int
    distinct: bool
    """Whether its spans are of different documents."""


def steps(plan: Plan, shard: Sequence[Batch]) -> Iterator[Step]:
    """The batches of a shard, one after another, with what is sampled of each."""
    is_sampled = np.zeros(len(plan.corpus.span_document), dtype=bool)
    is_sampled[plan.sampled_spans] = True
    span_slot = token_slot = 0
    for batch in shard:
        sampled = np.flatnonzero(is_sampled[batch.spans])
        rows, chosen = _tokens_of(plan.tokens, batch.spans)
        documents = np.unique(plan.corpus.span_document[batch.spans])
        yield Step(
            batch,
            sampled,
            span_slot,
            rows,
            plan.tokens.positions[chosen],
            token_slot,
            distinct=len(documents) == len(batch.spans),
        )
        span_slot += len(sampled)
        token_slot += len(rows)


def slots(plan: Plan, shard: Sequence[Batch]) -> tuple[Numbers, Numbers]:
    """What is in the slots of a shard: numbers of its sampled spans, and indices of its sampled tokens."""
    sampled = plan.sampled_spans
    spans = [batch.spans[np.isin(batch.spans, sampled)] for batch in shard]
    tokens = [_tokens_of(plan.tokens, batch.spans)[1] for batch in shard]
    empty = np.empty(0, dtype=np.int64)
    return np.concatenate([empty, *spans]), np.concatenate([empty, *tokens])


def batches(corpus: TokenCorpus, spans: Numbers, batch_size: int) -> list[Numbers]:
    """Span numbers in batches of one length each, longest first.

    Padding would waste up to half of the work on short spans, and would have to be masked everywhere. Within a length all
    documents' first spans come before any second one: the more documents a neuron has seen, the less is new to it.
    """
    lengths = corpus.span_length[spans]
    ordered = spans[np.lexsort((spans, corpus.span_start[spans], -lengths))]
    lengths = corpus.span_length[ordered]
    groups = np.split(ordered, np.flatnonzero(np.diff(lengths)) + 1) if len(ordered) else []
    result = []
    for group in groups:
        size = max(1, batch_size * corpus.info.seq_len // int(corpus.span_length[group[0]]))
        result += [group[at : at + size] for at in range(0, len(group), size)]
    return result


def _tokens_of(sample: TokenSample, spans: Numbers) -> tuple[Numbers, Numbers]:
    """The sampled tokens of some spans: their rows among these, and their indices in the sample."""
    starts = np.searchsorted(sample.spans, spans)
    counts = np.searchsorted(sample.spans, spans, side="right") - starts
    rows = np.repeat(np.arange(len(spans)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, np.repeat(starts, counts) + within


def _sample_tokens(corpus: TokenCorpus, config: CollectConfig) -> TokenSample:
    first = corpus.info.first
    ends = np.cumsum(corpus.span_length - first)
    total = int(ends[-1])
    random = np.random.default_rng((config.seed, _TOKEN_SAMPLE))
    size = min(config.sample_tokens, total // _TOKENS_PER_SAMPLED)
    chosen = np.sort(random.choice(total, size, replace=False, shuffle=False))
    spans = np.searchsorted(ends, chosen, side="right")
    before = ends[spans] - (corpus.span_length[spans] - first)
    return TokenSample(spans, chosen - before + first)


def _sample_split(
    corpus: TokenCorpus, spans: Numbers, config: CollectConfig, split: int
) -> SplitSample:
    order = spans[np.argsort([_ticket(corpus, int(s), config.seed) for s in spans])]
    n_random = min(config.random, len(order))
    bands, kept = config.quantile_bands, config.per_band
    rest = len(order) - n_random
    # Bands of exactly equal size make every span's chance the same, which the weights of the scores rest on.
    in_band = min(kept * CANDIDATES_PER_KEPT, rest // bands) if bands and kept else 0
    return SplitSample(
        n_spans=len(spans),
        random=order[:n_random],
        pool=order[n_random : n_random + in_band * bands],
        bands=bands if in_band else 0,
        kept=min(kept, in_band),
        seed=(config.seed, split),
    )


def _ticket(corpus: TokenCorpus, span: int, seed: int) -> str:
    document = corpus.documents[int(corpus.span_document[span])].document
    text = f"{seed}:{document.sha256}:{int(corpus.span_start[span])}"
    return hashlib.sha256(text.encode()).hexdigest()
