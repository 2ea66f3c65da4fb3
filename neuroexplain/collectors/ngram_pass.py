"""The n-gram pass: every n-gram by itself through the subject, all neurons of all layers at once.

A pass for each neuron by itself, as SASC was published, costs as many forward passes as there are neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.collectors.ngram_layer import NgramLayer
from neuroexplain.collectors.ngram_part import NgramPart
from neuroexplain.collectors.ngram_topk import Numbers
from neuroexplain.collectors.part import writing
from neuroexplain.collectors.pausing import CHECKPOINT_SECONDS, Clock, interruptible
from neuroexplain.recorded import NgramSet

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

Advance = Callable[[int], None]
"""Called with the n-grams of every batch."""

_TOKENS = 1536
"""Of a batch; its activations should fit into a processor's cache."""


def record_ngrams(
    subject: Subject,
    ngrams: NgramSet,
    part: NgramPart,
    *,
    lead: tuple[int, ...],
    top: int,
    advance: Advance | None = None,
    checkpoint: float = CHECKPOINT_SECONDS,
) -> None:
    """Run a part to its end, from its newest checkpoint on; what came out is in the part.

    Args:
        subject: the model.
        ngrams: all of them.
        part: where it is recorded; entered.
        lead: token ids before every n-gram, see `ngram_set.Reading`.
        top: n-grams kept in every list.
        advance: told about every batch.
        checkpoint: seconds between two of them.

    Raises:
        CollectError: an activation is NaN or infinite, or the disk is full.
        KeyboardInterrupt: it was interrupted, after a last checkpoint.
    """
    plan = batches(ngrams.lengths)
    widths = part.header.widths
    done = part.n_batches
    if advance is not None:
        advance(sum(map(len, plan[:done])))
    if done == len(plan):
        return
    states = {layer: NgramLayer(layer, width, top, ngrams) for layer, width in widths.items()}
    part.restore(states)
    stops = np.cumsum(ngrams.lengths)
    clock = Clock(checkpoint)
    with interruptible() as interrupted, writing(part.folder):
        for number, batch in enumerate(plan[done:], start=done + 1):
            _run(subject, ngrams, stops, states, batch, lead)
            if advance is not None:
                advance(len(batch))
            if interrupted.is_set() or clock.due or number == len(plan):
                with clock.measured():
                    part.save(number, states)
            if interrupted.is_set():
                raise KeyboardInterrupt


def batches(lengths: Numbers) -> list[Numbers]:
    """Numbers of n-grams in batches of one length each, the longest first: a function of the set alone.

    Padding would waste more than a quarter of the work on n-grams, and would have to be masked everywhere.
    """
    ordered = np.argsort(-lengths, kind="stable")
    groups = np.split(ordered, np.flatnonzero(np.diff(lengths[ordered])) + 1)
    result = []
    for group in groups:
        size = max(1, _TOKENS // int(lengths[group[0]]))
        result += [group[start : start + size] for start in range(0, len(group), size)]
    return result


def _run(
    subject: Subject,
    ngrams: NgramSet,
    stops: Numbers,
    states: Mapping[int, NgramLayer],
    batch: Numbers,
    lead: tuple[int, ...],
) -> None:
    length = int(ngrams.lengths[batch[0]])
    ids = ngrams.token_ids[(stops[batch] - length)[:, None] + np.arange(length)]
    rows = [[*lead, *row] for row in ids.tolist()]
    subject.run(
        rows,
        list(states),
        lambda seen: states[seen.layer].update(seen, batch, subject.first),
    )
