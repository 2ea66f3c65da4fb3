"""What a layer keeps: mixtures of experts, half precision, saturated neurons, memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroexplain.collectors.blocks import top_blocks
from neuroexplain.collectors.layer import LayerState, state_bytes
from neuroexplain.collectors.moments import Moments
from neuroexplain.collectors.plan import Plan, steps
from neuroexplain.collectors.reductions import reduce_routed
from neuroexplain.collectors.spool import Spool
from neuroexplain.collectors.topk import TopSpans
from neuroexplain.recorded import LayerCollection, TokenCorpus
from neuroexplain.records import Floats
from neuroexplain.subjects import LayerActivations, Subject
from tests.collectors.recording import CONFIG, LENGTHS, block, part_of, record, run, unpacked

MakeSubject = Callable[[str], Subject]
MakeCorpus = Callable[..., TokenCorpus]

EXPERTS, OF_EACH = 4, 12


def shown(subject: Subject, corpus: TokenCorpus, layer: int) -> list[LayerActivations]:
    """Every span in a pass of its own."""
    seen: list[LayerActivations] = []
    for span in range(len(corpus.span_start)):
        subject.run([corpus.span(span).token_ids], [layer], seen.append)
    return seen


def routed_values(seen: list[LayerActivations], first: int) -> list[list[float]]:
    """[neuron][counted token that its expert computed]."""
    values: list[list[float]] = [[] for _ in range(EXPERTS * OF_EACH)]
    for activations in seen:
        assert activations.routed is not None
        for token in range(activations.content.start + first, activations.content.stop):
            for expert in range(EXPERTS):
                if activations.routed[0, token, expert]:
                    for neuron in range(expert * OF_EACH, (expert + 1) * OF_EACH):
                        values[neuron].append(float(activations.neurons[0, token, neuron]))
    return values


def leave_out_the_last(subject: Subject) -> None:
    """Let the last expert's logit be the mean of the others': it is never the largest."""
    for layer in subject.layers:
        gate: Any = subject.model.get_submodule(f"layers.{layer}.mlp.gate")
        gate.weight[3] = gate.weight[:3].mean(0)


def test_experts_are_summed_over_their_own_tokens(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject, corpus = make_subject("mixtral"), make_corpus(**LENGTHS)
    leave_out_the_last(subject)
    for layer in record(subject, corpus):
        values = routed_values(shown(subject, corpus, layer.layer), corpus.info.first)
        assert layer.n_tokens.tolist() == [len(own) for own in values]
        assert layer.n_tokens.sum() == OF_EACH * (corpus.span_length - 1).sum()
        for neuron, own in enumerate(values):
            if own:
                assert_statistics(layer, neuron, np.array(own))


def assert_statistics(layer: LayerCollection, neuron: int, own: Floats) -> None:
    for name in ("mean", "std", "min", "max"):
        expected = getattr(own, name)()
        assert getattr(layer, name)[neuron] == pytest.approx(expected, rel=1e-4, abs=1e-6), name
    assert layer.frac_positive[neuron] == pytest.approx((own > 0).mean())


def test_an_expert_that_is_never_routed_to(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("mixtral")
    leave_out_the_last(subject)
    layer = record(subject, make_corpus(**LENGTHS))[1]
    never = slice(3 * OF_EACH, None)
    assert (layer.n_tokens[:-OF_EACH] > 0).all()
    for name in ("n_tokens", "mean", "std", "min", "max", "frac_positive"):
        assert not getattr(layer, name)[never].any(), name
    for made in layer.blocks:
        assert not made.activations[never].any()
        assert (made.kind == "top") == bool((made.spans[never] == -1).all())
        assert np.isfinite(made.peaks).all()
    assert layer.sketch is not None
    assert not layer.sketch.quantiles[never].any() and not layer.sketch.directions[never].any()
    assert not layer.sketch.token_table.counts[:, never].any()


def test_reductions_over_routed_tokens_are_those_of_a_plain_loop() -> None:
    torch.manual_seed(0)
    routed = torch.rand(5, 9, EXPERTS) < 0.4
    routed[2, :, 1] = False
    routed[..., 3] = False
    on = routed.repeat_interleave(2, dim=2)
    counted = torch.where(on, torch.randn(5, 9, 8) + 3, 0)
    made, tokens = reduce_routed(counted, routed)
    assert made.sums is not None and made.deviations is not None and made.positive is not None
    for span in range(5):
        for neuron in range(8):
            own = [
                float(counted[span, token, neuron])
                for token in range(9)
                if routed[span, token, neuron // 2]
            ]
            values = np.array(own)
            assert tokens[span, neuron] == len(own)
            assert made.highest[span, neuron] == max(own, default=-np.inf)
            assert made.lowest[span, neuron] == min(own, default=np.inf)
            assert made.positive[span, neuron] == (values > 0).sum()
            assert made.sums[span, neuron].item() == pytest.approx(values.sum(), rel=1e-6)
            spread = ((values - values.mean()) ** 2).sum() if own else 0
            assert made.deviations[span, neuron].item() == pytest.approx(spread, rel=1e-5)
    moments = Moments(8)
    moments.add(made, tokens)
    everything = counted.double().numpy()[on.numpy()[..., 0], 0]
    assert moments.mean[0] == pytest.approx(everything.mean(), rel=1e-6)
    assert moments.std[0] == pytest.approx(everything.std(), rel=1e-6)
    assert moments.n_tokens.tolist() == on.sum((0, 1)).tolist()


def test_half_precision_is_summed_in_single(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    """The model's activations are bfloat16; what is made of them is as exact as of any other."""
    subject = make_subject("gpt2")
    subject.model.to(torch.bfloat16)
    corpus = make_corpus(**LENGTHS)
    kept: list[Tensor] = []
    module: Any = subject.model.get_submodule("h.0.mlp.c_proj")
    handle = module.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    layer = record(subject, corpus)[0]
    handle.remove()
    assert {values.dtype for values in kept} == {torch.bfloat16}
    values = torch.cat([v[:, 1:].flatten(0, 1) for v in kept]).double().numpy()
    assert layer.n_tokens.tolist() == [len(values)] * 48
    std = values.std(0)
    assert (np.abs(layer.mean - values.mean(0)) <= 1e-6 * std).all()
    np.testing.assert_allclose(layer.std, std, rtol=1e-6)
    np.testing.assert_array_equal(layer.max, values.max(0))
    np.testing.assert_array_equal(layer.frac_positive, (values > 0).mean(0))
    for made in layer.blocks:
        # 8 digits fit into float16's 11.
        traces = unpacked(made)
        np.testing.assert_array_equal(torch.from_numpy(traces).bfloat16().float(), traces)
    top = block(layer, "explain", "top").peaks
    assert (top[:, 0] <= layer.max).all()


