"""Records of whole subjects, corpora and layers, as collectors hand them to the catalogue.

Frozen like those of `records`; arrays are indexed by neuron, span or token, as the field says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import POLARITIES, Document, Floats, Kind, Split, TokenSpan


@dataclass(frozen=True)
class SubjectInfo:
    """What the catalogue keeps of a subject model."""

    name: str
    """Short name, the first part of a neuron's address."""
    spec: str
    """As the user wrote it."""
    weights_sha256: str
    """Of the weights, so that two models of one name are told apart."""
    architecture: str
    """Model type of its configuration, for example `bert`."""
    site: str
    """What a neuron is, for example `mlp`: the input of the MLP's output projection."""
    widths: tuple[int, ...]
    """Neurons of every layer."""


@dataclass(frozen=True)
class CorpusInfo:
    """What the catalogue keeps of a corpus beside its documents."""

    spec: str
    sha256: str
    """Of the documents' hashes in order, the tokenizer and the span length."""
    tokenizer_sha256: str
    seq_len: int
    first: int
    """Leading tokens of every span that count for nothing."""
    n_documents: int
    n_tokens: int
    n_exact_duplicates: int
    """Documents left out because their text had occurred before."""
    n_near_duplicates: int
    """Documents that share a split with an earlier, similar one."""


@dataclass(frozen=True)
class TokenDocument:
    """A document with its tokens."""

    document: Document
    token_ids: NDArray[np.uint32]
    """[token]"""
    offsets: NDArray[np.uint32]
    """[token, 2]; first and one-past-last character of every token in the document's text."""


@dataclass(frozen=True)
class TokenCorpus:
    """Tokenised documents, cut into spans; span numbers run through the corpus in order."""

    info: CorpusInfo
    documents: tuple[TokenDocument, ...]
    """`documents[i].document.position == i`."""
    span_document: NDArray[np.int64]
    """[span]"""
    span_start: NDArray[np.int64]
    """[span]; first token within the document."""
    span_length: NDArray[np.int64]
    """[span]; tokens, at most `info.seq_len`."""
    span_split: NDArray[np.int8]
    """[span]; index into SPLITS."""

    def span(self, number: int) -> TokenSpan:
        """One span, with the exact text of its tokens."""
        entry = self.documents[int(self.span_document[number])]
        start, length = int(self.span_start[number]), int(self.span_length[number])
        ids = entry.token_ids[start : start + length]
        return TokenSpan(
            span=number,
            document=entry.document.position,
            start=start,
            token_ids=tuple(int(i) for i in ids),
            tokens=token_texts(entry.document.text, entry.offsets[start : start + length]),
            first=self.info.first,
        )


def token_texts(text: str, offsets: NDArray[np.uint32]) -> tuple[str, ...]:
    """Exact text of consecutive tokens; joined, they give the text from the first offset to the last.

    Text between two tokens (a tokenizer may drop spaces) goes to the later one, so that reading stays possible.

    >>> token_texts("a  bc", np.array([[0, 1], [3, 4], [4, 5]], dtype=np.uint32))
    ('a', '  b', 'c')
    """
    bounds = np.maximum.accumulate(np.concatenate([offsets[:1, 0], offsets[:, 1]])).tolist()
    return tuple([text[start:stop] for start, stop in pairwise(bounds)])


@dataclass(frozen=True)
class SplitTokens:
    """The spans of one split of a stored corpus; arrays are [span], in corpus order."""

    first: int
    """Leading tokens of every span that count for nothing."""
    spans: NDArray[np.int64]
    """Their numbers in the corpus."""
    documents: NDArray[np.int64]
    """Positions of their documents in the corpus."""
    starts: NDArray[np.int64]
    """Of each span's first token in `token_ids`."""
    lengths: NDArray[np.int64]
    """Tokens."""
    token_ids: NDArray[np.uint32]
    """[token]; of all documents of the split, one after another."""

    def ids(self, place: int) -> NDArray[np.uint32]:
        """[token]; of the span at a place in the arrays."""
        start = self.starts[place]
        return self.token_ids[start : start + self.lengths[place]]


@dataclass(frozen=True)
class ExemplarBlock:
    """Kept spans of neurons of a layer, of one split, kind and polarity."""

    split: Split
    kind: Kind
    polarity: int
    """+1 or -1; 0 for the random spans, which serve both."""
    spans: NDArray[np.int64]
    """[neuron, rank]; span numbers, -1 where there are fewer."""
    peaks: Floats
    """[neuron, rank]; signed, largest on the polarity's side (upper side where the polarity is 0)."""
    peak_positions: NDArray[np.int32]
    """[neuron, rank]; token within the span."""
    activations: NDArray[np.float16]
    """[neuron, rank, token]; multiply by `2 ** exponents`. Zeros beyond the span's end."""
    exponents: NDArray[np.int8]
    """[neuron, rank]; 0 unless float16 would overflow."""
    inclusion_probability: float


@dataclass(frozen=True)
class LookAlikes:
    """Spans that look like the strongest ones of some neurons, on which these stay quiet; arrays are [neuron]."""

    layer: int
    indices: NDArray[np.int64]
    block: ExemplarBlock
    """Of the explain split and the kind `contrastive`, one polarity; the most alike first."""
    lengths: NDArray[np.int64]
    """[neuron, rank]; tokens of the spans, 0 where there is none."""
    likeness: Floats
    """[neuron, rank]; cosine of the span's look with what the neuron's strongest spans have in common."""
    reasons: tuple[str | None, ...]
    """Why a neuron has none: dead_neuron, no_quiet_span."""


