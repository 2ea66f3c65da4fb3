"""Which spans are sampled, and in which batches the corpus goes through the subject.

Both are functions of the corpus and the settings alone, so that a result does not depend on how a run was carried out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.config import CollectConfig
from neuroexplain.recorded import TokenCorpus
from neuroexplain.records import SPLITS

Numbers = NDArray[np.int64]

CANDIDATES_PER_KEPT = 4
"""Spans looked at for each one that a quantile band keeps: bands are cut by rank among these."""


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


def sample(corpus: TokenCorpus, config: CollectConfig) -> tuple[SplitSample, ...]:
    """Draw the random spans and the quantile pool of every split."""
    return tuple(
        _sample_split(corpus, np.flatnonzero(corpus.span_split == number), config, number)
        for number in range(len(SPLITS))
    )


def batches(corpus: TokenCorpus, spans: Numbers, batch_size: int) -> list[Numbers]:
    """Span numbers in batches of one length each, longest first, in corpus order within a length.

    Padding would waste up to half of the work on short spans, and would have to be masked everywhere.
    """
    lengths = corpus.span_length[spans]
    ordered = spans[np.lexsort((spans, -lengths))]
    lengths = corpus.span_length[ordered]
    groups = np.split(ordered, np.flatnonzero(np.diff(lengths)) + 1) if len(ordered) else []
    return [
        group[at : at + batch_size] for group in groups for at in range(0, len(group), batch_size)
    ]


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
    return _hash(f"{seed}:{document.sha256}:{int(corpus.span_start[span])}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
