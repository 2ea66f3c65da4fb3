"""Batches of SAEDashboard come in: latents of one autoencoder with their spans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import saedashboard
from neuroexplain.records import NeuronId, Statistics
from tests.exchange.made import compared, floats

EMPTY = """neuron_alignment_indices neuron_alignment_values neuron_alignment_l1 correlated_neurons_indices correlated_neurons_l1
correlated_neurons_pearson correlated_features_indices correlated_features_l1 correlated_features_pearson freq_hist_data_bar_values
freq_hist_data_bar_heights logits_hist_data_bar_heights logits_hist_data_bar_values decoder_weights_dist vector"""


def activation(low: float, contains: float, values: list[float]) -> dict[str, Any]:
    tokens = ["ĠThe", "Ġriver", "âĢ", "Ļs"]
    return {"bin_min": low, "bin_max": 9.5, "bin_contains": contains, "tokens": tokens, "values": values, "qualifying_token_index": 1}  # fmt: skip


def latent(index: int) -> dict[str, Any]:
    return {
        "feature_index": index, **{key: [] for key in EMPTY.split()},
        "neg_str": ["Ġfire"], "neg_values": [-0.707], "pos_str": ["Ġice", "ice"], "pos_values": [3.753, 3.063],
        "frac_nonzero": 0.0002, "n_prompts_total": 5000, "n_tokens_in_prompt": 128, "dataset": "pile",
        "activations": [
            activation(-1, -1, [0, 2.211, 0, 0]), activation(-1, -1, [0, 2.214, 0, 0]),
            activation(0.5, 0.25, [0.75, 0, 0, 0]), activation(0, 0.5, [0, 0, 0, 0]),
        ],
    }  # fmt: skip


def batch(*indices: int, **more: Any) -> dict[str, Any]:
    """As it is written today: older files have no suffix."""
    return {"model_id": "gpt2-small", "layer": 5, "sae_set": "res-jb", "features": [latent(i) for i in indices], **more}  # fmt: skip


def test_latents_come_in_with_their_spans(tmp_path: Path) -> None:
    for number, indices in ((10, (9,)), (2, (4, 3))):
        path = tmp_path / f"batch-{number}.json"
        path.write_text(json.dumps(batch(*indices), indent=4))
    (tmp_path / "skipped_indexes.json").write_text(json.dumps({"skipped_indexes": [0]}))
    first, second = saedashboard.read(tmp_path)
    assert (first.name, second.name) == ("batch-2.json", "batch-10.json")
    assert [r.neuron for r in first.records] == [NeuronId("gpt2-small-res-jb", 5, i) for i in (3, 4)]  # fmt: skip
    record = first.records[0]
    assert record.statistics == Statistics(640_000, None, None, None, None, 0.0002, n_spans=5000)
    assert (record.promoted, record.suppressed) == (((" ice", 3.753), ("ice", 3.063)), ((" fire", -0.707),))  # fmt: skip
    assert [(s.split, s.kind, s.rank, float(s.activations.max())) for s in record.spans] == [
        ("explain", "top", 0, pytest.approx(2.214)), ("explain", "top", 1, pytest.approx(2.211)),
        ("explain", "quantile", 0, 0.75), ("explain", "quantile", 1, 0.0),
    ]  # fmt: skip
    assert record.spans[0].tokens == (" The", " river", "’", "s")
    assert compared(record.spans[0].activations) == compared(floats(0, 2.214, 0, 0))
    assert (record.explanations, record.width) == ((), None)


@pytest.mark.parametrize(
    ("suffix", "subject", "wanted"),
    [(None, None, "gpt2-small-res-jb"), ("l0-83", None, "gpt2-small-res-jb-l0-83"), ("l0-83", "mine", "mine")],
)  # fmt: skip
def test_the_subject_has_the_name_of_the_autoencoder(
    suffix: str | None, subject: str | None, wanted: str, tmp_path: Path
) -> None:
    (tmp_path / "batch-0.json").write_text(json.dumps(batch(0, sae_id_suffix=suffix)))
    (found,) = saedashboard.read(tmp_path, subject=subject)
    assert found.records[0].neuron.subject == wanted


def test_a_file_is_cut_where_it_has_more_latents_than_wanted(tmp_path: Path) -> None:
    (tmp_path / "batch-0.json").write_text(json.dumps(batch(*range(5))))
    names = [b.name for b in saedashboard.read(tmp_path, batch_size=2)]
    assert names == ["batch-0.json#0-1", "batch-0.json#2-3", "batch-0.json#4-4"]


def test_a_folder_without_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"holds no batches; wanted batch-0\.json"):
        list(saedashboard.read(tmp_path))