@dataclass(frozen=True)
class OutputBlock:
    """What some neurons of a layer write towards the vocabulary, on their upper side; arrays are [neuron, rank]."""

    layer: int
    indices: NDArray[np.int64]
    """[neuron]"""
    promoted: NDArray[np.uint32]
    """Token ids, largest logit first."""
    promoted_logits: Floats
    suppressed: NDArray[np.uint32]
    """Smallest logit first."""
    suppressed_logits: Floats
    texts: Mapping[int, str]
    """Of every token id."""


QUANTILE_LEVELS = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999,
)  # fmt: skip
"""Shares of tokens at which quantiles are kept."""


@dataclass(frozen=True)
class TokenTable:
    """The token ids on which the neurons of a layer are strongest on average; arrays are [side, neuron, rank].

    Side 0 is polarity +1, side 1 is polarity -1; strongest first. Over sampled tokens of the explain split.
    """

    token_ids: NDArray[np.uint32]
    means: Floats
    """Mean activation, signed."""
    extremes: Floats
    """Largest activation on the side, signed."""
    counts: NDArray[np.int32]
    """Sampled occurrences that these are taken over; 0 where a neuron has fewer token ids on this side."""


@dataclass(frozen=True)
class LayerSketch:
    """What a uniform sample of tokens, the same for all neurons, says about the neurons of a layer."""

    n_tokens: int
    """Sampled tokens. A quantile's rank is off by more than sqrt(ln(40) / (2 n)) with a chance of 5 % at most, if tokens were
    independent (Dvoretzky-Kiefer-Wolfowitz)."""
    quantiles: Floats
    """[neuron, level]; at QUANTILE_LEVELS."""
    token_table: TokenTable
    directions: NDArray[np.int8]
    """[neuron, 256]; random projection of the centred activations, of equal length for all neurons: the cosine of
    two rows estimates the correlation of two neurons with a standard error of 1/16 at most."""


@dataclass(frozen=True)
class LayerCollection:
    """All that a collection records of one layer; arrays are [neuron]."""

    layer: int
    n_tokens: NDArray[np.int64]
    """Counted tokens; of an expert's neurons those that were routed to it."""
    n_spans: int
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    min: Floats
    max: Floats
    frac_positive: NDArray[np.float64]
    peaks_excluded: NDArray[np.int64]
    troughs_excluded: NDArray[np.int64]
    blocks: tuple[ExemplarBlock, ...]
    sketch: LayerSketch | None = None
    """None where no tokens were sampled."""


Aggregator = Literal["mean", "max"]
"""What the tokens of a text come down to: the mean or the largest of their activations. For polarity -1 the sign is
turned first. Special tokens and excluded first positions do not count."""
AGGREGATORS: tuple[Aggregator, ...] = ("mean", "max")


@dataclass(frozen=True)
class NgramSet:
    """The distinct n-grams of some splits of a corpus, commonest first; an n-gram's number is its place."""

    sha256: str
    """Of the texts and token ids, in order."""
    corpus_sha256: str
    """Of the corpus that they are from."""
    texts: tuple[str, ...]
    """[n-gram]; as first met in the corpus, with single spaces; in lower case where the tokenizer knows no other."""
    counts: NDArray[np.int64]
    """[n-gram]; occurrences."""
    lengths: NDArray[np.int64]
    """[n-gram]; tokens."""
    token_ids: NDArray[np.uint32]
    """[token]; of all n-grams, one after another."""

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class NgramMoments:
    """Moments of a layer's responses over an n-gram set, every n-gram counted once; arrays are [neuron]."""

    n: int
    """N-grams."""
    mean_mean: NDArray[np.float64]
    """Of the mean over tokens; in the subject's activation units, as all that follows."""
    mean_std: NDArray[np.float64]
    max_mean: NDArray[np.float64]
    """Of the largest activation."""
    max_std: NDArray[np.float64]
    min_mean: NDArray[np.float64]
    """Of the smallest activation, as the subject computed it."""
    min_std: NDArray[np.float64]
    peaks_excluded: NDArray[np.int64]
    """N-grams of which a token that does not count has the largest activation."""
    troughs_excluded: NDArray[np.int64]
    """The same for the smallest activation."""

    def mean(self, aggregator: Aggregator, polarity: int = 1) -> NDArray[np.float64]:
        """Mean response on the polarity's side: for -1 the sign is turned before tokens come down to one number."""
        if aggregator == "mean":
            return polarity * self.mean_mean
        return self.max_mean if polarity > 0 else -self.min_mean

    def std(self, aggregator: Aggregator, polarity: int = 1) -> NDArray[np.float64]:
        """Standard deviation of the response on the polarity's side: the unit of SASC's scores."""
        if aggregator == "mean":
            return self.mean_std
        return self.max_std if polarity > 0 else self.min_std


@dataclass(frozen=True)
class LayerNgrams:
    """The n-grams that the neurons of a layer answer to most strongly; arrays are [side, aggregator, neuron, rank].

    Side 0 is polarity +1, side 1 is polarity -1; aggregators as in AGGREGATORS. Ordered by the response by that
    aggregator, strongest first; responses are on the polarity's side, that is, with their sign turned for -1.
    """

    layer: int
    moments: NgramMoments
    numbers: NDArray[np.int64]
    """In the set; -1 where fewer n-grams have a response above 0."""
    means: Floats
    maxima: Floats

    def of(self, polarity: int, aggregator: Aggregator) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Numbers, means and maxima of one list of every neuron, [neuron, rank]."""
        place = POLARITIES.index(polarity), AGGREGATORS.index(aggregator)
        return self.numbers[place], self.means[place], self.maxima[place]
