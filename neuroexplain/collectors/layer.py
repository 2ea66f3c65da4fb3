"""What the collector keeps of one layer while the corpus goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.moments import Moments
from neuroexplain.collectors.plan import SplitSample
from neuroexplain.collectors.topk import TopSpans
from neuroexplain.collectors.traces import pack, rounded_bits
from neuroexplain.config import CollectConfig
from neuroexplain.errors import CollectError
from neuroexplain.recorded import ExemplarBlock, LayerCollection, TokenCorpus
from neuroexplain.records import POLARITIES, Floats, Split

if TYPE_CHECKING:
    from torch import Tensor


class LayerState:
    """Statistics of a layer over the whole corpus, and the exemplars of the split that is going by.

    Its size depends on the neurons and the settings, not on the corpus.
    """

    def __init__(self, layer: int, width: int, corpus: TokenCorpus, config: CollectConfig) -> None:
        self.layer = layer
        self._width = width
        self._corpus = corpus
        self._config = config
        self._moments = Moments(width)
        self._blocks: list[ExemplarBlock] = []
        self._k = 0
        self._top: list[TopSpans] = []
        self._sampled: dict[int, Floats] = {}

    def begin_split(self, split: Split) -> None:
        """Start with empty exemplars."""
        config = self._config
        self._k = config.top_k if split == "explain" else config.held_out_top_k
        self._top = [
            TopSpans(
                self._width,
                self._k,
                config.seq_len,
                polarity,
                self._corpus.span_document,
            )
            for polarity in POLARITIES
        ]
        self._sampled = {}

    def update(self, neurons: Tensor, content: slice, spans: NDArray[np.int64], keep: bool) -> None:
        """Take in one batch.

        Args:
            neurons: [span, position, neuron], special tokens included.
            content: positions of the text's own tokens.
            spans: [span]; their numbers.
            keep: whether these spans are sampled, so that all their activations are kept.

        Raises:
            CollectError: an activation is NaN or infinite.
        """
        first = self._corpus.info.first
        text = neurons[:, content].float()
        counted = text[:, first:]
        highest, lowest = counted.amax(1), counted.amin(1)
        self._require_finite(text[:, :first], highest, lowest, spans)
        self._moments.update(counted, highest, lowest)
        self._count_excluded(neurons, content.start + first, content.stop, highest, lowest)
        for top, peaks in zip(self._top, (highest, -lowest), strict=True):
            self._offer(top, peaks, text, spans)
        if keep:
            kept = text.cpu().numpy()
            self._sampled.update((int(span), kept[i]) for i, span in enumerate(spans))

    def end_split(self, split: Split, sample: SplitSample) -> None:
        """Turn the split's exemplars into blocks, and free what they were made from."""
        for top in self._top:
            self._blocks.append(self._top_block(top, split))
        if sample.bands:
            pool = self._stack(sample.pool)
            for polarity in POLARITIES:
                self._blocks.append(self._quantile_block(pool, polarity, split, sample))
        if len(sample.random):
            self._blocks.append(self._random_block(split, sample))
        self._top, self._sampled = [], {}

    def result(self) -> LayerCollection:
        """All that was recorded of the layer."""
        moments = self._moments
        return LayerCollection(
            layer=self.layer,
            n_tokens=moments.n_tokens,
            n_spans=moments.n_spans,
            mean=moments.mean,
            std=moments.std,
            min=moments.min,
            max=moments.max,
            frac_positive=moments.frac_positive,
            peaks_excluded=moments.peaks_excluded,
            troughs_excluded=moments.troughs_excluded,
            blocks=tuple(self._blocks),
        )

    def _require_finite(
        self, uncounted: Tensor, highest: Tensor, lowest: Tensor, spans: NDArray[np.int64]
    ) -> None:
        # Traces keep the uncounted tokens too.
        bad = ~(highest.isfinite() & lowest.isfinite() & uncounted.isfinite().all(1))
        if bool(bad.any()):
            row, neuron = bad.nonzero()[0].tolist()
            document = int(self._corpus.span_document[spans[row]])
            source = self._corpus.documents[document].document.source
            raise CollectError(
                f"layer {self.layer}, neuron {neuron}: the activation on document {document} ({source}) is NaN or "
                "infinite; try --dtype float32, or leave the document out"
            )

    def _count_excluded(
        self, neurons: Tensor, start: int, stop: int, highest: Tensor, lowest: Tensor
    ) -> None:
        """Count the spans whose peak would have sat on a token that does not count."""
        import torch

        outside = torch.cat([neurons[:, :start], neurons[:, stop:]], dim=1)
        if outside.shape[1]:
            over = (outside.amax(1) > highest).sum(0)
            under = (outside.amin(1) < lowest).sum(0)
            self._moments.peaks_excluded += over.cpu().numpy()
            self._moments.troughs_excluded += under.cpu().numpy()

    def _offer(self, top: TopSpans, peaks: Tensor, text: Tensor, spans: NDArray[np.int64]) -> None:
        import torch

        # Thresholds are rounded values: a peak a hair below one may round up to it, and win by position.
        threshold = torch.from_numpy(top.threshold * np.float32(1 - 2**-11)).to(peaks.device)
        rows, columns = (peaks >= threshold).nonzero(as_tuple=True)
        if len(rows):
            top.offer(
                columns.cpu().numpy(),
                spans[rows.cpu().numpy()],
                peaks[rows, columns].cpu().numpy(),
                text.transpose(1, 2)[rows, columns].cpu().numpy(),
            )

    def _top_block(self, top: TopSpans, split: Split) -> ExemplarBlock:
        kept = top.ranked(self._corpus.info.first)
        return ExemplarBlock(
            split,
            "top",
            top.polarity,
            kept.spans,
            kept.peaks * top.polarity,
            kept.positions,
            kept.traces,
            kept.exponents,
            1.0,
        )

    def _quantile_block(
        self, pool: Floats, polarity: int, split: Split, sample: SplitSample
    ) -> ExemplarBlock:
        """The spans kept of every band, highest band first; bands are cut by each neuron's own peaks."""
        keys = self._peak_bits(pool, polarity).max(axis=1)
        # A stable sort on descending keys: equal peaks keep the sampling order.
        order = np.argsort(-keys.astype(np.int64), axis=0, kind="stable")
        ranks = sample.picks(self.layer, polarity, self._width)
        chosen = np.take_along_axis(order.T, ranks, axis=1)
        traces = np.ascontiguousarray(
            np.take_along_axis(pool.transpose(2, 0, 1), chosen[:, :, None], axis=1)
        )
        return self._sampled_block(
            "quantile", polarity, split, sample.pool[chosen], traces, sample.quantile_probability
        )

    def _random_block(self, split: Split, sample: SplitSample) -> ExemplarBlock:
        traces = np.ascontiguousarray(self._stack(sample.random).transpose(2, 0, 1))
        spans = np.broadcast_to(sample.random, (self._width, len(sample.random)))
        return self._sampled_block("random", 0, split, spans, traces, sample.random_probability)

    def _sampled_block(
        self,
        kind: str,
        polarity: int,
        split: Split,
        spans: NDArray[np.int64],
        traces: Floats,
        probability: float,
    ) -> ExemplarBlock:
        """Spans with all their activations; the first counted token is the peak where none is on the side."""
        toward = polarity or 1
        bits = self._peak_bits(traces.transpose(0, 2, 1), toward)
        positions = bits.argmax(axis=1) + self._corpus.info.first
        signed = np.take_along_axis(traces, positions[:, :, None], axis=2)[:, :, 0]
        packed, exponents = pack(traces)
        return ExemplarBlock(
            split,
            "quantile" if kind == "quantile" else "random",
            polarity,
            spans,
            signed,
            positions.astype(np.int32),
            packed,
            exponents,
            probability,
        )

    def _peak_bits(self, traces: Floats, polarity: int) -> NDArray[np.int32]:
        """Traces [span, token, neuron] (or any with tokens second) as ordered integers of the polarity's side."""
        counted = traces[:, self._corpus.info.first :] * np.float32(polarity)
        return rounded_bits(np.maximum(counted, 0))

    def _stack(self, spans: NDArray[np.int64]) -> Floats:
        """[span, token, neuron]; zeros beyond a span's end."""
        stacked = np.zeros((len(spans), self._config.seq_len, self._width), dtype=np.float32)
        for row, span in enumerate(spans.tolist()):
            trace = self._sampled[span]
            stacked[row, : len(trace)] = trace
        return stacked
