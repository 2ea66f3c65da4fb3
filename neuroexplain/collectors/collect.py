"""The pass: every span of the corpus once through the subject, all layers at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.plan import Numbers, SplitSample, batches, sample
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import LayerCollection, TokenCorpus
from neuroexplain.records import SPLITS

if TYPE_CHECKING:
    from torch import Tensor

    from neuroexplain.subjects import Subject


def collect_layers(
    subject: Subject,
    corpus: TokenCorpus,
    config: CollectConfig,
    *,
    layers: Sequence[int],
    batch_size: int = 32,
    progress: Callable[[int], None] | None = None,
) -> Iterator[LayerCollection]:
    """Record the neurons of some layers over a corpus.

    The splits go by one after the other; in each the sampled spans come first.

    Args:
        subject: the model.
        corpus: its tokenised spans.
        config: what to keep.
        layers: which layers to record.
        batch_size: spans per forward pass.
        progress: called after every batch with its number of tokens.

    Yields:
        One record per layer, in order, after the whole corpus has gone by.

    Raises:
        CollectError: an activation is NaN or infinite.
        SubjectError: a span is longer than the subject allows.
    """
    states = {
        layer: LayerState(layer, subject.sites[layer].width, corpus, config) for layer in layers
    }
    for number, (split, drawn) in enumerate(zip(SPLITS, sample(corpus, config), strict=True)):
        for state in states.values():
            state.begin_split(split)
        for spans, keep in in_order(corpus, number, drawn, batch_size):
            run_batch(subject, corpus, states, spans, keep)
            if progress is not None:
                progress(int(corpus.span_length[spans].sum()))
        for state in states.values():
            state.end_split(split, drawn)
    for layer in list(states):
        yield states.pop(layer).result()


def in_order(
    corpus: TokenCorpus, split: int, drawn: SplitSample, batch_size: int
) -> Iterator[tuple[Numbers, bool]]:
    """Batches of a split with whether they are sampled: sampled spans first, so that they are freed early."""
    sampled = np.concatenate([drawn.random, drawn.pool])
    others = np.setdiff1d(np.flatnonzero(corpus.span_split == split), sampled)
    for spans in batches(corpus, sampled, batch_size):
        yield spans, True
    for spans in batches(corpus, others, batch_size):
        yield spans, False


def run_batch(
    subject: Subject,
    corpus: TokenCorpus,
    states: dict[int, LayerState],
    spans: Numbers,
    keep: bool,
) -> None:
    """Run one batch and show it to the layers' states; `keep` marks sampled spans."""
    token_ids = [_token_ids(corpus, int(span)) for span in spans]
    content = slice(len(subject.prefix), len(subject.prefix) + len(token_ids[0]))

    def on_layer(layer: int, neurons: Tensor) -> None:
        states[layer].update(neurons, content, spans, keep)

    subject.run(token_ids, list(states), on_layer)


def _token_ids(corpus: TokenCorpus, span: int) -> list[int]:
    entry = corpus.documents[int(corpus.span_document[span])]
    start = int(corpus.span_start[span])
    ids: list[int] = entry.token_ids[start : start + int(corpus.span_length[span])].tolist()
    return ids
