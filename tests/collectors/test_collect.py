from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from neuroexplain.collectors import collect_layers
from neuroexplain.errors import CollectError
from neuroexplain.recorded import TokenCorpus
from neuroexplain.subjects import Subject
from tests.collectors.recording import (
    CONFIG,
    LENGTHS,
    assert_alike,
    assert_same,
    block,
    record,
    unpacked,
)

MakeSubject = Callable[[str], Subject]
MakeCorpus = Callable[..., TokenCorpus]


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_the_batch_size_changes_nothing(
    kind: str, make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject(kind)
    corpus = make_corpus(first=subject.first, **LENGTHS)
    runs = [record(subject, corpus, batch_size=size) for size in (1, 7, 64)]
    assert [layer.layer for layer in runs[0]] == [0, 1]
    for other in runs[1:]:
        for one, two in zip(runs[0], other, strict=True):
            assert_alike(one, two)


def test_records_of_all_splits_and_kinds(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    layer = record(make_subject("gpt2"), make_corpus(**LENGTHS))[1]
    kinds = [("top", 1), ("top", -1), ("quantile", 1), ("quantile", -1), ("random", 0)]
    assert [(b.split, b.kind, b.polarity) for b in layer.blocks] == [
        (split, kind, polarity)
        for split in ("explain", "select", "test")
        for kind, polarity in kinds
    ]
    assert block(layer, "explain", "top").spans.shape == (48, 6)
    assert block(layer, "test", "top").spans.shape == (48, 4)
    assert block(layer, "test", "quantile", -1).spans.shape == (48, 4)
    assert block(layer, "test", "random", 0).activations.shape == (48, 3, 8)


def test_only_the_layers_asked_for(make_subject: MakeSubject, make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(**LENGTHS)
    layers = list(collect_layers(make_subject("gpt2"), corpus, CONFIG, layers=[1]))
    assert [layer.layer for layer in layers] == [1]
    assert layers[0].n_tokens.tolist() == [(corpus.span_length - 1).sum()] * 48


def test_top_spans_are_of_different_documents(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    corpus = make_corpus(explain=[400, 8, 8, 300, 8], select=[8], test=[8])
    layer = record(make_subject("gpt2"), corpus)[0]
    for polarity in (1, -1):
        made = block(layer, "explain", "top", polarity)
        for spans in made.spans:
            documents = corpus.span_document[spans[spans >= 0]].tolist()
            assert len(documents) == len(set(documents)) <= 5
        assert (np.diff(made.peaks * polarity, axis=1) <= 0).all()


def test_fewer_spans_than_are_asked_for(make_subject: MakeSubject, make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(explain=[8, 5, 8, 8], select=[4], test=[8, 8])
    layer = record(make_subject("gpt2"), corpus)[0]
    top = block(layer, "select", "top")
    there = top.spans[:, 0] >= 0
    assert there.any() and (top.spans[:, 1:] == -1).all()
    assert (top.activations[:, 1:] == 0).all() and (top.peaks[:, 1:] == 0).all()
    random = block(layer, "select", "random", 0)
    assert random.spans.shape == (48, 1)
    assert random.inclusion_probability == 1.0
    assert (random.activations[:, :, 4:] == 0).all()
    assert block(layer, "explain", "random", 0).spans.shape == (48, 3)
    assert not any(b.kind == "quantile" for b in layer.blocks)


def test_no_samples_wanted(make_subject: MakeSubject, make_corpus: MakeCorpus) -> None:
    config = replace(CONFIG, random=0, quantile_bands=0, sample_tokens=0)
    subject, corpus = make_subject("gpt2"), make_corpus(**LENGTHS)
    bare, full = record(subject, corpus, config)[0], record(subject, corpus)[0]
    assert bare.sketch is None and full.sketch is not None
    assert {b.kind for b in bare.blocks} == {"top"}
    top = tuple(b for b in full.blocks if b.kind == "top")
    assert_same(bare, replace(full, blocks=top, sketch=None))


def test_a_side_on_which_a_neuron_never_fires(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("opt")
    model: Any = subject.model
    model.decoder.layers[0].fc1.bias[5] = -1000.0
    layer = record(subject, make_corpus(**LENGTHS))[0]
    for split in ("explain", "select", "test"):
        lower = block(layer, split, "top", -1)
        assert (lower.spans == -1).all() and (lower.peaks == 0).all()
        upper = block(layer, split, "top", 1)
        assert (upper.spans[5] == -1).all() and (upper.spans >= 0).any()
        # With nothing on this side all peaks are equal: the first counted token stands for them.
        quantile = block(layer, split, "quantile", -1)
        assert (quantile.spans >= 0).all() and (quantile.peak_positions == 1).all()
    assert (layer.max[5], layer.frac_positive[5], layer.std[5]) == (0, 0, 0)


def plant(subject: Subject, table: Any, rows: list[int], linear: Any, neuron: int) -> None:
    """Make one neuron of layer 0 fire hard where the embedding table has these rows."""
    direction = torch.randn(16)
    direction -= direction.mean()
    table.weight[rows] = 100 * direction
    if hasattr(linear, "nf"):
        linear.weight[:, neuron] = 10 * direction
    else:
        linear.weight[neuron] = 10 * direction
    linear.bias[neuron] = 0


def test_a_sink_at_position_0_is_excluded_and_counted(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("gpt2")
    model: Any = subject.model
    plant(subject, model.wpe, [0], model.h[0].mlp.c_fc, 5)
    corpus = make_corpus(**LENGTHS)
    layer = record(subject, corpus)[0]
    made = block(layer, "explain", "top")
    assert layer.peaks_excluded[5] == layer.n_spans == len(corpus.span_start)
    assert (made.peak_positions[made.spans >= 0] >= 1).all()
    assert unpacked(made)[5, 0, 0] > 2 * made.peaks[5, 0]

    included = record(subject, make_corpus(first=0, **LENGTHS))[0]
    assert not included.peaks_excluded.any() and not included.troughs_excluded.any()
    assert (block(included, "explain", "top").peak_positions[5] == 0).all()
    assert included.max[5] > 2 * layer.max[5]
    assert (included.n_tokens > layer.n_tokens).all()


def test_a_span_with_two_special_tokens_is_counted_once(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("bert")
    model: Any = subject.model
    words = model.embeddings.word_embeddings
    plant(subject, words, [0, 1], model.encoder.layer[0].intermediate.dense, 5)
    corpus = make_corpus(first=subject.first, **LENGTHS)
    layer = record(subject, corpus)[0]
    assert layer.peaks_excluded[5] == layer.n_spans
    assert (layer.peaks_excluded <= layer.n_spans).all()
    assert (layer.n_tokens == corpus.span_length.sum()).all()


def test_not_a_number_names_layer_and_neuron(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("gpt2")
    model: Any = subject.model
    model.h[1].mlp.c_fc.bias[5] = torch.nan
    with pytest.raises(CollectError, match=r"layer 1, neuron 5: the activation on document .*NaN"):
        record(subject, make_corpus(**LENGTHS))


@pytest.mark.parametrize("batch_size", [1, 32])
def test_infinity_names_the_document(
    batch_size: int, make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("gpt2")
    model: Any = subject.model
    corpus = make_corpus(**LENGTHS)
    corpus.documents[9].token_ids[4] = 7  # a token that no other document has
    model.wte.weight[7] = torch.inf
    with pytest.raises(
        CollectError, match=r"layer 0, neuron 0: .* on document 9 \(made:9\) is NaN"
    ):
        record(subject, corpus, batch_size=batch_size)


def test_infinity_on_a_token_that_does_not_count(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    subject = make_subject("gpt2")
    first, overflow = torch.tensor([0]), torch.inf
    subject.sites[1].module.register_forward_pre_hook(
        lambda _, args: (args[0].index_fill(1, first, overflow),)
    )
    with pytest.raises(CollectError, match="layer 1, neuron 0"):
        record(subject, make_corpus(**LENGTHS))


def test_massive_activations_survive(make_subject: MakeSubject, make_corpus: MakeCorpus) -> None:
    subject = make_subject("gpt2")
    model: Any = subject.model
    model.h[1].mlp.c_fc.bias[5] = 1e6
    layer = record(subject, make_corpus(**LENGTHS))[1]
    assert layer.mean[5] == pytest.approx(1e6, rel=1e-4)
    for made in layer.blocks:
        assert np.isfinite(made.activations).all()
        if made.kind == "random" or (made.kind, made.polarity) == ("quantile", 1):
            assert (made.exponents[5] > 0).all() and (made.exponents[6] == 0).all()
            counted = unpacked(made)[5, :, 1]
            np.testing.assert_allclose(counted, 1e6, rtol=2e-3)
            np.testing.assert_allclose(made.peaks[5], 1e6, rtol=1e-3)


def test_half_precision_is_recorded_like_single(
    make_subject: MakeSubject, make_corpus: MakeCorpus
) -> None:
    corpus = make_corpus(**LENGTHS)
    single = record(make_subject("gpt2"), corpus)[0]
    subject = make_subject("gpt2")
    subject.model.to(torch.bfloat16)
    half = record(subject, corpus)[0]
    assert half.mean.dtype == np.float64 and half.max.dtype == np.float32
    np.testing.assert_allclose(half.mean, single.mean, atol=0.02)
    np.testing.assert_allclose(half.std, single.std, atol=0.02)