class Counted(TopSpans):
    """Counts the rows that it is offered."""

    rows = 0

    def offer(self, sides: Any, spans: Any, peaks: Any, traces: Any) -> None:
        Counted.rows += len(sides)
        super().offer(sides, spans, peaks, traces)


def test_a_saturated_side_keeps_the_first_spans_and_costs_nothing(
    make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GELU never falls below -0.17: nearly every span comes to that, and is no better than those before it."""
    monkeypatch.setattr("neuroexplain.collectors.layer.TopSpans", Counted)
    corpus = make_corpus(explain=[8 * 4] * 500, select=[8], test=[8])
    config = replace(CONFIG, top_k=20)
    plan = Plan.of(corpus, config, 32)
    width, n_spans = 16, 2000
    noise = torch.randn(n_spans, 8, width, generator=torch.Generator().manual_seed(0))
    values = torch.nn.functional.gelu(0.03 * noise - 0.75)  # the minimum is at -0.7518
    peaks = -values[:, 1:].amin(1)
    assert (peaks.half() == peaks.half().amax(0)).float().mean() > 0.95
    spool = Spool(tmp_path, 0, width, 8)
    state = LayerState(0, width, plan, spool, statistics=False)
    Counted.rows = 0
    rows = []
    for step in steps(plan, plan.batches):
        if step.batch.split == 0:
            before = Counted.rows
            state.update(LayerActivations(0, values[step.batch.spans], slice(0, 8)), step)
            rows.append(Counted.rows - before)
    lower = top_blocks(state.top(), "explain", 1)[1]
    rounded = peaks.half().float().numpy()
    for neuron in range(width):
        best: dict[int, int] = {}
        for span in np.lexsort((np.arange(n_spans), -rounded[:, neuron])).tolist():
            best.setdefault(int(corpus.span_document[span]), span)
        assert lower.spans[neuron].tolist() == list(best.values())[:20]
    assert (lower.peaks == lower.peaks[:, :1]).mean() > 0.9
    assert sum(rows) < 0.1 * n_spans * width
    assert not any(rows[2:15])  # first spans of later documents


def test_memory_does_not_grow_with_the_corpus(
    make_subject: MakeSubject, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    subject = make_subject("gpt2")
    peaks, sizes = [], []
    for number, documents in enumerate((60, 600)):
        corpus = make_corpus(explain=[24] * documents, select=[24], test=[24])
        plan = Plan.of(corpus, CONFIG, 16)
        part = part_of(subject, tmp_path / str(number), plan, batch_size=16)
        tracemalloc.start()
        run(subject, plan, part)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(sum(array.nbytes for array in part.state(0).values()))
    assert sizes[0] == sizes[1] < state_bytes(48, CONFIG)
    assert peaks[1] < 1.5 * peaks[0]
