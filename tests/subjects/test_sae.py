"""Sparse autoencoders against their formulas in numpy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import LayerActivations, Subject

Make = Callable[..., Any]
Save = Callable[..., Path]
Array = NDArray[np.float64]

IDS = [[5, 40, 7, 300, 12, 260], [9, 9, 100, 2, 31, 8]]
WIDTH, LATENTS = 32, 50


@pytest.fixture
def folder(make: Make, save: Save) -> str:
    return str(save(make("gpt2")))


def tensors(**changes: Any) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    made = {
        "W_enc": random(WIDTH, LATENTS),
        "b_enc": random(LATENTS),
        "b_dec": random(WIDTH),
        "W_dec": random(LATENTS, WIDTH),
    }
    return {k: v for k, v in (made | changes).items() if v is not None}


def write(path: Path, named: dict[str, torch.Tensor], config: Any = None, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(named, path, metadata=metadata or None)
    if config is not None:
        (path.parent / "cfg.json").write_text(json.dumps(config))
    return path


def latents(subject: Subject, layer: int = 1) -> Array:
    kept: list[LayerActivations] = []
    subject.run(IDS, [layer], kept.append)
    assert kept[0].neurons.dtype == torch.float32
    return kept[0].neurons.double().numpy()


def vectors(folder: str, layer: int = 1, **options: Any) -> Array:
    kept: list[LayerActivations] = []
    Subject.load(folder, site="resid", **options).run(IDS, [layer], kept.append)
    return kept[0].neurons.double().numpy()


def before(x: Array, shift: bool = True) -> Array:
    """What the latents are before their activation."""
    w = {name: t.double().numpy() for name, t in tensors().items()}
    out: Array = (x - w["b_dec"] if shift else x) @ w["W_enc"] + w["b_enc"]
    return out


THRESHOLD = torch.linspace(0.5, 8.0, LATENTS)
SPARSIFY = {
    "W_enc": None,
    "b_enc": None,
    "encoder.weight": tensors()["W_enc"].T.contiguous(),
    "encoder.bias": tensors()["b_enc"],
}


def largest(x: Array, k: int) -> Array:
    out = np.zeros_like(x)
    for place in np.ndindex(x.shape[:-1]):
        chosen = np.argsort(-x[place])[:k]
        out[place][chosen] = x[place][chosen]
    return out


@pytest.mark.parametrize(
    ("changes", "config", "formula"),
    [
        ({}, None, lambda x: np.maximum(before(x), 0)),
        ({}, {"architecture": "standard", "d_sae": 50}, lambda x: np.maximum(before(x), 0)),
        ({}, {"apply_b_dec_to_input": False}, lambda x: np.maximum(before(x, False), 0)),
        ({"b_dec": None}, None, lambda x: np.maximum(before(x, False), 0)),
        (
            {"threshold": THRESHOLD},
            {"architecture": "jumprelu"},
            lambda x: before(x) * (before(x) > THRESHOLD.double().numpy()),
        ),
        (
            {"threshold": THRESHOLD},
            None,
            lambda x: before(x) * (before(x) > THRESHOLD.double().numpy()),
        ),
        (
            {},
            {"architecture": "topk", "k": 4, "metadata": {"hook_name": "blocks.1.hook_resid_post"}},
            lambda x: largest(np.maximum(before(x), 0), 4),
        ),
        (
            {},
            {
                "architecture": "standard",
                "activation_fn_str": "topk",
                "activation_fn_kwargs": {"k": 4},
            },
            lambda x: largest(np.maximum(before(x), 0), 4),
        ),
        (
            SPARSIFY,
            {"activation": "topk", "k": 3, "num_latents": 50, "transcode": False},
            lambda x: largest(np.maximum(before(x), 0), 3),
        ),
        (
            SPARSIFY,
            {"k": 3, "transcode": True},
            lambda x: largest(np.maximum(before(x, False), 0), 3),
        ),
    ],
)
def test_latents_are_those_of_the_formula(
    changes: dict[str, Any],
    config: Any,
    formula: Callable[[Array], Array],
    folder: str,
    tmp_path: Path,
) -> None:
    file = write(tmp_path / "sae" / "sae.safetensors", tensors(**changes), config)
    subject = Subject.load(folder, site="resid", sae=f"{file}@1")
    subject.verify()
    assert (subject.layers, subject.info.widths) == ((1,), (0, LATENTS))
    assert (subject.name, subject.info.site) == ("river.sae", "resid sae")
    expected = formula(vectors(folder))
    assert (expected > 0).any() and (expected == 0).any()
    np.testing.assert_allclose(latents(subject), expected, rtol=1e-4, atol=2e-4)
    assert subject.activations("the river", 1).shape[1] == LATENTS


def test_settings_in_the_files_own_metadata(folder: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.safetensors", tensors(), architecture="topk", k="4", layer="1")
    subject = Subject.load(folder, site="resid", sae=str(file))
    assert subject.layers == (1,)
    assert ((latents(subject) > 0).sum(-1) <= 4).all()


def test_one_per_layer(folder: str, tmp_path: Path) -> None:
    spec = str(tmp_path / "layers.{}" / "sae.safetensors")
    write(Path(spec.format(1)), tensors())
    subject = Subject.load(folder, site="resid", sae=spec)
    assert subject.layers == (1,)
    first = subject.weights_sha256
    write(Path(spec.format(0)), tensors(b_enc=torch.zeros(LATENTS)))
    both = Subject.load(folder, site="resid", sae=spec)
    assert both.layers == (0, 1)
    assert len({first, both.weights_sha256, Subject.load(folder).weights_sha256}) == 3
    assert not np.array_equal(latents(both, 0), latents(both, 1))


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        ({"hook_name": "blocks.0.hook_resid_post", "hook_layer": 0}, 0),
        ({"hook_name": "blocks.1.hook_resid_pre"}, 0),
        ({"metadata": {"hook_name": "blocks.1.hook_resid_post"}}, 1),
        ({"hookpoint": "layers.1"}, 1),
    ],
)
def test_a_configuration_names_the_layer(
    config: Any, layer: int, folder: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "sae" / "sae.safetensors", tensors(), config)
    assert Subject.load(folder, site="resid", sae=str(file)).layers == (layer,)
    by_number = tmp_path / "all" / "1" / "sae.safetensors"
    write(by_number, tensors(), config)
    spec = str(tmp_path / "all" / "{}" / "sae.safetensors")
    assert Subject.load(folder, site="resid", sae=spec).layers == (layer,)


def test_half_precision_models_have_float32_latents(folder: str, tmp_path: Path) -> None:
    file = write(tmp_path / "sae.safetensors", tensors())
    subject = Subject.load(folder, site="resid", sae=f"{file}@1", dtype="bfloat16")
    subject.verify()
    expected = np.maximum(before(vectors(folder, dtype="bfloat16")), 0)
    np.testing.assert_allclose(latents(subject), expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize(
    ("changes", "config", "message"),
    [
        ({"W_enc": torch.ones(96, LATENTS), "b_dec": None}, None, "reads vectors of 96 components"),
        ({"b_enc": torch.ones(7)}, None, "b_enc has the shape (7,); with an encoder from 32 to 50"),
        ({"threshold": torch.ones(7)}, None, "threshold has the shape (7,)"),
        ({"W_enc": None}, None, "it holds W_dec, b_dec, b_enc; known: W_enc or encoder.weight"),
        ({"r_mag": torch.ones(LATENTS)}, None, "it holds W_dec, W_enc, b_dec, b_enc, r_mag"),
        ({"W_enc": torch.ones(2, WIDTH, LATENTS)}, None, "has 3 axes instead of 2"),
        ({}, {"architecture": "gated"}, "activation gated are not supported"),
        ({}, {"architecture": "topk"}, "k = None; valid: 1 to 50"),
        ({}, {"architecture": "topk", "k": 51}, "k = 51; valid: 1 to 50"),
        ({}, {"architecture": "jumprelu"}, "holds no threshold"),
        ({}, {"normalize_activations": "layer_norm"}, "normalize_activations = layer_norm"),
    ],
)
def test_what_is_no_such_autoencoder(
    changes: dict[str, Any], config: Any, message: str, folder: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "sae" / "sae.safetensors", tensors(**changes), config)
    assert message in refusal(folder, f"{file}@1")


def refusal(folder: str, sae: str, site: str = "resid") -> str:
    with pytest.raises(SubjectError) as caught:
        Subject.load(folder, site=site, sae=sae)
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


def test_files_and_layers_that_are_not_there(folder: str, tmp_path: Path) -> None:
    file = write(tmp_path / "sae.safetensors", tensors())
    assert "does not say which layer it is for; write --sae" in refusal(folder, str(file))
    assert "is for layer 9; the site resid has layers 0-1" in refusal(folder, f"{file}@9")
    assert "no file" in refusal(folder, str(tmp_path / "none.safetensors"))
    assert "--sae wants FILE.safetensors" in refusal(folder, str(tmp_path))
    assert "for any layer; looked for" in refusal(folder, str(tmp_path / "{}.safetensors"))
    (tmp_path / "cut.safetensors").write_bytes(b"x" * 40)
    assert "is no safetensors file" in refusal(folder, f"{tmp_path}/cut.safetensors@1")
    assert "choose the --site" in refusal(folder, f"{file}@1", site="mlp")


def test_an_autoencoder_of_another_place(folder: str, tmp_path: Path) -> None:
    config = {"hook_name": "blocks.1.hook_resid_post"}
    file = write(tmp_path / "sae.safetensors", tensors(), config)
    assert "add --site resid" in refusal(folder, str(file), site="attention")
    write(file, tensors(), {"hook_name": "blocks.0.hook_resid_pre"})
    assert "the embeddings; these are no site" in refusal(folder, str(file))
    (tmp_path / "cfg.json").write_text("{")
    assert "cfg.json is no JSON" in refusal(folder, str(file))
