"""Recording made corpora, whole or in pieces, and comparing what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroexplain.collectors import collect_layers, collect_part
from neuroexplain.collectors.collect import Advance
from neuroexplain.collectors.part import Header, Part
from neuroexplain.collectors.plan import Plan
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import ExemplarBlock, LayerCollection, TokenCorpus
from neuroexplain.records import Floats
from neuroexplain.subjects import Subject

CONFIG = CollectConfig(
    "made", seq_len=8, top_k=6, held_out_top_k=4, random=3, quantile_bands=2, per_band=2
)
LENGTHS: Mapping[str, Sequence[int]] = {
    "explain": [60, 9, 20, 33] * 4,
    "select": [25, 40],
    "test": [30, 17, 50, 8, 8],
}
"""Tokens of the documents of every split."""


def record(
    subject: Subject, corpus: TokenCorpus, config: CollectConfig = CONFIG, batch_size: int = 32
) -> list[LayerCollection]:
    """All layers, in one go."""
    return list(
        collect_layers(subject, corpus, config, layers=subject.layers, batch_size=batch_size)
    )


def part_of(
    subject: Subject,
    parent: Path,
    plan: Plan,
    *,
    batch_size: int,
    shard: int = 1,
    shards: int = 1,
    layers: Sequence[int] | None = None,
) -> Part:
    """A part in a folder, new or begun before."""
    widths = {layer: subject.sites[layer].width for layer in layers or subject.layers}
    return Part(parent, Header("k" * 64, batch_size, shard, shards, widths, plan.config.seq_len))


def run(
    subject: Subject,
    plan: Plan,
    part: Part,
    *,
    advance: Advance | None = None,
    checkpoint: float = 60.0,
) -> None:
    """Collect a part from where it is."""
    with part:
        collect_part(subject, plan, part, advance=advance, checkpoint=checkpoint)


def block(layer: LayerCollection, split: str, kind: str, polarity: int = 1) -> ExemplarBlock:
    wanted = (split, kind, polarity)
    (found,) = (b for b in layer.blocks if (b.split, b.kind, b.polarity) == wanted)
    return found


def unpacked(made: ExemplarBlock) -> Floats:
    """[neuron, rank, token]; in the subject's units."""
    scale = np.exp2(made.exponents.astype(np.float32))[..., None]
    return np.asarray(made.activations.astype(np.float32) * scale)


def assert_same(one: Any, two: Any, where: str = "") -> None:
    """Equal in every field and array, bit for bit."""
    assert type(one) is type(two), where
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (two.dtype, two.shape), where
        assert one.tobytes() == two.tobytes(), where
    elif is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(two, field.name), f"{where} {field.name}")
    elif isinstance(one, Sequence) and not isinstance(one, str):
        assert len(one) == len(two), where
        for number, pair in enumerate(zip(one, two, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    else:
        assert one == two, where


def assert_alike(one: LayerCollection, two: LayerCollection) -> None:
    """Equal but for what another batch shape may change: the last digits, and so the order of near ties."""
    assert one.n_spans == two.n_spans
    np.testing.assert_array_equal(one.n_tokens, two.n_tokens)
    for name in ("mean", "std", "min", "max"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one.peaks_excluded, two.peaks_excluded)
    np.testing.assert_array_equal(one.troughs_excluded, two.troughs_excluded)
    assert len(one.blocks) == len(two.blocks)
    for a, b in zip(one.blocks, two.blocks, strict=True):
        assert (a.split, a.kind, a.polarity) == (b.split, b.kind, b.polarity)
        assert a.inclusion_probability == b.inclusion_probability
        np.testing.assert_allclose(a.peaks, b.peaks, rtol=2e-3, atol=1e-6)
        same = a.spans == b.spans
        assert same.mean() > 0.995
        np.testing.assert_allclose(unpacked(a)[same], unpacked(b)[same], rtol=2e-3, atol=1e-6)
        assert (a.peak_positions == b.peak_positions)[same].mean() > 0.995
    assert one.sketch is not None and two.sketch is not None
    np.testing.assert_allclose(one.sketch.quantiles, two.sketch.quantiles, rtol=1e-5, atol=1e-6)
    assert np.abs(one.sketch.directions.astype(int) - two.sketch.directions).max() <= 1
