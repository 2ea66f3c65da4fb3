"""What the collector keeps of one layer while the corpus goes by."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.moments import Moments
from neuroexplain.collectors.plan import Plan, Step
from neuroexplain.collectors.reductions import Reduced, extremes, reduce, reduce_routed
from neuroexplain.collectors.spool import Spool
from neuroexplain.collectors.topk import Arrays, TopSpans
from neuroexplain.config import CollectConfig
from neuroexplain.errors import CollectError
from neuroexplain.records import SPLITS

if TYPE_CHECKING:
    from torch import Tensor

    from neuroexplain.subjects import LayerActivations

_TIED = 1 - 2.0**-10
_SMALLEST_HALF = 2.0**-24
"""Peaks closer than these factors and steps may be stored as the same float16."""
_AT_ONCE = 1
"""Spans per side, on average, whose activations are copied at once."""


class LayerState:
    """Statistics of a layer over all splits, and the strongest spans of the split that is going by.

    Its size depends on the neurons and the settings, not on the corpus.

    Args:
        layer: number of the layer.
        width: its neurons.
        plan: of the collection.
        spool: takes what is sampled of the layer.
        statistics: False leaves out moments and samples, so that only the strongest spans are kept.
        pool: sorts spans in while an accelerator computes the next layers; None does it at once.
    """

    def __init__(
        self,
        layer: int,
        width: int,
        plan: Plan,
        spool: Spool,
        *,
        statistics: bool = True,
        pool: Executor | None = None,
    ) -> None:
        self.layer = layer
        self.width = width
        self.moments = Moments(width)
        self.spool = spool
        self._plan = plan
        self._statistics = statistics
        self._pool = pool
        self._sorting: Future[None] | None = None
        self._top = self._empty(0)

    def begin_split(self, split: int) -> None:
        """Start with no spans."""
        self._wait()
        self._top = self._empty(split)

    def update(self, seen: LayerActivations, step: Step) -> None:
        """Take in one batch.

        Raises:
            CollectError: an activation is NaN or infinite.
        """
        import torch

        first = self._plan.corpus.info.first
        text = seen.neurons[:, seen.content]
        counted = text[:, first:]
        # Of a mixture of experts the strongest spans are sought over all tokens, of which those not routed are 0.
        whole = self._statistics and seen.routed is None
        reduced = reduce(counted) if whole else extremes(counted)
        peaks = torch.cat([reduced.highest, -reduced.lowest], dim=1)
        self._require_finite(text[:, :first], peaks, step)
        self._offer(text, peaks, step)
        if self._statistics:
            self._add_moments(seen, counted, reduced, first)
            self._count_excluded(seen, first, reduced)
            self._sample(text, step)

    def arrays(self) -> Arrays:
        """The state, as `restore` takes it."""
        return self.moments.arrays() | self.top()

    def restore(self, arrays: Arrays, split: int) -> None:
        """Go on from a state that was saved within a split."""
        self.moments = Moments(self.width)
        self.moments.merge(arrays)
        self.begin_split(split)
        self._top.restore(arrays)

    def top(self) -> Arrays:
        """The strongest spans of the split so far."""
        self._wait()
        return self._top.arrays()

    def _wait(self) -> None:
        """Until the spans of the batch before are sorted in."""
        if self._sorting is not None:
            self._sorting.result()
            self._sorting = None

    def _empty(self, split: int) -> TopSpans:
        config = self._plan.config
        k = config.top_k if SPLITS[split] == "explain" else config.held_out_top_k
        return TopSpans(self.width, k, config.seq_len, self._plan.corpus.span_document)

    def _add_moments(
        self, seen: LayerActivations, counted: Tensor, reduced: Reduced, first: int
    ) -> None:
        if seen.routed is None:
            self.moments.add(reduced, counted.shape[1])
        else:
            routed = seen.routed[:, seen.content][:, first:]
            self.moments.add(*reduce_routed(counted, routed))

    def _require_finite(self, uncounted: Tensor, peaks: Tensor, step: Step) -> None:
        # Traces keep the uncounted tokens too.
        if bool(peaks.isfinite().all()) and bool(uncounted.isfinite().all()):
            return
        bad = ~peaks.isfinite().view(-1, 2, self.width).all(1) | ~uncounted.isfinite().all(1)
        row, neuron = bad.nonzero()[0].tolist()
        corpus = self._plan.corpus
        document = int(corpus.span_document[step.batch.spans[row]])
        raise CollectError(
            f"layer {self.layer}, neuron {neuron}: the activation on document {document} "
            f"({corpus.documents[document].document.source}) is NaN or infinite; try --dtype float32, or leave the "
            "document out"
        )

    def _offer(self, text: Tensor, peaks: Tensor, step: Step) -> None:
        import torch

        self._wait()
        spans, weakest, beating, reaching = (
            torch.from_numpy(array).to(peaks.device)
            for array in (
                step.batch.spans,
                self._top.weakest,
                self._top.beating,
                self._top.reaching,
            )
        )
        least = torch.where(weakest < spans[:, None], beating, reaching)
        every = (peaks >= least).nonzero()
        if len(every) > self._top.k * peaks.shape[1] and step.distinct:
            # More than can be kept, as in a split's first batch: only the batch's own strongest, ties included.
            strongest = peaks.topk(self._top.k, dim=0).values[-1]
            every = (peaks >= least.maximum(strongest * _TIED - _SMALLEST_HALF)).nonzero()
        # In the beginning nearly everything passes: a part at a time, or the copies would be the peak of memory.
        at_once = _AT_ONCE * peaks.shape[1]
        for start in range(0, len(every), at_once):
            rows, sides = every[start : start + at_once].unbind(1)
            offered = (
                sides.cpu().numpy(),
                step.batch.spans[rows.cpu().numpy()],
                peaks[rows, sides].cpu().numpy(),
                text.transpose(1, 2)[rows, sides % self.width].float().cpu().numpy(),
            )
            if self._pool is None:
                self._top.offer(*offered)
            else:
                self._wait()
                self._sorting = self._pool.submit(self._top.offer, *offered)

    def _count_excluded(self, seen: LayerActivations, first: int, reduced: Reduced) -> None:
        """Count the spans whose peak would have sat on a token that does not count."""
        import torch

        start, stop = seen.content.start + first, seen.content.stop
        outside = torch.cat([seen.neurons[:, :start], seen.neurons[:, stop:]], dim=1)
        if outside.shape[1]:
            over = (outside.amax(1) > reduced.highest).sum(0)
            under = (outside.amin(1) < reduced.lowest).sum(0)
            self.moments.peaks_excluded += over.cpu().numpy()
            self.moments.troughs_excluded += under.cpu().numpy()

    def _sample(self, text: Tensor, step: Step) -> None:
        if len(step.sampled):
            self.spool.write_spans(step.span_slot, text[_index(step.sampled, text)])
        if len(step.token_rows):
            rows, positions = _index(step.token_rows, text), _index(step.token_positions, text)
            self.spool.write_tokens(step.token_slot, text[rows, positions])


def state_bytes(width: int, config: CollectConfig) -> int:
    """Memory that the state of one layer takes at most, buffers included."""
    k = max(config.top_k, config.held_out_top_k)
    sides = 2 * width
    per_span = 2 * config.seq_len + 8 + 4 + 1
    # A buffer of candidates is settled when it holds one per side; a batch may bring several more before that.
    waiting = 2 * _AT_ONCE * sides * (per_span + 16)
    return sides * k * per_span + waiting + 128 * width


def _index(numbers: NDArray[np.int64], like: Tensor) -> Tensor:
    import torch

    return torch.from_numpy(numbers).to(like.device)
